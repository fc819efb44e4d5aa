"""Making the benchmark on disk, and reading its items when they are needed."""

import contextlib
import fcntl
import importlib.metadata
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import tensorflow_datasets as tfds

from mllm.benchmarks.scale.builder import CITATION, VERSION, build
from mllm.benchmarks.scale.generate import SIZES, SPLITS, Source
from mllm.benchmarks.scale.item import Item, from_row
from mllm.benchmarks.scale.taxonomy import Cell, cell_name
from mllm.benchmarks.scale.tokenizer import item_texts, train_tokenizer
from mllm.files import read_json, write_json
from mllm.registry import lookup

RECORD = "benchmark.json"
TOKENIZER = "tokenizer.json"
NAME = "scale"
PINNED = ("pillow", "matplotlib")  # what drawings follow
LICENCES = {
    "data": "generated; CC0 1.0",
    "fonts": "letters are drawn with DejaVu fonts (Bitstream Vera licence), as matplotlib has them",
}


class _KeepEncoded(tfds.decode.SkipDecoding):
    """Leave pictures encoded; TFDS itself can do so for one picture but not for a sequence."""

    def decode_batch_example_np(self, example: Any) -> Any:
        return example


class Items(Sequence[Item]):
    """Items of a split; each is read from disk when it is asked for."""

    def __init__(self, source: Sequence, rows: Sequence[int]):
        """Give the items at `rows` of a TFDS data source."""
        self._source, self._rows = source, rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, number: int) -> Item: ...

    @overload
    def __getitem__(self, number: slice) -> "Items": ...

    def __getitem__(self, number: int | slice) -> "Item | Items":
        if isinstance(number, slice):
            return Items(self._source, self._rows[number])
        return from_row(self._source[self._rows[number]])


class Benchmark:
    """A finished benchmark on disk; open it with `Benchmark.open` or make it with `prepare`."""

    def __init__(self, folder: Path, record: dict[str, Any]):
        self.folder = folder
        self._record = record
        self._builder = tfds.builder_from_directory(str(folder))
        self._sources: dict[str, Sequence] = {}

    @classmethod
    def open(cls, data_dir: str | Path, config: str = "tiny") -> "Benchmark":
        """Open the dataset of a config.

        Raises:
          ValueError: unknown config.
          FileNotFoundError: it has not been prepared.
        """
        folder = dataset_folder(data_dir, config)
        path = folder / RECORD
        if not path.is_file():
            raise FileNotFoundError(
                f"{path}: not found; make it with `python -m experiments.prepare` or "
                f"prepare({str(data_dir)!r}, {config!r})"
            )
        return cls(folder, read_json(path))

    @property
    def config(self) -> str:
        """The builder config: a key of `SIZES`."""
        return self._record["config"]

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits."""
        return tuple(self._record["items_per_cell"])

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells that have items, in the order of the rows."""
        return tuple(tuple(name.split("/")) for name in self._record["cells"])

    @property
    def fingerprint(self) -> str:
        """sha256 (hex) over the content of all items, independent of how they are stored."""
        return self._record["fingerprint"]

    @property
    def tokenizer_path(self) -> Path:
        """The tokenizer trained on the texts of the train split."""
        return self.folder / TOKENIZER

    @property
    def info(self) -> dict[str, Any]:
        """Seed, sizes, versions, licences and citation."""
        keys = ("config", "seed", "side", "items_per_cell", "versions", "licences", "citation")
        return {key: self._record[key] for key in keys}

    def items(self, split: str, cells: Sequence[Cell] | None = None) -> Items:
        """Return the items of a split, which are read when they are asked for.

        Args:
          split: "train", "validation" or "test".
          cells: only the items of these cells, in the order of the rows; all where None.

        Raises:
          ValueError: an unknown split or cell.
        """
        lookup(dict.fromkeys(self.splits), split, f"split of {self.folder}")
        places = {name: number for number, name in enumerate(self._record["cells"])}
        wanted = self.cells if cells is None else cells
        chosen = sorted(
            lookup(places, cell_name(cell), f"cell of {self.folder}") for cell in wanted
        )
        if split not in self._sources:
            decoders = {"pictures": _KeepEncoded(), "twin_pictures": _KeepEncoded()}
            self._sources[split] = self._builder.as_data_source(split=split, decoders=decoders)
        count = self._record["items_per_cell"][split]
        rows = [place * count + number for place in chosen for number in range(count)]
        return Items(self._sources[split], rows)


def dataset_folder(data_dir: str | Path, config: str) -> Path:
    """Return where a config's dataset lies; ValueError on an unknown config."""
    lookup(SIZES, config, "config of scale")
    return Path(data_dir) / NAME / config / VERSION


def prepare(
    data_dir: str | Path,
    config: str = "tiny",
    *,
    seed: int = 0,
    processes: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> Benchmark:
    """Make the dataset and its tokenizer unless they are there, and open it.

    All is built in a folder next to the final one and moved there at the end, so that an
    interrupted build leaves nothing that looks finished; its remains go with the next build.

    Args:
      data_dir: root of the TFDS datasets.
      config: a key of `SIZES`.
      seed: of the items.
      processes: how many draw; as many as there are cores where None.
      progress: called with a line of text at each stage.

    Raises:
      ValueError: an unknown config, or the dataset is there with another seed.
    """
    final = dataset_folder(data_dir, config)
    say = _outside(progress or (lambda message: None))
    with _only_one(final.parent):
        if final.exists():
            benchmark = Benchmark.open(data_dir, config)
            if (made := benchmark.info["seed"]) != seed:
                raise ValueError(
                    f"{final}: made with seed {made}, not {seed}; delete it or use another data_dir"
                )
            return benchmark
        temporary = Path(tempfile.mkdtemp(prefix=".building-", dir=final.parent))
        try:
            source = Source(SIZES[config], seed, processes=processes, progress=say)
            folder = build({split: source.items(split) for split in SPLITS}, config, temporary)
            record = {
                "schema": 1,
                "config": config,
                "seed": seed,
                "side": SIZES[config].side,
                "items_per_cell": {split: source.count(split) for split in SPLITS},
                "cells": [cell_name(cell) for cell in source.cells],
                "fingerprint": source.fingerprint,
                "redrawn": source.redrawn,
                "versions": {name: importlib.metadata.version(name) for name in PINNED},
                "licences": LICENCES,
                "citation": CITATION,
            }
            say("training the tokenizer")
            taught = Benchmark(folder, record).items("train")
            texts = (text for item in taught for text in item_texts(item))
            train_tokenizer(texts, folder / TOKENIZER)
            write_json(folder / RECORD, record)
            os.replace(folder, final)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return Benchmark.open(data_dir, config)


def _outside(progress: Callable[[str], None]) -> Callable[[str], None]:
    """Let progress print to the present standard output, while that of TFDS is discarded."""
    stdout = sys.stdout

    def say(message: str) -> None:
        with contextlib.redirect_stdout(stdout):
            progress(message)

    return say


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Let one process build in a folder at a time, and clear what a killed one left there."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in folder.glob(".building-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield
