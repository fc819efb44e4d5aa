"""AudioSet (Gemmeke et al. 2017), or anything in its format: segments of films with labels.

ontology.json   [{"id", "name", "child_ids", …}]
*.csv           YTID, start_seconds, end_seconds, "label,label"; lines of # are skipped. A file
                with eval in its name is the test split; others are divided by film into
                training and validation.
audio/          the clips: YTID.wav, YYTID.wav or YTID_start.wav (or another format), where start
                is in seconds or milliseconds
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mllm.benchmarks.hear.importers.audioset_ontology import read_ontology
from mllm.benchmarks.hear.importers.found import SUFFIXES, Entry, Found, split_of
from mllm.benchmarks.hear.importers.options import Options
from mllm.benchmarks.hear.importers.table import bare_table

SOURCE = "AudioSet"
LICENCE = "labels CC BY 4.0 (Google); sounds as stated by their owners"
ONTOLOGY = "ontology.json"
NAMES = ("film", "start", "end", "labels")


def read(folder: Path, options: Options) -> Found:
    """Return what the folder lists; a clip's group is the film.

    Raises:
      FileNotFoundError: a table is missing.
      ValueError: naming file and line: something is not what it should be.
    """
    ontology, names = read_ontology(folder / ONTOLOGY)
    tables = sorted(folder.glob("*.csv"))
    if not tables:
        raise FileNotFoundError(f"{folder}: has no .csv file, expected tables of segments")
    sounds = folder / (options.sounds or "audio")
    files = {path.stem: path for path in sorted(sounds.rglob("*")) if path.suffix in SUFFIXES}
    divided = replace(options, test=0.0)
    entries = []
    for path in tables:
        for where, row in bare_table(path, NAMES):
            seconds = [_seconds(where, name, row[name]) for name in ("start", "end")]
            film = row["film"]
            found = [files[stem] for stem in _stems(film, seconds[0]) if stem in files]
            entry = Entry(
                where=where,
                id=f"{film}_{seconds[0]:g}",
                group=film,
                split="test" if "eval" in path.stem else split_of(film, divided),
                tags=tuple(_names(row["labels"], names)),
                path=found[0] if found else sounds / f"{film}.wav",
                record={"start": seconds[0], "end": seconds[1], "labels": row["labels"]},
            )
            entries.append(entry)
    read_files = (folder / ONTOLOGY, *tables)
    return Found(ontology, tuple(entries), read_files, SOURCE, LICENCE)


def _seconds(where: str, name: str, text: str) -> float:
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise ValueError(f"{where}, {name!r}: found {text!r}, expected seconds")
    return float(text)


def _names(labels: str, names: Mapping[str, str]) -> Iterator[Any]:
    """Yield the names of labels; one that the ontology lacks stands as it is."""
    for label in filter(None, (one.strip() for one in labels.split(","))):
        yield names.get(label, label)


def _stems(film: str, start: float) -> Iterator[str]:
    """Yield how the file of a segment may be named, without its suffix."""
    for name in (film, f"Y{film}"):
        yield from (name, f"{name}_{start:g}", f"{name}_{start:.3f}", f"{name}_{start * 1000:.0f}")
