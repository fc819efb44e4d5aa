"""The runs of a report with their records: the rows of the tables, and the ablations."""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any

from mllm.benchmarks.msr.report.layout import BRACKETS, HEADLINE, RECOMMENDER, layout_of
from mllm.benchmarks.msr.scores import ALL, users_of
from mllm.files import read_jsonl
from mllm.reporting import compared
from mllm.reporting.compared import Compared
from mllm.reporting.comparison import Comparison, Entry
from mllm.reporting.layout import Cell, Key
from mllm.reporting.runs import Run

Record = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Subject:
    """One row of the tables, with the records of its first seed."""

    key: Key
    label: str
    run: Run

    @functools.cached_property
    def users(self) -> dict[str, list[Record]]:
        """Return the records of each user's candidates, the target first."""
        return users_of(read_jsonl(self.run.records_path))

    @property
    def reading(self) -> Mapping[str, Any]:
        """Return how items and users were put into words for it."""
        return self.run.manifest.get("reading") or {}


class Study:
    """The runs of one comparison.

    Attributes:
      subjects: the rows of the tables: the first run of each method and seed.
      ablations: further runs of methods, which change something: their objective has a variant.
      targets, histories: the values of the axes that have scores, without those over all.
    """

    def __init__(self, comparison: Comparison, benchmark: Any | None = None):
        runs = [run for seeds in comparison.runs.values() for run in seeds]
        layout = layout_of(comparison.layout, runs)
        self.comparison = Comparison(layout, comparison.group, runs, under=comparison.under)
        self.benchmark = benchmark
        rows, self.ablations = [], []
        # Of several runs of a method, the one that changes nothing stands for it.
        plain_first = sorted(self.comparison.runs.items(), key=lambda pair: _variant(pair[1][0]))
        for key, seeds in plain_first:
            first = key[0] not in {row.key[0] for row in rows}
            changed = not first and bool(_variant(seeds[0]))
            name = layout.label(key[0]) if first else layout.label(*key)
            (self.ablations if changed else rows).append(Subject(key, name, seeds[0]))
        self.subjects = tuple(sorted(rows, key=lambda row: self.comparison.keys.index(row.key)))
        self.targets, self.histories = (
            [value for value in layout.axis(axis).labels if value != ALL]
            for axis in layout.axis_names
        )

    @property
    def models(self) -> tuple[Subject, ...]:
        """Return the rows that are no brackets."""
        return tuple(one for one in self.subjects if one.key[0] not in BRACKETS)

    def subject(self, method: str) -> Subject | None:
        """Return the first row of a method, None where it was not run."""
        return next((one for one in self.subjects if one.key[0] == method), None)

    @functools.cached_property
    def recommender(self) -> Subject | None:
        """Return the row that the others are compared with."""
        return self.subject(RECOMMENDER)

    @functools.cached_property
    def candidates(self) -> int:
        """Return how many candidates each user has, 0 where there are no records."""
        for one in (*self.subjects, *self.ablations):
            for rows in one.users.values():
                return len(rows)
        return 0

    def cell(self, metric: str = HEADLINE, target: str = ALL, history: str = ALL) -> Cell:
        """Return the cell of a metric; axes that are not given are over all values."""
        return self.comparison.layout.make_cell({"target": target, "history": history}, metric)

    def entry(self, subject: Subject | None, metric: str = HEADLINE, **places: str) -> Entry:
        """Return the score of a row, without a value where it was not run or not measured."""
        if subject is None:
            return Entry(None)
        return self.comparison.entry(subject.key, self.cell(metric, **places))

    def compare(
        self, one: Subject | None, other: Subject | None, metric: str = HEADLINE, **places: str
    ) -> Compared | None:
        """Return how two rows differ, by the same users where both answered them; None where one
        was not measured.
        """
        if one is None or other is None:
            return None
        return compared.compare(self.comparison, one.key, other.key, self.cell(metric, **places))


def _variant(run: Run) -> str:
    return (run.config.get("objective") or {}).get("variant") or ""


def ends(entry: Entry) -> tuple[float, float, float]:
    """Return value and interval in percent, NaN where there is none."""
    found = (entry.value, entry.low, entry.high)
    return tuple(math.nan if value is None else 100 * value for value in found)
