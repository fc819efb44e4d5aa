"""The runs of a report with their records: the rows of the tables, and the ablations."""

import functools
from typing import Any

from mllm.benchmarks import subject
from mllm.benchmarks.photo.importers import IMPORTERS
from mllm.benchmarks.photo.report.layout import (
    BRACKETS,
    CONTROLS,
    FUSED,
    HEADLINE,
    ORDER,
    READING,
    encoder_of,
    layout_of,
    variant_of,
)
from mllm.benchmarks.photo.scores import ALL
from mllm.benchmarks.subject import Record
from mllm.reporting import compared
from mllm.reporting.axes import in_order
from mllm.reporting.compared import Compared
from mllm.reporting.comparison import Comparison, Entry
from mllm.reporting.layout import Cell
from mllm.reporting.runs import Run


class Subject(subject.Subject):
    """One row of the tables."""

    @property
    def run(self) -> Run:
        """Return the run of the first seed."""
        return self.runs[0]

    def asked(self, reading: str = READING) -> list[Record]:
        """Return the records of a reading with the first seed."""
        return [record for record in self.records[0] if record["reading"] == reading]

    @property
    def encoder(self) -> str:
        """Return the one encoder that the method keeps, or ""."""
        return encoder_of(self.run)


class Study:
    """The runs of one comparison.

    Attributes:
      subjects: the rows of the tables: the runs of each method that change nothing else.
      ablations: further runs of methods, whose objective has a variant.
      topics, readings: the values of the axes that have scores, topics without all of them.
    """

    def __init__(self, comparison: Comparison, benchmark: Any | None = None):
        runs = [run for seeds in comparison.runs.values() for run in seeds]
        layout = layout_of(comparison.layout, runs)
        self.comparison = Comparison(layout, comparison.group, runs, under=comparison.under)
        self.benchmark = benchmark
        rows, self.ablations = [], []
        for key, seeds in self.comparison.runs.items():
            changed = bool(variant_of(seeds[0]))
            name = layout.label(*key) if changed else layout.label(key[0])
            (self.ablations if changed else rows).append(Subject(key, name, tuple(seeds)))
        self.subjects = tuple(rows)
        self.topics = [v for v in layout.axis("topic").labels if v != ALL]
        self.readings = [*layout.axis("reading").labels]

    @property
    def imported(self) -> bool:
        """Return whether the questions were imported, not made from records of edits."""
        section = self.subjects[0].run.config.get("benchmark") or {}
        return section.get("config") in IMPORTERS

    @functools.cached_property
    def models(self) -> tuple[Subject, ...]:
        """Return the rows that are neither brackets nor controls."""
        return tuple(one for one in self.subjects if one.key[0] not in {**BRACKETS, **CONTROLS})

    @property
    def controls(self) -> tuple[Subject, ...]:
        """Return the fused model with another picture, or none."""
        return tuple(one for one in self.subjects if one.key[0] in CONTROLS)

    @property
    def singles(self) -> tuple[Subject, ...]:
        """Return the models that keep one encoder."""
        return tuple(one for one in self.models if one.encoder)

    def subject(self, method: str) -> Subject | None:
        """Return the row of a method, None where it was not run."""
        return next((one for one in self.subjects if one.key[0] == method), None)

    @functools.cached_property
    def fused(self) -> Subject | None:
        """Return the row that the others are compared with."""
        return self.subject(FUSED)

    @functools.cached_property
    def best_single(self) -> Subject | None:
        """Return the most accurate of the models that keep one encoder."""
        scored = [one for one in self.singles if self.entry(one).value is not None]
        return max(scored, key=lambda one: self.entry(one).value, default=None)

    def subtopics(self, topic: str) -> list[str]:
        """Return the sub-topics of a topic that have scores."""
        return in_order(
            (cell[1] for cell in self.comparison.cells if cell[0] == topic and cell[1] != ALL),
            ORDER["subtopic"],
        )

    def cell(
        self,
        metric: str = HEADLINE,
        topic: str = ALL,
        subtopic: str = ALL,
        reading: str = READING,
    ) -> Cell:
        """Return the cell of a metric; axes that are not given are those of the headline."""
        places = {"topic": topic, "subtopic": subtopic, "reading": reading}
        return self.comparison.layout.make_cell(places, metric)

    def entry(self, subject: Subject | None, metric: str = HEADLINE, **places: str) -> Entry:
        """Return the score of a row, without a value where it was not run or not measured."""
        if subject is None:
            return Entry(None)
        return self.comparison.entry(subject.key, self.cell(metric, **places))

    def compare(
        self, one: Subject | None, other: Subject | None, metric: str = HEADLINE, **places: str
    ) -> Compared | None:
        """Return how two rows differ, on the same questions where both answered them; None where
        one was not measured.
        """
        if one is None or other is None:
            return None
        return compared.compare(self.comparison, one.key, other.key, self.cell(metric, **places))

    def clusters(self, subject: Subject) -> int:
        """Return the number of sources of the photographs of a row's questions."""
        return len({place[0] for place in self.comparison.answers(subject.key, self.cell()) or ()})
