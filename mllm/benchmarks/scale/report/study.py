"""The runs of a report with their records, models by size, and the pair that is compared."""

import dataclasses
import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mllm.benchmarks.scale.failures import vocabulary
from mllm.benchmarks.scale.gap import Gap, gaps
from mllm.benchmarks.scale.item import Item
from mllm.benchmarks.scale.outcomes import Outcome, Outcomes
from mllm.benchmarks.scale.report.layout import BRACKETS, layout_of, listed_models, parameters
from mllm.benchmarks.scale.score import Record, headline, parsed
from mllm.benchmarks.scale.scorers import RIGHT
from mllm.benchmarks.scale.taxonomy import Cell
from mllm.evaluation.store import RECORDS
from mllm.files import read_jsonl
from mllm.reporting.comparison import Comparison
from mllm.reporting.layout import Key
from mllm.reporting.runs import Run

_JOINT = "\t"  # imported capabilities may hold any visible character


@dataclasses.dataclass(frozen=True)
class Subject:
    """One row of the tables with the records of its first seed.

    Attributes:
      parameters: of its model; None where they are not known.
    """

    key: Key
    label: str
    run: Run
    records: list[Record]
    parameters: float | None


class Study:
    """The runs of one comparison.

    Attributes:
      comparison: the runs, with models in the order of their size.
      subjects: every row.
      models: the rows that are no brackets.
      by_reply: whether models are compared by their parsed replies. That is so where one of them
        has no log-probabilities of options, which a service does not give.
      large, small: the pair that is compared, or None.
      refusal: why there is no pair, or "".
    """

    def __init__(self, comparison: Comparison, benchmark: Any | None = None):
        runs = [run for seeds in comparison.runs.values() for run in seeds]
        layout = layout_of(comparison.layout, runs)
        self.comparison = Comparison(layout, comparison.group, runs)
        self.subjects = tuple(_subject(self.comparison, key) for key in self.comparison.keys)
        self.models = tuple(one for one in self.subjects if one.key[0] not in BRACKETS)
        forms = [{record["form"] for record in one.records} for one in self.models]
        self.by_reply = any("letter" in asked and "options" not in asked for asked in forms)
        self._benchmark = benchmark
        self._items: dict[str, Item] = {}
        self.large = self.small = None
        self.refusal = ""
        try:
            self.large, self.small = choose_pair(self.models)
            self.gaps(lambda cell: "")
        except ValueError as error:
            self.large = self.small = None
            self.refusal = str(error)

    @property
    def metric(self) -> str:
        """Return the metric of the tables."""
        return "parsed" if self.by_reply else "score"

    def subject(self, method: str) -> Subject | None:
        """Return the first row of a method, None where it was not run."""
        return next((one for one in self.subjects if one.key[0] == method), None)

    def asked(self, subject: Subject) -> list[Record]:
        """Return the record of each item that its score is of: that of the default wording."""
        first = [record for record in subject.records if record["variant"] == 0]
        return list(parsed(first) if self.by_reply else headline(first))

    def outcomes(self, subject: Subject) -> Outcomes:
        """Return the answers of a row in the form in which two are compared."""
        return Outcomes(
            method=subject.label,
            data=subject.run.data_fingerprint,
            by_item={record["item"]: _outcome(record) for record in self.asked(subject)},
        )

    def unlike(self) -> list[str]:
        """Return the labels of the models that were not asked what most of them were."""
        kinds = defaultdict(list)
        for one in self.models:
            keys = tuple(sorted(record["key"] for record in self.asked(one)))
            kinds[keys].append(one.label)
        kept = max(kinds.values(), key=len, default=[])
        return [one.label for one in self.models if one.label not in kept]

    def gaps(self, by: Callable[[Cell], str]) -> list[Gap]:
        """Return the differences large - small by a name of the cell.

        Raises:
          ValueError: the two were not asked the same, or nothing was recorded.
        """
        found = gaps(self.outcomes(self.large), self.outcomes(self.small), by=by)
        if not found:
            raise ValueError(
                f"{self.large.label} and {self.small.label} have no {RECORDS}; evaluate them again"
            )
        return found

    @functools.cached_property
    def overall(self) -> Gap:
        """Return the difference over all items."""
        return self.gaps(lambda cell: "")[0]

    @functools.cached_property
    def by_capability(self) -> dict[tuple[str, str], Gap]:
        """Return the difference in each (suite, capability)."""
        return by_place(self.gaps(place_of))

    @functools.cached_property
    def by_cell(self) -> dict[Cell, Gap]:
        """Return the difference in each cell."""
        return by_place(self.gaps(_JOINT.join))

    @property
    def has_items(self) -> bool:
        """Return whether the items are on this machine."""
        return self._benchmark is not None

    def item(self, id: str) -> Item:
        """Return an item without its pictures, which stay on disk."""
        if id not in self._items:
            whole = self._benchmark.item(id)
            self._items[id] = dataclasses.replace(whole, pictures=(), twin_pictures=())
        return self._items[id]

    def pictures(self, id: str) -> tuple[bytes, ...]:
        """Return the encoded pictures of an item, none where it is not on this machine."""
        return self._benchmark.item(id).pictures if self._benchmark else ()

    @functools.cached_property
    def names(self) -> frozenset[str]:
        """Return the names of all objects that the items show."""
        ids = {record["item"] for one in self.models for record in one.records}
        return vocabulary(self.item(id) for id in sorted(ids))


