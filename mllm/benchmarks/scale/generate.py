"""The generated splits: every item from a seed of its own, drawn by one process per core."""

import hashlib
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from joblib import Parallel, cpu_count, delayed

from mllm.benchmarks.digests import picture_digest
from mllm.benchmarks.scale.generators import GENERATORS
from mllm.benchmarks.scale.item import (
    Item,
    content_digest,
    place,
    to_row,
    validate,
)
from mllm.benchmarks.scale.taxonomy import Cell, cell_name

SPLITS = ("test", "validation", "train")  # in the order drawn: a repeated item leaves a later one
MOST = 16  # processes that draw
_ATTEMPTS = 100


@dataclass(frozen=True)
class Sizes:
    """The side of the pictures in pixels, and the items of each split in each cell."""

    side: int
    train: int
    validation: int
    test: int


SIZES = {
    "micro": Sizes(side=64, train=6, validation=2, test=3),
    "tiny": Sizes(side=64, train=32, validation=4, test=8),
    "small": Sizes(side=336, train=40, validation=8, test=24),
}


@dataclass(frozen=True)
class Drawn:
    """An item with its digests: of what a model is shown, and of all its fields."""

    item: Item
    content: str
    full: str


def make_item(seed: int, side: int, split: str, cell: Cell, number: int, attempt: int = 0) -> Item:
    """Return one item by itself.

    Args:
      seed: of the benchmark.
      side: of the pictures, in pixels.
      split: "train", "validation" or "test".
      cell: a cell that has a generator.
      number: of the item in its split and cell, from 0.
      attempt: above 0 for an item that was drawn anew because it repeated another; see
        "redrawn" in benchmark.json.
    """
    rng = random.Random(f"{seed}/{split}/{cell_name(cell)}/{number}/{attempt}")
    draft = GENERATORS[cell](rng, side)
    suite, form, capability = cell
    where = f"{split}/{cell_name(cell)}/{number:05d}"
    item = place(draft, id=where, suite=suite, format=form, capability=capability)
    validate(item)
    return item


def full_digest(item: Item) -> str:
    """Return sha256 (hex) over all fields of an item, independent of how it is stored."""
    row = to_row(item)
    for name in ("pictures", "twin_pictures"):
        row[name] = [picture_digest(picture).hex() for picture in row[name]]
    text = json.dumps(row, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


class Source:
    """All splits of a generated benchmark, drawn as they are read.

    No two items, of one split or of two, have the same content: an item that repeats an earlier
    one is drawn anew. The splits are therefore read once, in the order of `SPLITS`. The same sizes
    and seed give the same items for any number of processes.
    """

    def __init__(
        self,
        sizes: Sizes,
        seed: int,
        *,
        cells: Sequence[Cell] | None = None,
        processes: int | None = None,
        progress: Callable[[str], None] | None = None,
    ):
        """Prepare to draw.

        Args:
          sizes: of the splits.
          seed: of the benchmark.
          cells: which cells to draw; all that have a generator where None.
          processes: how many draw; as many as there are cores, at most `MOST`, where None.
          progress: called with a line of text for each split.
        """
        self._sizes, self._seed = sizes, seed
        self.cells = tuple(GENERATORS if cells is None else cells)
        self._processes = min(cpu_count(), MOST) if processes is None else processes
        self._progress = progress or (lambda message: None)
        self._seen: set[str] = set()
        self._digests: list[str] = []
        self._read = 0
        self.redrawn: dict[str, int] = {}  # attempts by ID, for items that were drawn anew

    def count(self, split: str) -> int:
        """Return the number of items of a split in each cell."""
        return getattr(self._sizes, split)

    @property
    def fingerprint(self) -> str:
        """sha256 (hex) over the content of all items read so far, whatever their order."""
        return hashlib.sha256("\n".join(sorted(self._digests)).encode()).hexdigest()

    def items(self, split: str) -> Iterator[Item]:
        """Yield the items of a split, cell by cell.

        Raises:
          ValueError: another split is due.
        """
        due = SPLITS[self._read] if self._read < len(SPLITS) else None
        if split != due:
            raise ValueError(f"split {split!r} is not due: the splits are read once, as {SPLITS}")
        self._read += 1
        count = self.count(split)
        self._progress(f"drawing {count * len(self.cells)} items ({split})")
        calls = (
            delayed(_draw_cell)(self._seed, self._sizes.side, split, cell, count)
            for cell in self.cells
        )
        for drawn in Parallel(n_jobs=self._processes, return_as="generator")(calls):
            for number, one in enumerate(drawn):
                yield self._keep(one, split, number)

    def _keep(self, drawn: Drawn, split: str, number: int) -> Item:
        item, attempt = drawn.item, 0
        cell = (item.suite, item.format, item.capability)
        while drawn.content in self._seen:
            attempt += 1
            if attempt == _ATTEMPTS:
                raise ValueError(
                    f"item {item.id!r}: {_ATTEMPTS} draws repeat other items; the generator of "
                    f"{cell_name(cell)} has too few different items for these sizes"
                )
            again = make_item(self._seed, self._sizes.side, split, cell, number, attempt)
            drawn = Drawn(again, content_digest(again), full_digest(again))
            self.redrawn[item.id] = attempt
        self._seen.add(drawn.content)
        self._digests.append(drawn.full)
        return drawn.item


def _draw_cell(seed: int, side: int, split: str, cell: Cell, count: int) -> list[Drawn]:
    items = [make_item(seed, side, split, cell, number) for number in range(count)]
    return [Drawn(item, content_digest(item), full_digest(item)) for item in items]
