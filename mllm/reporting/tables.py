"""The tables of a report: methods as rows, sets and modalities as columns, and their marks.

A `Comparison` holds the runs of one forget split. Its numbers are those of results.json; where a
method was run with several seeds a cell is the mean over them, and so is each end of its interval:
the interval says how far the choice of people moves a typical seed, not how far seeds lie apart.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from mllm.evaluation.metrics import HEADLINES, METRICS
from mllm.evaluation.scores import SETS, Cell
from mllm.evaluation.statistics import central_interval
from mllm.reporting import paired
from mllm.reporting.collect import ANCHORS, METHOD_LABELS, MODALITIES, TASKS, Run, method_order
from mllm.reporting.text import clean_text

COLUMNS = tuple((name, modality) for name in SETS for modality in MODALITIES)
SET_LABELS = {"forget": "Forget", "test": "Test", "retain": "Retain", "celebrity": "Celebrity"}
MODALITY_LABELS = {"image_text": "image + text", "text": "text only"}
TASK_LABELS = {
    "classification": "Multiple choice",
    "cloze": "Fill in the blank",
    "generation": "Free generation",
}
METRIC_LABELS = {
    "accuracy_text": "accuracy by option text",
    "accuracy_letter": "accuracy by option letter",
    "accuracy_parsed": "accuracy of the parsed reply",
    "exact": "exact match",
    "substring": "substring match",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    "bleu": "BLEU",
}
FORGOTTEN_SETS = ("forget", "test")
CHANCE = 0.25


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
    best: bool = False
    like_vanilla: bool = False


@dataclasses.dataclass(frozen=True)
class Row:
    """One method of a table; `kind` is chance, anchor or method. `entries` follow COLUMNS."""

    method: str
    label: str
    kind: str
    seeds: tuple[int, ...]
    entries: tuple[Entry, ...]


@dataclasses.dataclass(frozen=True)
class Table:
    """One metric of one task, with the marks of the best and of the indistinguishable."""

    task: str
    metric: str
    title: str
    rows: tuple[Row, ...]

    @property
    def measured(self) -> bool:
        return any(
            entry.value is not None
            for row in self.rows
            if row.kind != "chance"
            for entry in row.entries
        )


Key = tuple[str, str]  # method, variant


def method_label(method: str, variant: str = "") -> str:
    """Returns the name a reader sees for a method, cleaned."""
    label = METHOD_LABELS.get(method) or clean_text(method, 40)
    return f"{label} ({clean_text(variant, 60)})" if variant else label


class Comparison:
    """The runs of one forget split (percent of the profiles, or None) and their comparisons."""

    def __init__(self, forget: int | None, runs: Iterable[Run]):
        self.forget = forget
        self.runs: dict[Key, list[Run]] = defaultdict(list)
        for run in sorted(runs, key=lambda run: (method_order(run.method), run.variant, run.seed)):
            self.runs[run.method, run.variant].append(run)
        self.keys = tuple(self.runs)
        self.unlearned = tuple(key for key in self.keys if key[0] not in ANCHORS)
        self._draws: dict[tuple[Key, Cell], np.ndarray | None] = {}
        self._differences: dict[tuple[Key, Key, Cell], tuple[float, float]] = {}
        self._scores = {
            key: {(*cell_of(score), run.seed): score for run in runs for score in run.scores}
            for key, runs in self.runs.items()
        }

    def key(self, method: str) -> Key | None:
        """Returns the first row of a method, or None where it was not run."""
        return next((key for key in self.keys if key[0] == method), None)

    def entry(self, key: Key | None, cell: Cell) -> Entry:
        """Returns the mean over seeds of one cell, without marks."""
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
        intervals = [score["ci95"] for score in scores]
        if any(end is None for interval in intervals for end in interval):
            return Entry(**mean)
        low, high = np.mean(intervals, axis=0)
        return Entry(low=float(low), high=float(high), **mean)

    def answers(self, key: Key, cell: Cell) -> paired.Answers | None:
        """Returns the score of each question, averaged over seeds; None where unknown."""
        seeds = self._answers[key]
        if any(cell not in one for one in seeds):
            return None
        return paired.mean_over_seeds([one[cell] for one in seeds])

    @functools.cached_property
    def _answers(self) -> dict[Key, list[dict[Cell, paired.Answers]]]:
        return {key: [paired.read_answers(run) for run in runs] for key, runs in self.runs.items()}

    def draws(self, key: Key, cell: Cell) -> np.ndarray | None:
        """Returns bootstrap means [RESAMPLES] of one row in one cell; all rows share the draws."""
        if (key, cell) not in self._draws:
            self._draws[key, cell] = paired.resample(self.answers(key, cell))
        return self._draws[key, cell]

    def paired(self, keys: Iterable[Key], cell: Cell) -> bool:
        """Tells whether these rows answered the same questions of one cell, of enough people."""
        asked = [self.answers(key, cell) for key in keys]
        same = all(one is not None and one.keys() == asked[0].keys() for one in asked)
        return same and paired.enough(asked[0])

    def difference(
        self, key: Key, other: Key, cell: Cell
    ) -> tuple[float, float, float, bool] | None:
        """Returns (difference, low, high, paired) of two rows in one cell.

        Paired by profile where the replies allow it, else the interval of a difference of two
        independent scores, which is wider (NaN where they have none). None where either was not
        measured.
        """
        first, second = self.entry(key, cell), self.entry(other, cell)
        if first.value is None or second.value is None:
            return None
        value = first.value - second.value
        if self.paired((key, other), cell):
            if (key, other, cell) not in self._differences:
                found = paired.difference(self.answers(key, cell), self.answers(other, cell))
                self._differences[key, other, cell] = found.low, found.high
            return value, *self._differences[key, other, cell], True
        if first.low is None or second.low is None:
            return value, math.nan, math.nan, False
        below = np.hypot(first.value - first.low, second.high - second.value)
        above = np.hypot(first.high - first.value, second.value - second.low)
        return value, value - float(below), value + float(above), False

    def like_vanilla(self, key: Key, cell: Cell) -> bool:
        """Tells whether a row cannot be told from vanilla in one cell."""
        vanilla = self.key("vanilla")
        if vanilla is None or key == vanilla:
            return False
        if self.paired((key, vanilla), cell):
            _, low, high, _ = self.difference(key, vanilla, cell)
            return low <= 0 <= high
        first, second = self.entry(key, cell), self.entry(vanilla, cell)
        if first.low is None or second.low is None:
            return False
        return first.low <= second.high and second.low <= first.high

    def best(self, cell: Cell) -> Key | None:
        """Returns the unlearning method that is better than every other one, or None.

        On the forget and test sets better means nearer to retain-only (lower, where there is no
        retain-only run), elsewhere higher; there only methods compete that can be told from
        vanilla on the forget set, or doing nothing would win. The lead counts only if it is
        distinguishable from each other method: the 95% interval of the paired difference
        excludes 0, or, without pairing, the intervals do not overlap.
        """
        measured = [key for key in self.unlearned if self.entry(key, cell).value is not None]
        if cell[0] not in FORGOTTEN_SETS:
            forget = "forget", *cell[1:]
            measured = [key for key in measured if not self.like_vanilla(key, forget)]
        if len(measured) < 2:
            return None
        target = self.key("retain_only") if cell[0] in FORGOTTEN_SETS else None
        if target and self.entry(target, cell).value is None:
            target = None
        leader = min(measured, key=lambda key: self._gap(key, target, cell)[0])
        others = [key for key in measured if key != leader]
        return leader if all(self._leads(leader, key, target, cell) for key in others) else None

    def _gap(self, key: Key, target: Key | None, cell: Cell) -> tuple[float, float, float]:
        """Returns how far a row is from the ideal of one cell, with the range it may lie in."""
        entry = self._bounded(key, cell)
        if target is None:
            if cell[0] in FORGOTTEN_SETS:
                return entry.value, entry.low, entry.high
            return -entry.value, -entry.high, -entry.low
        goal = self._bounded(target, cell)
        low, high = entry.low - goal.high, entry.high - goal.low
        nearest = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
        return abs(entry.value - goal.value), nearest, max(abs(low), abs(high))

    def _bounded(self, key: Key, cell: Cell) -> Entry:
        """Returns a cell that may lie anywhere, where it has no interval."""
        entry = self.entry(key, cell)
        if entry.low is not None:
            return entry
        return dataclasses.replace(entry, low=-math.inf, high=math.inf)

    def _leads(self, leader: Key, other: Key, target: Key | None, cell: Cell) -> bool:
        involved = [leader, other] + ([target] if target else [])
        if not self.paired(involved, cell):
            return self._gap(leader, target, cell)[2] < self._gap(other, target, cell)[1]
        first, second = self.draws(leader, cell), self.draws(other, cell)
        if target:
            goal = self.draws(target, cell)
            first, second = np.abs(first - goal), np.abs(second - goal)
        elif cell[0] not in FORGOTTEN_SETS:
            first, second = -first, -second
        return central_interval(first - second)[1] < 0

    def table(self, task: str, metric: str) -> Table:
        """Returns one metric of one task for every row and column, anchors first."""
        chance = Entry(CHANCE) if task == "classification" else Entry(None)
        rows = [Row("chance", "Chance", "chance", (), (chance,) * len(COLUMNS))]
        best = {column: self.best((column[0], task, column[1], metric)) for column in COLUMNS}
        for key in self.keys:
            entries = []
            for name, modality in COLUMNS:
                cell = name, task, modality, metric
                entry = self.entry(key, cell)
                if entry.value is not None:
                    entry = dataclasses.replace(
                        entry,
                        best=best[name, modality] == key,
                        like_vanilla=self.like_vanilla(key, cell),
                    )
                entries.append(entry)
            kind = "anchor" if key[0] in ANCHORS else "method"
            seeds = tuple(run.seed for run in self.runs[key])
            rows.append(Row(key[0], method_label(*key), kind, seeds, tuple(entries)))
        title = f"{TASK_LABELS[task]}: {METRIC_LABELS.get(metric, clean_text(metric))}"
        return Table(task, metric, title, tuple(rows))

    @property
    def protocol(self) -> str:
        """Returns the protocol, which is that of all runs."""
        return next(run.protocol for runs in self.runs.values() for run in runs)

    @functools.cached_property
    def headline_tables(self) -> tuple[Table, ...]:
        """Returns one table a task, in its headline metric under the runs' protocol."""
        headline = HEADLINES.get(self.protocol, HEADLINES["strict"])
        return tuple(self.table(task, headline[task]) for task in TASKS)

    @functools.cached_property
    def all_tables(self) -> tuple[Table, ...]:
        """Returns one table for every task and metric that any run reports."""
        found = {
            (score["task"], score["metric"])
            for runs in self.runs.values()
            for run in runs
            for score in run.scores
        }
        order = [(task, metric) for task in TASKS for metric in METRICS[task]]
        order += sorted(found - set(order))
        return tuple(self.table(*pair) for pair in order if pair in found)


