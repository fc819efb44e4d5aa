"""Making the benchmark on disk, and reading its items when they are needed."""

import importlib.metadata
from collections.abc import Callable, Sequence
from pathlib import Path

from mllm.benchmarks.dataset import Dataset, aloud, build_dataset, open_dataset
from mllm.benchmarks.prepared import Prepared
from mllm.benchmarks.scale.builder import CITATION, VERSION, build
from mllm.benchmarks.scale.generate import SIZES, SPLITS, Source
from mllm.benchmarks.scale.item import Item, from_row
from mllm.benchmarks.scale.taxonomy import Cell, cell_name
from mllm.benchmarks.scale.tokenizer import VOCABULARY, item_texts
from mllm.benchmarks.tokenizer import TOKENIZER, train_tokenizer
from mllm.data import source
from mllm.registry import lookup

NAME = "scale"
PINNED = ("pillow", "matplotlib")  # what drawings follow
LICENCES = {
    "data": "generated; CC0 1.0",
    "fonts": "letters are drawn with DejaVu fonts (Bitstream Vera licence), as matplotlib has them",
}


class Benchmark(Prepared):
    """A finished benchmark on disk; open it with `Benchmark.open` or make it with `prepare`."""

    sizes = ("side", "items_per_cell")

    @classmethod
    def open(
        cls, data_dir: str | Path, config: str = "tiny", *, seed: int | None = None
    ) -> "Benchmark":
        """Open the dataset of a config.

        Args:
          seed: that the dataset must have been made from; any if None.

        Raises:
          ValueError: unknown config, or the dataset was made from something else or changed.
          FileNotFoundError: it has not been prepared.
        """
        made_from = {"config": config, "version": VERSION} | (
            {} if seed is None else {"seed": seed}
        )
        return cls(open_dataset(dataset_folder(data_dir, config), **made_from))

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits."""
        return tuple(self._counts)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells that have items, in the order of the rows."""
        return tuple(tuple(name.split("/")) for name in self._dataset.record["cells"])

    @property
    def _counts(self) -> dict[str, int]:
        return self._dataset.record["items_per_cell"]

    def items(self, split: str, cells: Sequence[Cell] | None = None) -> source.Source[Item]:
        """Return the items of a split, which are read when they are asked for.

        Args:
          split: "train", "validation" or "test".
          cells: only the items of these cells, in the order of the rows; all where None.

        Raises:
          ValueError: an unknown split or cell.
        """
        rows = self._dataset.rows(split, from_row)
        if cells is None:
            return rows
        count = self._counts[split]
        places = sorted(self._place(cell_name(cell)) for cell in cells)
        numbers = [place * count + number for place in places for number in range(count)]
        return source.Picked(rows, numbers)

    def item(self, id: str) -> Item:
        """Return the item of an ID such as "test/general/single/counting/00012".

        Raises:
          ValueError: there is no such item.
        """
        split, _, rest = id.partition("/")
        cell, _, number = rest.rpartition("/")
        count = lookup(self._counts, split, f"split of {self.folder}")
        if not number.isdecimal() or int(number) >= count:
            raise ValueError(
                f"item {id!r}: {self.folder} has the numbers 00000 to {count - 1:05d} in each cell "
                f"of {split}"
            )
        return self.items(split)[self._place(cell) * count + int(number)]

    def _place(self, name: str) -> int:
        names = self._dataset.record["cells"]
        return lookup({name: k for k, name in enumerate(names)}, name, f"cell of {self.folder}")


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
    say = aloud(progress or (lambda message: None))

    def build_below(folder: Path) -> tuple[Path, dict]:
        drawn = Source(SIZES[config], seed, processes=processes, progress=say)
        written = build({split: drawn.items(split) for split in SPLITS}, config, folder)
        record = {
            "config": config,
            "version": VERSION,
            "seed": seed,
            "side": SIZES[config].side,
            "items_per_cell": {split: drawn.count(split) for split in SPLITS},
            "cells": [cell_name(cell) for cell in drawn.cells],
            "fingerprint": drawn.fingerprint,
            "redrawn": drawn.redrawn,
            "versions": {name: importlib.metadata.version(name) for name in PINNED},
            "licences": LICENCES,
            "citation": CITATION,
        }
        say("training the tokenizer")
        taught = Benchmark(Dataset(written, record)).items("train")
        texts = (text for item in taught for text in item_texts(item))
        train_tokenizer(texts, written / TOKENIZER, VOCABULARY)
        return written, record

    build_dataset(final, build_below)
    return Benchmark.open(data_dir, config, seed=seed)
