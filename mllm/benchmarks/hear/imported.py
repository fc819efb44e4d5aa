"""Files that somebody has, as a data set: imported once, then read like generated clips."""

import hashlib
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from mllm.benchmarks.dataset import Dataset
from mllm.benchmarks.hear.builder import CITATION, ONTOLOGY, VERSION, build
from mllm.benchmarks.hear.importers import IMPORTERS
from mllm.benchmarks.hear.importers.found import Flaws, Found, clips
from mllm.benchmarks.hear.importers.options import Options
from mllm.benchmarks.hear.row import digest, fingerprint
from mllm.benchmarks.hear.texts import SPECIAL, VOCABULARY, texts
from mllm.benchmarks.importing import import_once, noted, open_import
from mllm.benchmarks.tokenizer import TOKENIZER, train_tokenizer
from mllm.files import file_digests
from mllm.registry import lookup

IMPORTER = 1  # raise it whenever the same files give other rows: they are then imported again


def prepare_imported(
    data_dir: Path,
    config: str,
    source: str | Path,
    options: Options,
    say: Callable[[str], None],
) -> Dataset:
    """Import files unless their content was imported before with the same options.

    Args:
      data_dir: root of the TFDS data sets, that of this benchmark.
      config: a key of `importers.IMPORTERS`.
      source: the folder with the files.

    Raises:
      FileNotFoundError, ValueError: a file is missing, or a clip cannot be used.
    """
    listed = _read(config, source, options)
    found = source_digest(config, source, options, listed)

    def make(folder: Path) -> tuple[Path, dict]:
        say(f"importing {source}: {len(listed.entries)} clips are listed")
        flaws, digests = Flaws(options.leave_out), {}
        splits = noted(clips(listed, options, flaws), digest, digests)
        if not splits:
            raise ValueError(f"{source}: no clip can be used ({flaws.record()})")
        written = build(splits, config, folder, listed.ontology)
        for flaw, cases in flaws.record().items():
            say(f"  left out, {flaw.replace('_', ' ')}: {cases['count']}, first {cases['first']}")
        listed.ontology.write(written / ONTOLOGY)
        train_tokenizer(texts(listed.ontology), written / TOKENIZER, VOCABULARY, SPECIAL)
        return written, {
            "options": options.record(),
            "left_out": flaws.record(),
            "rare": list(options.rare),
            "licences": {"sounds": options.licence or listed.licence},
            "counts": {split: len(one) for split, one in digests.items()},
            "fingerprint": fingerprint(digests, listed.ontology),
            "citation": CITATION,
        }

    again = partial(source_digest, config, source, options)
    return import_once(data_dir, config, VERSION, source, found, make, again)


def open_imported(data_dir: Path, config: str, source: str | Path, options: Options) -> Dataset:
    """Open what `prepare_imported` made of files with their present content.

    Raises:
      FileNotFoundError: they are not there, or were not imported since they changed.
    """
    found = source_digest(config, source, options)
    return open_import(data_dir, config, VERSION, source, found)


def source_digest(
    config: str, source: str | Path, options: Options, listed: Found | None = None
) -> str:
    """Return sha256 (hex) of what an import depends on: tables, sounds that they list, options.

    Args:
      listed: what the importer reads there, where it was read.

    Raises:
      ValueError, FileNotFoundError: as the importer.
    """
    listed = listed or _read(config, source, options)
    sounds = {entry.path for entry in listed.entries if entry.path.is_file()}
    digests = file_digests(sorted({*listed.files, *sounds}))
    held = sorted([os.path.relpath(path, source), one] for path, one in digests.items())
    said = [IMPORTER, config, options.record(), held]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _read(config: str, source: str | Path, options: Options) -> Found:
    if not str(source):
        raise ValueError(f"config {config!r} needs source: the folder with the files to import")
    listed = IMPORTERS[config].read(Path(source), options)
    for name in options.rare:
        lookup(dict.fromkeys(listed.ontology), name, "concept (rare)")
    return listed
