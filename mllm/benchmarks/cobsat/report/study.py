"""The runs of a report with their records, and which of them are scored."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

from mllm.benchmarks.cobsat.report.layout import BRACKETS, DRAWER, ORDER, layout_of
from mllm.benchmarks.cobsat.report.published import TASK_NAMES
from mllm.benchmarks.cobsat.scores import ALL, DETAILS, METRICS, OBJECTS
from mllm.data.conversation import Media
from mllm.evaluation import kept_media
from mllm.files import read_jsonl
from mllm.reporting import paired
from mllm.reporting.axes import in_order
from mllm.reporting.comparison import Comparison, Entry
from mllm.reporting.layout import Key
from mllm.reporting.runs import Run

DEFAULT = "default"  # the type of prompts that all else is compared with
SUMS = (ALL, OBJECTS, DETAILS)
Record = Mapping[str, Any]
Values = dict[tuple, float]  # (sample, …) -> value; what it holds says which question it is


@dataclasses.dataclass(frozen=True)
class Subject:
    """One row of the tables, with the records of its first seed."""

    key: Key
    label: str
    run: Run

    @functools.cached_property
    def records(self) -> list[Record]:
        """Return the records, which have one prompt in one mode each."""
        return read_jsonl(self.run.records_path)

    @functools.cached_property
    def modes(self) -> frozenset[str]:
        """Return the modes in which it has scores: without a judge, drawings have none."""
        return frozenset(s["mode"] for s in self.run.scores if s["metric"] == METRICS[0])

    def asked(self, **places: str) -> list[Record]:
        """Return the records of some values of axes that have scores."""
        return [
            record
            for record in self.records
            if record["mode"] in self.modes
            and all(record[name] == value for name, value in places.items())
        ]

    def picture(self, record: Record) -> Media | None:
        """Return the drawing of a record, None where there is none or its file is gone."""
        if not record.get("picture"):
            return None
        return kept_media.find(self.run.records_path.parent, record["picture"])


class Study:
    """The runs of one comparison.

    Attributes:
      subjects: every row.
      models: the rows that are no brackets.
      data: the data mode, which is that of all runs.
      tasks, shots, prompts, modes: what any row has scores of, without those over all values.
    """

    def __init__(self, comparison: Comparison, benchmark: Any | None = None):
        runs = [run for seeds in comparison.runs.values() for run in seeds]
        layout = layout_of(comparison.layout, runs)
        self.comparison = Comparison(layout, comparison.group, runs, under=comparison.under)
        self.benchmark = benchmark
        self.subjects = tuple(
            Subject(key, self.comparison.label(key), self.comparison.runs[key][0])
            for key in self.comparison.keys
        )
        self.models = tuple(one for one in self.subjects if one.key[0] not in BRACKETS)
        scored = [cell for cell in self.comparison.cells if cell[-1] == METRICS[0]]
        self.tasks, self.shots, self.prompts, self.modes = (
            tuple(
                v for v in in_order((cell[place] for cell in scored), ORDER[axis]) if v not in SUMS
            )
            for place, axis in enumerate(("task", "shots", "prompt", "mode"))
        )
        manifest = next((run.manifest for run in runs), {})
        self.data = (manifest.get("protocol") or {}).get("data", "")

    def subject(self, method: str) -> Subject | None:
        """Return the first row of a method, None where it was not run."""
        return next((one for one in self.subjects if one.key[0] == method), None)

    @functools.cached_property
    def drawer(self) -> Subject | None:
        """Return the model that the controls belong to, else the first model."""
        return self.subject(DRAWER) or next(iter(self.models), None)

    @property
    def whole(self) -> bool:
        """Return whether all ten tasks were asked, as published averages are over them."""
        return set(self.tasks) >= set(TASK_NAMES)

    @property
    def as_published(self) -> bool:
        """Return whether prompts are those of the published default setting."""
        return self.data == "default"

    def entry(self, subject: Subject, metric: str = METRICS[0], **places: str) -> Entry:
        """Return a cell; axes that are not given are over all values."""
        cell = self.comparison.layout.make_cell(
            {"task": ALL, "shots": ALL, "prompt": DEFAULT, **places}, metric
        )
        return self.comparison.entry(subject.key, cell)


@dataclasses.dataclass(frozen=True)
class Compared:
    """Two means over the same questions and their difference, first minus second; all NaN where
    they share no question.
    """

    n: int
    first: float
    second: float
    difference: float
    low: float
    high: float


def values_of(
    records: list[Record],
    metric: str = METRICS[0],
    also: Callable[[Record], tuple] = lambda record: (record["shots"], record["prompt"]),
) -> Values:
    """Return the value of each record by its sample and what else makes a question."""
    return {
        (record["cluster"], *also(record)): float(record["metrics"][metric]) for record in records
    }


def compare(first: Values, second: Values) -> Compared:
    """Compare two on the questions that both were asked; intervals resample samples."""
    shared = first.keys() & second.keys()
    places = sorted(shared, key=str)
    one, other = ({place: found[place] for place in places} for found in (first, second))
    nan = float("nan")
    if not places:
        return Compared(0, nan, nan, nan, nan, nan)
    found = paired.difference(one, other)
    low, high = (found.low, found.high) if paired.enough(one) else (nan, nan)
    means = [sum(values.values()) / len(values) for values in (one, other)]
    return Compared(len(places), *means, found.difference, low, high)
