"""Endless, seeded, stateless: the batch of a step is a function of (seed, step), so a resumed run
sees what it would have.
"""

import sys
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

import grain
import numpy as np
from PIL import Image

from mllm.data.images import Picture, augment
from mllm.data.packing import Example, RowShape, collate, pack, round_up
from mllm.data.processor import Processor
from mllm.data.rows import place_images, stack_tiles

Item = TypeVar("Item")


@dataclass
class Pipeline:
    """Batches of packed rows.

    Attributes:
      examples: the run's examples, ``examples[i].index == i``.
      pictures: what is seen of them; ``Example.image`` numbers them. Where ``augmented``, decoded
        images, of each of which a random view is drawn every time.
      processor: with which examples and pictures were made.
      rows: rows a batch. shape: capacity of a row, of which a batch takes the share that it needs.
      patch: heights and widths of pictures are padded to a multiple of this.
      schedule: "all" and "forget" draw every row once an epoch; "joint" puts as many retain rows as
        forget rows in a batch, an epoch being one pass over forget; "sequential" passes over
        forget, then over retain.
      reference: f32[len(examples)] summed log-probabilities under the reference, or None.
      media: what a frozen tower makes of each picture, float[tiles, N, D], or None. Batches then
        hold ``media`` in place of ``images``.
    """

    examples: Sequence[Example]
    pictures: Sequence[Picture | Image.Image]
    processor: Processor
    rows: int
    shape: RowShape
    patch: int = 1
    seed: int = 0
    schedule: str = "all"
    augmented: bool = False
    reference: np.ndarray | None = None
    media: Sequence[np.ndarray] | None = None
    _plans: dict[int, list] = field(default_factory=dict)  # of the last epochs asked for
    _starts: list[int] = field(default_factory=lambda: [0])  # first steps of epochs known so far
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def epoch(self, number: int) -> list[list[list[Example]]]:
        """The batches of an epoch: lists of rows of examples."""
        if number in self._plans:
            return self._plans[number]
        rng = np.random.default_rng([self.seed, number])

        def shuffled_rows(chosen: list[Example]) -> list[list[Example]]:
            packed = pack([chosen[i] for i in rng.permutation(len(chosen))], self.shape)
            return [packed[i] for i in rng.permutation(len(packed))]

        def batches(rows: list, size: int) -> list:
            return [rows[i : i + size] for i in range(0, len(rows), size)]

        if self.schedule == "all":
            plan = batches(shuffled_rows(list(self.examples)), self.rows)
        else:
            forget = shuffled_rows([e for e in self.examples if e.forget])
            retain = shuffled_rows([e for e in self.examples if not e.forget])
            if self.schedule == "forget":
                plan = batches(forget, self.rows)
            elif self.schedule == "sequential":
                plan = batches(forget, self.rows) + batches(retain, self.rows)
            elif self.schedule == "joint":
                half = max(1, self.rows // 2)
                pairs = batches(forget, half)
                kept = [
                    [retain[(i * half + j) % len(retain)] for j in range(half)]
                    for i in range(len(pairs))
                ]
                plan = [f + r for f, r in zip(pairs, kept, strict=True)]
            else:
                known = "all, forget, joint, sequential"
                raise ValueError(f"unknown schedule {self.schedule!r} (known: {known})")
        # Steps are asked for nearly in order, where one epoch ends and the next begins.
        self._plans = {n: kept for n, kept in self._plans.items() if n == number - 1}
        self._plans[number] = plan
        return plan

    def steps(self, epochs: int) -> int:
        """Steps in that many epochs."""
        return sum(len(self.epoch(e)) for e in range(epochs))

    @cached_property
    def largest(self) -> tuple[int, int, int]:
        """(tiles, height, width) that hold every picture: one program for the whole run."""
        if self.augmented:
            size = round_up(self.processor.config.image_size, self.patch)
            return 1, size, size
        tiles, height, width = np.max([p.tiles.shape[:3] for p in self.pictures], axis=0)
        return int(tiles), round_up(int(height), self.patch), round_up(int(width), self.patch)

    def batch(self, rows: list[list[Example]], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Arrays of one batch: ``mllm.data.packing.collate`` with what ``rows.place_images`` makes
        of the pictures, and reference values f32[R, S].
        """
        batch = collate(rows, self.rows, self.shape.fitted(rows))
        if self.pictures:
            most, height, width = self.largest
            shown = {
                r: self.view(row[0].image, rng) for r, row in enumerate(rows) if row[0].image >= 0
            }
            if self.media is None:
                images, extents = stack_tiles(list(shown.values()), height, width)
            else:  # tiles by number, to be looked up once they are laid out
                found = [self.media[rows[r][0].image] for r in shown]
                table = np.concatenate([self._nothing, *found])
                images = np.arange(1, len(table), dtype=np.int32)
                extents = np.zeros((len(images), 2), np.int32)
            batch |= place_images(
                batch["tokens"],
                images,
                extents,
                [len(shown[r].tiles) if r in shown else 0 for r in range(self.rows)],
                image_id=self.processor.image_id,
                image_tokens=self.processor.config.image_tokens,
                most=most,
            )
            if self.media is not None:
                batch["media"] = table[batch.pop("images")]
        if self.reference is not None:
            known = batch["answers"] >= 0
            batch["reference_logprobs"] = np.where(known, self.reference[batch["answers"]], 0.0)
            batch["reference_logprobs"] = batch["reference_logprobs"].astype(np.float32)
        return batch

    @cached_property
    def _nothing(self) -> np.ndarray:
        """What stands where a row has no picture."""
        return np.zeros((1, *self.media[0].shape[1:]), self.media[0].dtype)

    def view(self, image: int, rng: np.random.Generator) -> Picture:
        """A picture, a random view of it where the pipeline augments."""
        if not self.augmented:
            return self.pictures[image]
        size = self.processor.config.image_size
        tiles = augment(self.pictures[image], size, rng)[None]
        return Picture(tiles, ((size, size),))

    def once_over_forget(self) -> Iterator[dict[str, np.ndarray]]:
        """Batches that hold every example to forget once."""
        rows = pack([example for example in self.examples if example.forget], self.shape)
        for first in range(0, len(rows), self.rows):
            yield self.batch(rows[first : first + self.rows], np.random.default_rng(0))

    def batch_at(self, step: int) -> dict[str, np.ndarray]:
        """The batch of a step, counted from 0, without end; from any thread."""
        number, plan = self._epoch_of(step)
        rows = plan[step - self._starts[number]]
        return self.batch(rows, np.random.default_rng([self.seed, step, 1]))

    def _epoch_of(self, step: int) -> tuple[int, list[list[list[Example]]]]:
        """(number, plan) of the epoch that a step falls in."""
        with self._lock:
            while step >= self._starts[-1]:
                plan = self.epoch(len(self._starts) - 1)
                if not plan:
                    raise ValueError("no examples to train on: the chosen splits are empty")
                self._starts.append(self._starts[-1] + len(plan))
            number = bisect_right(self._starts, step) - 1
            return number, self.epoch(number)


def read_ahead(draw: Callable[[int], Item], first: int, depth: int = 2) -> Iterator[Item]:
    """``draw(first)``, ``draw(first + 1)`` and so on without end, ``depth`` of them drawn ahead by
    threads of grain, so that the device does not wait for the host; errors come through.
    """
    options = grain.ReadOptions(num_threads=depth, prefetch_buffer_size=depth)
    return iter(grain.MapDataset.range(first, sys.maxsize).map(draw).to_iter_dataset(options))