def compare(runs: Iterable[Run]) -> tuple[Comparison, ...]:
    """Returns one comparison a forget split; runs without a split belong to each of them."""
    runs = tuple(runs)
    splits = sorted({run.forget for run in runs if run.forget is not None})
    return tuple(
        Comparison(split, (run for run in runs if run.forget in (split, None)))
        for split in splits or [None] * bool(runs)
    )


def cell_of(score: dict) -> Cell:
    """Returns the cell a score object of results.json belongs to."""
    return Cell(score["set"], score["task"], score["modality"], score["metric"])


def direction(set_name: str) -> str:
    """Returns the arrow of a set: down where the method should forget, up elsewhere."""
    return "↓" if set_name in FORGOTTEN_SETS else "↑"


def percent(value: float | None) -> str:
    """Returns a fraction as a percentage with one digit, or a dash."""
    return "–" if value is None else f"{100 * value:.1f}"


MARKING_RULE = (
    "Percentages; small numbers are 95% bootstrap intervals over profiles. ↓ forget and test: "
    "lower, but the target is retain-only, the model that never saw these people; below it is no "
    "better. ↑ retain and celebrity: higher is better. Bold: the unlearning method nearest to "
    "retain-only (forget, test), or the highest of those that can be told from vanilla on the "
    "forget set (retain, celebrity), only where it can be told from every other. ≈: cannot be "
    "told from vanilla. Two rows can be told apart when the 95% interval of their difference, "
    "paired by profile (at least six), excludes 0; where the replies are not there to be paired, "
    "when their intervals do not overlap. No correction for many comparisons."
)
SEED_RULE = (
    "Several seeds: a cell is the mean over seeds and so is each end of its interval; it shows "
    "the sampling of people within a seed, not the spread between seeds, which the trade-off "
    "figure shows."
)
