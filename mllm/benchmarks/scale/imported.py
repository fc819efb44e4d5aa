"""A file of questions that somebody has, as a benchmark: imported once, then read item by item."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mllm.benchmarks.dataset import Dataset, build_dataset, open_dataset, require_imported
from mllm.benchmarks.scale.benchmark import Benchmark
from mllm.benchmarks.scale.builder import CITATION, VERSION, build
from mllm.benchmarks.scale.generate import full_digest
from mllm.benchmarks.scale.importers import IMPORTERS
from mllm.benchmarks.scale.item import Item, from_row
from mllm.benchmarks.scale.taxonomy import Cell
from mllm.data import source
from mllm.files import require_file
from mllm.registry import lookup

CONFIG = "imported"
SPLIT = "test"


class Imported:
    """The items of an imported file; open it with `open_imported`."""

    def __init__(self, dataset: Dataset):
        self.folder, self._dataset = dataset.folder, dataset
        self._rows = {id: row for row, id in enumerate(dataset.record["ids"])}

    @property
    def splits(self) -> tuple[str, ...]:
        """The one split, "test"."""
        return (SPLIT,)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The suite (the data set), format and capability (the category) of the items."""
        return tuple(tuple(cell) for cell in self._dataset.record["cells"])

    @property
    def fingerprint(self) -> str:
        """sha256 (hex) over the content of all items."""
        return self._dataset.fingerprint

    @property
    def info(self) -> dict[str, Any]:
        """Name of the file, licences and citation."""
        return {
            key: self._dataset.record[key] for key in ("config", "file", "licences", "citation")
        }

    def items(self, split: str) -> source.Source[Item]:
        """Return the items in the order of the file; each is read when it is asked for."""
        return self._dataset.rows(split, from_row)

    def item(self, id: str) -> Item:
        """Return the item of an ID.

        Raises:
          ValueError: there is no such item.
        """
        return self.items(SPLIT)[lookup(self._rows, id, f"item of {self.folder}")]


def prepare_imported(
    data_dir: str | Path, file: str | Path, progress: Callable[[str], None] | None = None
) -> Imported:
    """Import a file unless its content was imported before.

    Args:
      file: TSV of VLMEvalKit, or JSONL; see `mllm.benchmarks.scale.importers`.

    Raises:
      FileNotFoundError, ValueError: the file is not there, or a row cannot be used.
    """
    path, fingerprint = Path(file), _fingerprint(file)
    ids: list[str] = []
    cells: dict[Cell, None] = {}

    def noted(items: Iterator[Item]) -> Iterator[Item]:
        for item in items:
            ids.append(item.id)
            cells[item.suite, item.format, item.capability] = None
            yield item

    def build_below(folder: Path) -> tuple[Path, dict]:
        if progress is not None:
            progress(f"importing {path}")
        written = build({SPLIT: noted(_read(path))}, CONFIG, folder)
        if _fingerprint(path) != fingerprint:
            raise ValueError(f"{path}: changed while it was read; run the command again")
        record = {
            "config": CONFIG,
            "version": VERSION,
            "file": path.name,
            "fingerprint": fingerprint,
            "ids": ids,
            "cells": [list(cell) for cell in cells],
            "licences": {"data": f"as stated by the publisher of {path.name}"},
            "citation": CITATION,
        }
        return written, record

    build_dataset(_folder(data_dir, fingerprint), build_below)
    return _open(data_dir, fingerprint)


def open_imported(data_dir: str | Path, file: str | Path) -> Imported:
    """Open what `prepare_imported` made of a file with its present content.

    Raises:
      FileNotFoundError: the file is not there, or has not been prepared since it changed.
    """
    fingerprint = _fingerprint(file)
    require_imported(_folder(data_dir, fingerprint), file)
    return _open(data_dir, fingerprint)


def _open(data_dir: str | Path, fingerprint: str) -> Imported:
    made_from = {"config": CONFIG, "version": VERSION, "fingerprint": fingerprint}
    return Imported(open_dataset(_folder(data_dir, fingerprint), **made_from))


def _folder(data_dir: str | Path, fingerprint: str) -> Path:
    return Path(data_dir) / "scale" / CONFIG / fingerprint[:16] / VERSION


def _read(path: Path) -> Iterator[Item]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; config.benchmark.file names what to import")
    require_file(path)
    return lookup(IMPORTERS, path.suffix, f"kind of file ({path})")(path)


def _fingerprint(file: str | Path) -> str:
    """Return sha256 (hex) over all items; the pictures that a file names belong to its content."""
    digests = sorted(full_digest(item) for item in _read(Path(file)))
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def open_section(section: Mapping[str, Any]) -> Benchmark | Imported:
    """Open the prepared benchmark of a section ``benchmark`` of a configuration.

    Raises:
      FileNotFoundError: it has not been prepared.
      ValueError: what is there was made from something else, or changed.
    """
    if section.get("file"):
        return open_imported(section["data_dir"], section["file"])
    return Benchmark.open(section["data_dir"], section["config"], seed=section["seed"])
