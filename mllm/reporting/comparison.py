"""The runs of one group and how they compare, cell by cell.

The numbers are those of results.json. Where a method was run with several seeds a cell is the mean
over them. Its interval is that of a bootstrap over clusters and seeds, where the replies are there
and every seed answered the same questions; else each of its ends is the mean over the seeds, and
the interval shows how the choice of clusters moves a typical seed.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from mllm.evaluation.statistics import central_interval
from mllm.reporting import paired
from mllm.reporting.layout import Answers, Cell, Key, Layout, Mark, Style
from mllm.reporting.runs import Run
from mllm.reporting.text import clean_text


@dataclasses.dataclass(frozen=True)
class Entry:
    """One cell. Fractions of 1; `value` is None where the cell was not measured."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: float | None = None
    valid: float | None = None
    refusal: float | None = None
    invalid: float | None = None
    strong: bool = False
    sign: str = ""


class Comparison:
    """The runs of one group of the layout (None where there are no groups).

    Args:
      under: protocol and options that the heading names, "" for those that need no name.
    """

    def __init__(self, layout: Layout, group: Any, runs: Iterable[Run], under: str = ""):
        self.layout = layout
        self.group = group
        self.under = under
        self.runs: dict[Key, list[Run]] = defaultdict(list)
        for run in sorted(runs, key=lambda run: (layout.order(run.method), run.variant, run.seed)):
            self.runs[run.method, run.variant].append(run)
        self.keys = tuple(self.runs)
        self.methods = tuple(key for key in self.keys if layout.kind(key[0]) == "method")
        self._marks: dict[Cell, Mapping[Key, Mark]] = {}
        self._draws: dict[tuple[Key, Cell], np.ndarray | None] = {}
        self._means: dict[tuple[Key, Cell], Answers | None] = {}
        self._differences: dict[tuple[Key, Key, Cell], tuple[float, float]] = {}
        self._scores = {
            key: {(*layout.cell(score), run.seed): score for run in runs for score in run.scores}
            for key, runs in self.runs.items()
        }

    @property
    def protocol(self) -> str:
        """Return the protocol, which is that of all runs."""
        return next(run.asked_by for runs in self.runs.values() for run in runs)

    @property
    def heading(self) -> str:
        """Return the name of the group and of what it was evaluated under, or ""."""
        group = self.layout.group
        label = "" if group is None or self.group is None else group.label.format(self.group)
        under = f"protocol {clean_text(self.under, 60)}" if self.under else ""
        heading = ", ".join(filter(None, (label, under)))
        return heading[:1].upper() + heading[1:]

    @property
    def seeds(self) -> int:
        """Return the most seeds of any row."""
        return max((len(runs) for runs in self.runs.values()), default=0)

    def label(self, key: Key) -> str:
        """Return the name a reader sees for a row."""
        return self.layout.label(*key)

    def style(self, method: str) -> Style:
        """Return how figures draw a method."""
        return self.layout.style(method, (name for name, _ in self.keys))

    def key(self, method: str) -> Key | None:
        """Return the first row of a method, or None where it was not run."""
        return next((key for key in self.keys if key[0] == method), None)

    @functools.cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Return every cell that any run reports, in the order of the files."""
        found = (
            self.layout.cell(score)
            for runs in self.runs.values()
            for run in runs
            for score in run.scores
        )
        return tuple(dict.fromkeys(found))

    def values(self, axis: str) -> tuple[str, ...]:
        """Return the values of an axis in the order of the tables."""
        declared = self.layout.axis(axis).labels
        if declared:
            return tuple(declared)
        place = self.layout.axis_names.index(axis)
        return tuple(dict.fromkeys(cell[place] for cell in self.cells))

    def entry(self, key: Key | None, cell: Cell) -> Entry:
        """Return the mean over seeds of one cell, without marks."""
        scores = [
            self._scores[key][*cell, run.seed]
            for run in self.runs.get(key, ())
            if (*cell, run.seed) in self._scores[key]
        ]
        scores = [score for score in scores if score["value"] is not None]
        if not scores:
            return Entry(None)
        mean = {
            name: float(np.mean([score[name] for score in scores]))
            for name in ("value", "valid", "refusal", "invalid", "n")
        }
        if len(scores) > 1 and (draws := self.draws(key, cell)) is not None:
            low, high = central_interval(draws)
            return Entry(low=low, high=high, **mean)
        intervals = [score["ci95"] for score in scores]
        if any(end is None for interval in intervals for end in interval):
            return Entry(**mean)
        low, high = np.mean(intervals, axis=0)
        return Entry(low=float(low), high=float(high), **mean)

    def marked_entry(self, key: Key, cell: Cell) -> Entry:
        """Return one cell with the marks of the layout."""
        entry = self.entry(key, cell)
        if entry.value is None:
            return entry
        if cell not in self._marks:
            self._marks[cell] = self.layout.marking.of(self, cell)
        mark = self._marks[cell].get(key, Mark())
        return dataclasses.replace(entry, strong=mark.strong, sign=mark.sign)

    def answers(self, key: Key, cell: Cell) -> Answers | None:
        """Return the score of each question, averaged over seeds; None where unknown."""
        if (key, cell) not in self._means:
            found = paired.mean_over_seeds([*self._by_seed(key, cell).values()])
            self._means[key, cell] = found
        return self._means[key, cell]

    def _by_seed(self, key: Key, cell: Cell) -> dict[int, Answers | None]:
        """Return the score of each question by seed; None for a seed without known replies."""
        runs = zip(self.runs[key], self._answers[key], strict=True)
        return {run.seed: answers.get(cell) for run, answers in runs}

    @functools.cached_property
    def _answers(self) -> dict[Key, list[Mapping[Cell, Answers]]]:
        return {
            key: [paired.read_answers(run, self.layout) for run in runs]
            for key, runs in self.runs.items()
        }

    def draws(self, key: Key, cell: Cell) -> np.ndarray | None:
        """Return bootstrap means [RESAMPLES] of one row in one cell; all rows share the draws of
        clusters, and those of the same seeds also the draws of seeds.
        """
        if (key, cell) not in self._draws:
            self._draws[key, cell] = paired.resample_seeds(self._by_seed(key, cell))
        return self._draws[key, cell]

    def paired(self, keys: Iterable[Key], cell: Cell) -> bool:
        """Return whether these rows answered the same questions of enough clusters."""
        asked = [self.answers(key, cell) for key in keys]
        same = all(one is not None and one.keys() == asked[0].keys() for one in asked)
        return same and paired.enough(asked[0])

    def difference(
        self, key: Key, other: Key, cell: Cell
    ) -> tuple[float, float, float, bool] | None:
        """Return (difference, low, high, paired) of two rows in one cell.

        Paired by cluster where the replies allow it, else the interval of a difference of two
        independent scores, which is wider (NaN where they have none). None where either was not
        measured.
        """
        first, second = self.entry(key, cell), self.entry(other, cell)
        if first.value is None or second.value is None:
            return None
        value = first.value - second.value
        if self.paired((key, other), cell):
            if (key, other, cell) not in self._differences:
                draws = self.draws(key, cell) - self.draws(other, cell)
                self._differences[key, other, cell] = central_interval(draws)
            return value, *self._differences[key, other, cell], True
        if first.low is None or second.low is None:
            return value, math.nan, math.nan, False
        below = np.hypot(first.value - first.low, second.high - second.value)
        above = np.hypot(first.high - first.value, second.value - second.low)
        return value, value - float(below), value + float(above), False

    def alike(self, key: Key, other: Key | None, cell: Cell) -> bool:
        """Return whether two rows were measured and their difference is not distinguishable from 0.

        By the 95% interval of the paired difference; without pairing, by whether the two intervals
        overlap.
        """
        if other is None or key == other:
            return False
        if self.paired((key, other), cell):
            _, low, high, _ = self.difference(key, other, cell)
            return low <= 0 <= high
        first, second = self.entry(key, cell), self.entry(other, cell)
        if first.low is None or second.low is None:
            return False
        return first.low <= second.high and second.low <= first.high

    def leader(
        self,
        keys: Iterable[Key],
        cell: Cell,
        *,
        target: Key | None = None,
        lower: bool = False,
    ) -> Key | None:
        """Return the row of `keys` that is better than every other one, or None.

        Better means nearer to the row `target` where it was measured, else higher, or lower if
        `lower`. The lead counts only if it is distinguishable from each other row: the 95% interval
        of the paired difference excludes 0, or, without pairing, the intervals do not overlap.
        """
        measured = [key for key in keys if self.entry(key, cell).value is not None]
        if len(measured) < 2:
            return None
        if target and self.entry(target, cell).value is None:
            target = None
        first = min(measured, key=lambda key: self._gap(key, target, lower, cell)[0])
        others = [key for key in measured if key != first]
        leads = (self._leads(first, key, target, lower, cell) for key in others)
        return first if all(leads) else None

    def _gap(
        self, key: Key, target: Key | None, lower: bool, cell: Cell
    ) -> tuple[float, float, float]:
        """Return how far a row is from the ideal of one cell, with the range it may lie in."""
        entry = self._bounded(key, cell)
        if target is None:
            if lower:
                return entry.value, entry.low, entry.high
            return -entry.value, -entry.high, -entry.low
        goal = self._bounded(target, cell)
        low, high = entry.low - goal.high, entry.high - goal.low
        nearest = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
        return abs(entry.value - goal.value), nearest, max(abs(low), abs(high))

    def _bounded(self, key: Key, cell: Cell) -> Entry:
        """Return a cell that may lie anywhere, where it has no interval."""
        entry = self.entry(key, cell)
        if entry.low is not None:
            return entry
        return dataclasses.replace(entry, low=-math.inf, high=math.inf)

    def _leads(
        self, leader: Key, other: Key, target: Key | None, lower: bool, cell: Cell
    ) -> bool:  # fmt: skip
        involved = [leader, other] + ([target] if target else [])
        if not self.paired(involved, cell):
            gaps = [self._gap(key, target, lower, cell) for key in (leader, other)]
            return gaps[0][2] < gaps[1][1]
        first, second = self.draws(leader, cell), self.draws(other, cell)
        if target:
            goal = self.draws(target, cell)
            first, second = np.abs(first - goal), np.abs(second - goal)
        elif not lower:
            first, second = -first, -second
        return central_interval(first - second)[1] < 0