def place_of(cell: Cell) -> str:
    """Return the name of a cell's suite and capability; see ``by_place``."""
    return _JOINT.join((cell[0], cell[2]))


def by_place(found: Iterable[Gap]) -> dict[tuple[str, ...], Gap]:
    """Return differences by the parts of their groups' names."""
    return {tuple(gap.group.split(_JOINT)): gap for gap in found}


def choose_pair(models: Sequence[Subject]) -> tuple[Subject, Subject]:
    """Return (large, small): the models that the configuration names (``report.large`` and
    ``report.small``), else the last and the first.

    Args:
      models: the smallest first.

    Raises:
      ValueError: there are no two models of different size, or one that is named was not run.
    """
    named = _named(models)
    picked = []
    for name, place in (("large", -1), ("small", 0)):
        if named.get(name):
            found = [one for one in models if one.key[0] == named[name]]
            if not found:
                known = ", ".join(one.label for one in models) or "none"
                raise ValueError(
                    f"config.report.{name} is {named[name]!r}, expected one of the models: {known}"
                )
            picked.append(found[0])
        elif models and _have_an_order(models):
            picked.append(models[place])
    alike = len({one.parameters for one in picked}) == 1 and picked[0].parameters
    if len(picked) < 2 or picked[0] is picked[1] or (alike and not named):
        raise ValueError(
            "that needs two models of different size; where the numbers of parameters are not all "
            "known, config.compared lists the models by size"
        )
    return picked[0], picked[1]


def _have_an_order(models: Sequence[Subject]) -> bool:
    listed = listed_models(one.run for one in models)
    return all(one.parameters for one in models) or {one.key[0] for one in models} <= {*listed}


def _named(models: Iterable[Subject]) -> dict[str, str]:
    for one in models:
        chosen = one.run.config.get("report")
        if isinstance(chosen, dict):
            return {name: chosen[name] for name in ("large", "small") if chosen.get(name)}
    return {}


def _subject(comparison: Comparison, key: Key) -> Subject:
    run = comparison.runs[key][0]
    return Subject(key, comparison.label(key), run, read_jsonl(run.records_path), parameters(run))


def _outcome(record: Record) -> Outcome:
    return Outcome(
        cell=(record["suite"], record["format"], record["capability"]),
        prompt=record["key"],
        value=record["value"],
        right=record["value"] is not None and record["value"] >= RIGHT,
        answer=record["parsed"],
    )
