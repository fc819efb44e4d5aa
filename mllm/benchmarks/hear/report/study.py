"""The runs of a report with their records: the rows of the tables."""

import dataclasses
from typing import Any

from mllm.benchmarks.hear.probed import ALL
from mllm.benchmarks.hear.report.layout import (
    BRACKETS,
    CAPTIONS,
    CONTROLS,
    HEADLINE,
    ORDERS,
    RELATION_TASK,
    label,
)
from mllm.benchmarks.subject import Subject
from mllm.reporting import compared
from mllm.reporting.axes import axes_of, in_order
from mllm.reporting.compared import Compared
from mllm.reporting.comparison import Comparison, Entry
from mllm.reporting.layout import Cell


class Study:
    """The runs of one comparison.

    Attributes:
      subjects: the rows of the tables. models: those that are neither brackets nor controls.
      benchmark: the data set; None where it is not on this machine.
    """

    def __init__(self, comparison: Comparison, benchmark: Any | None = None):
        runs = [run for seeds in comparison.runs.values() for run in seeds]
        layout = dataclasses.replace(
            comparison.layout, axes=axes_of(comparison.layout, runs, ORDERS, label)
        )
        self.comparison = Comparison(layout, comparison.group, runs, under=comparison.under)
        self.benchmark = benchmark
        self.subjects = tuple(
            Subject(key, layout.label(*key), tuple(seeds))
            for key, seeds in self.comparison.runs.items()
        )
        around = {**BRACKETS, **CONTROLS}
        self.models = tuple(one for one in self.subjects if one.method not in around)

    @property
    def main(self) -> Subject | None:
        """Return the model that was taught by captions alone, or the first one."""
        return self.subject(CAPTIONS) or next(iter(self.models), None)

    def subject(self, method: str) -> Subject | None:
        """Return the first row of a method, None where it was not run."""
        return next((one for one in self.subjects if one.method == method), None)

    def values(self, axis: str, task: str = RELATION_TASK) -> list[str]:
        """Return the values of an axis that a task has scores for, in the order of the tables;
        differences between conditions are left out.
        """
        place = self.comparison.layout.axis_names.index(axis)
        found = {cell[place] for cell in self.comparison.cells if cell[0] == task}
        known = ORDERS[axis]
        return in_order((v for v in found if v in known or "-" not in v), known)

    def cell(
        self,
        metric: str = HEADLINE,
        task: str = RELATION_TASK,
        relation: str = ALL,
        condition: str = "A",
    ) -> Cell:
        """Return the cell of a metric."""
        places = {"task": task, "relation": relation, "condition": condition}
        return self.comparison.layout.make_cell(places, metric)

    def entry(self, subject: Subject | None, metric: str = HEADLINE, **places: str) -> Entry:
        """Return the score of a row, without a value where it was not run or not measured."""
        if subject is None:
            return Entry(None)
        return self.comparison.entry(subject.key, self.cell(metric, **places))

    def gap(self, subject: Subject | None, relation: str, pair: str) -> Compared | None:
        """Return the accuracy of a row in one condition less that in another, question by question;
        None where it was not measured.

        Args:
          pair: such as "T-A".
        """
        entry = self.entry(subject, "gap", relation=relation, condition=pair)
        if entry.value is None:
            return None
        low, high = (float("nan") if end is None else end for end in (entry.low, entry.high))
        cell = self.cell("gap", relation=relation, condition=pair)
        seeds = compared.by_seed(self.comparison, subject.key, cell)
        return Compared(entry.value, low, high, seeds)

    def compare(
        self, one: Subject | None, other: Subject | None, metric: str = HEADLINE, **places: str
    ) -> Compared | None:
        """Return how two rows differ on the same questions; None where one was not measured."""
        if one is None or other is None:
            return None
        return compared.compare(self.comparison, one.key, other.key, self.cell(metric, **places))
