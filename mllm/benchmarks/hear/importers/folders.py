"""A folder for each class, in folders for what the classes are kinds of.

    animal/bird/crow/one.wav      is a crow, a kind of bird, a kind of animal
    animal/bird/crow/one-2.wav    is cut from the same recording: of the same group

With folders train, validation and test above all, these are the splits; otherwise the groups are
divided. An ontology.json in the folder, as `mllm.benchmarks.hear.ontology` writes it, replaces the
ontology that the folders make. Underscores in names are spaces.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from mllm.benchmarks.hear.importers.found import SUFFIXES, Entry, Found
from mllm.benchmarks.hear.importers.options import Options
from mllm.benchmarks.hear.ontology import Concept, Ontology
from mllm.benchmarks.hear.row import SPLITS

SOURCE = "folders"
LICENCE = "as stated by the owner of the files"
ONTOLOGY = "ontology.json"
PART = re.compile(r"-\d+$")  # of a recording


def read(folder: Path, options: Options) -> Found:
    """Return what the folder holds.

    Raises:
      FileNotFoundError: it is not there or holds no sound.
      ValueError: a name stands for two classes.
    """
    root = folder / options.sounds
    paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise FileNotFoundError(f"{root}: holds no sound, expected a folder for each class")
    entries = [_entry(path, path.relative_to(root)) for path in paths]
    own = folder / ONTOLOGY
    if own.is_file():
        return Found(Ontology.read(own), tuple(entries), (own,), SOURCE, LICENCE)
    lines = {tuple(_line(path.relative_to(root))) for path in paths}
    return Found(ontology_of(lines), tuple(entries), (), SOURCE, LICENCE)


def _entry(path: Path, relative: Path) -> Entry:
    line = _line(relative)
    stem = PART.sub("", relative.stem)
    return Entry(
        where=str(path),
        id=relative.as_posix(),
        group="/".join((*line, stem)),
        split=relative.parts[0] if relative.parts[0] in SPLITS else "",
        tags=tuple(line[-1:]),
        path=path,
    )


def _line(relative: Path) -> list[str]:
    """Return the classes of a file, the widest first."""
    parts = relative.parts[:-1]
    return [part.replace("_", " ") for part in parts[parts[:1] != () and parts[0] in SPLITS :]]


def ontology_of(lines: Iterable[tuple[str, ...]]) -> Ontology:
    """Return the ontology of classes, each given with what it is a kind of, the widest first.

    Raises:
      ValueError: a class is a kind of two others.
    """
    parents: dict[str, tuple[str, ...]] = {}
    for line in sorted(lines):
        for place, name in enumerate(line):
            above = line[place - 1 : place] if place else ()
            if parents.setdefault(name, above) != above:
                raise ValueError(
                    f"folder {name!r}: is in {parents[name]} and in {above}; rename one, or say in "
                    f"{ONTOLOGY} what it is a kind of"
                )
    return Ontology(Concept(name, above) for name, above in parents.items())
