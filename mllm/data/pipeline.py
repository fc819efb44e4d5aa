"""Endless, seeded, stateless batches: the batch of a step is a function of (seed, step), so that a
resumed run sees what it would have seen.
"""

import sys
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import grain
import numpy as np

from mllm.data import conversation
from mllm.data.packing import RowShape, collate, pack, row_tokens
from mllm.data.pictures import Pictures
from mllm.data.sounds import Sounds
from mllm.data.tokenized import Tokenized
from mllm.registry import lookup

Item = TypeVar("Item")
Rows = list[list[Tokenized]]

POOL = 16  # batches whose rows are sorted by length together
SCHEDULES = ("all", "primary", "joint", "sequential")


@dataclass
class Pipeline:
    """Batches of packed rows.

    Attributes:
      examples: the run's examples, of ``mllm.data.tokenized.tokenize``.
      source: the same examples with their media, read when a batch is made.
      pictures: makes of media what a batch holds; None if no example shows any.
      sounds: likewise of sounds.
      rows: rows of a batch. shape: capacity of a row, of which a batch takes the share that it
        needs.
      schedule: "all" and "primary" draw every row, or every row of the primary role, once an epoch;
        "joint" puts as many other rows as primary rows in a batch, an epoch being one pass over
        the primary ones; "sequential" passes over the primary rows, then over the others.
      primary: name of the role that the schedule is about. roles: the number of each role that the
        objective reads; empty if it reads none.
      alike: whether rows of like length share a batch, which then holds less padding; they are
        sorted within ``POOL`` batches, for the schedule "all".
      twin: role of examples of which each stands in the batch of the primary example of its name,
        and nowhere else; "" for none. Batches then hold ``twins``.
      reference: f32[len(examples)] summed log-probabilities under the reference, or None.
    """

    examples: Sequence[Tokenized]
    source: Sequence[conversation.Example]
    pictures: Pictures | None
    rows: int
    shape: RowShape
    seed: int = 0
    schedule: str = "all"
    primary: str = ""
    roles: Mapping[str, float] = field(default_factory=dict)
    alike: bool = False
    reference: np.ndarray | None = None
    sounds: Sounds | None = None
    twin: str = ""
    _twins: dict[str, Tokenized] = field(init=False)  # by name
    _plans: dict[int, list] = field(default_factory=dict)  # of the last epochs asked for
    _starts: list[int] = field(default_factory=lambda: [0])  # first steps of epochs known so far
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self):
        lookup(dict.fromkeys(SCHEDULES), self.schedule, "schedule")
        for example in self.examples if self.roles else ():
            if example.role not in self.roles:
                raise ValueError(
                    f"example {example.name} has role {example.role!r}; the objective knows "
                    f"{sorted(self.roles)}"
                )
        self._twins = {e.name: e for e in self.examples if e.role == self.twin} if self.twin else {}
        for example in self.examples if self.twin else ():
            if example.role == self.primary and example.name not in self._twins:
                raise ValueError(f"example {example.name} has no twin of role {self.twin!r}")

    def epoch(self, number: int) -> list[Rows]:
        """Return the batches of an epoch: lists of rows of examples."""
        if number in self._plans:
            return self._plans[number]
        rng = np.random.default_rng([self.seed, number])

        def shuffled_rows(chosen: list[Tokenized]) -> Rows:
            packed = pack([chosen[i] for i in rng.permutation(len(chosen))], self.shape)
            return [packed[i] for i in rng.permutation(len(packed))]

        def batches(rows: Rows, size: int) -> list[Rows]:
            return [rows[i : i + size] for i in range(0, len(rows), size)]

        if self.schedule == "all":
            rows = shuffled_rows(list(self.examples))
            if self.alike:
                pools = batches(rows, POOL * self.rows)
                rows = [row for pool in pools for row in sorted(pool, key=row_tokens)]
            plan = batches(rows, self.rows)
            if self.alike:
                plan = [plan[i] for i in rng.permutation(len(plan))]
        else:
            primary = shuffled_rows([e for e in self.examples if e.role == self.primary])
            apart = {self.primary, self.twin}
            others = shuffled_rows([e for e in self.examples if e.role not in apart])
            if self.schedule == "primary":
                plan = self._with_twins(primary, self.rows)
            elif self.schedule == "sequential":
                plan = self._with_twins(primary, self.rows) + batches(others, self.rows)
            else:
                half = max(1, self.rows // 2)
                pairs = self._with_twins(primary, half)
                drawn = [
                    [others[(i * half + j) % len(others)] for j in range(half)]
                    for i in range(len(pairs))
                ]
                plan = [a + b for a, b in zip(pairs, drawn, strict=True)]
        # Steps are asked for nearly in order; around the end of an epoch, two plans are in use.
        self._plans = {n: kept for n, kept in self._plans.items() if n == number - 1}
        self._plans[number] = plan
        return plan

    def _with_twins(self, primary: Rows, size: int) -> list[Rows]:
        """Cut rows into batches of at most ``size``, which also hold the twins of their examples.

        Raises:
          ValueError: a row and those of its twins are more than ``size``.
        """
        plan: list[Rows] = []
        for row in primary:
            twins = [self._twins[example.name] for example in row] if self.twin else []
            group = [row, *pack(twins, self.shape)]
            if len(group) > size:
                raise ValueError(
                    f"{row[0].name}: a row and its twins fill {len(group)} rows, but a batch has "
                    f"{size} for them: raise the stage's rows"
                )
            if not plan or len(plan[-1]) + len(group) > size:
                plan.append([])
            plan[-1] += group
        return plan

    def steps(self, epochs: int) -> int:
        """Return the number of steps in that many epochs."""
        return sum(len(self.epoch(e)) for e in range(epochs))

    def batch(self, rows: Rows, rng: np.random.Generator, shape: RowShape | None = None) -> dict:
        """Return the arrays of one batch: those of ``mllm.data.packing.collate``, the media of
        ``Pictures.lay_out`` and ``Sounds.lay_out``, and reference values f32[R, S].

        Args:
          shape: of a row, the smallest that holds the rows if None.
        """
        batch = collate(rows, self.rows, shape or self.shape.fitted(rows), self.roles)
        if self.pictures is not None:
            found = self.pictures.lay_out(rows, self.rows, self.source, rng)
            batch["media"] = {"image": found}
        if self.sounds is not None:
            heard = self.sounds.lay_out(rows, self.rows, self.source, rng, self.examples)
            batch["media"] = {**batch.get("media", {}), "audio": heard}
        if self.twin:
            batch["twins"] = self._twins_of(batch["answers"], rows)
        if self.reference is not None:
            known = batch["answers"] >= 0
            values = np.where(known, self.reference[batch["answers"]], 0.0)
            batch["reference_logprobs"] = values.astype(np.float32)
        return batch

    def _twins_of(self, answers: np.ndarray, rows: Rows) -> np.ndarray:
        """Return i32 like ``answers``: the number of the twin of each primary example, or -1."""
        twins = np.full_like(answers, -1)
        for r, row in enumerate(rows):
            for s, example in enumerate(row if row[0].role == self.primary else ()):
                twins[r, s] = self._twins[example.name].index
        return twins

    def once_over(self, role: str) -> Iterator[dict]:
        """Yield batches that hold every example of a role once."""
        rows = pack([example for example in self.examples if example.role == role], self.shape)
        for first in range(0, len(rows), self.rows):
            yield self.batch(rows[first : first + self.rows], np.random.default_rng(0))

    def batch_at(self, step: int, shape: RowShape | None = None) -> dict:
        """Return the batch of a step, counted from 0, without end; from any thread.

        Args:
          shape: of a row, as of ``batch``.
        """
        return self.batch(self._rows_at(step), np.random.default_rng([self.seed, step, 1]), shape)

    def shape_at(self, step: int) -> RowShape:
        """Return the shape that the rows of a step's batch take."""
        return self.shape.fitted(self._rows_at(step))

    def _rows_at(self, step: int) -> Rows:
        number, plan = self._epoch_of(step)
        return plan[step - self._starts[number]]

    def _epoch_of(self, step: int) -> tuple[int, list[Rows]]:
        """Return (number, plan) of the epoch that a step falls in."""
        with self._lock:
            while step >= self._starts[-1]:
                plan = self.epoch(len(self._starts) - 1)
                if not plan:
                    raise ValueError("no examples to train on: the chosen splits are empty")
                self._starts.append(self._starts[-1] + len(plan))
            number = bisect_right(self._starts, step) - 1
            return number, self.epoch(number)


def read_ahead(draw: Callable[[int], Item], first: int, depth: int = 2) -> Iterator[Item]:
    """Yield ``draw(first)``, ``draw(first + 1)`` and so on without end, ``depth`` of them drawn
    ahead by threads of grain, so that the device does not wait for the host; errors come through.
    """
    options = grain.ReadOptions(num_threads=depth, prefetch_buffer_size=depth)
    return iter(grain.MapDataset.range(first, sys.maxsize).map(draw).to_iter_dataset(options))
