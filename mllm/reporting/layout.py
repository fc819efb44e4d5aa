"""What reporting needs to know of a benchmark: the names, order and roles of what it compares."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mllm.evaluation.places import OWN_KEYS
from mllm.reporting.text import clean_text

BRACKETS = ("oracle", "random", "blind")
_PALETTE = ("#8C6BB1", "#A6761D", "#4D9221", "#C51B7D", "#7F7F7F", "#1B7837")
_MARKERS = ("v", "X", "p", "h", "<", ">")

Key = tuple[str, str]  # method, variant
Cell = tuple[str, ...]  # the value on each axis, then the metric
Place = tuple[Any, ...]  # identifies a question in every run; its first item is the cluster
Answers = Mapping[Place, float]  # question of a cell -> score of its answer


@dataclasses.dataclass(frozen=True)
class Axis:
    """One axis of the scores.

    Attributes:
      name: its key in results.json.
      labels: value -> what a reader sees, in the order of the tables. An axis without labels takes
        any value, in the order of the files.
      short: value -> a shorter label for narrow tables.
      arrows: value -> "↑" or "↓", what is better there; shown after the label.
    """

    name: str
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    short: Mapping[str, str] = dataclasses.field(default_factory=dict)
    arrows: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def label(self, value: str, *, short: bool = False, arrow: bool = False) -> str:
        """Return what a reader sees for a value."""
        label = self.labels.get(value) or clean_text(value, 40)
        label = self.short.get(value, label) if short else label
        return f"{label} {self.arrows[value]}" if arrow and value in self.arrows else label


@dataclasses.dataclass(frozen=True)
class Group:
    """Which runs stand in the same tables: those that agree on one key of their results.

    Attributes:
      key: the key of the run in results.json; runs without a value belong to every group.
      name: head of the column that shows it.
      label: how a heading names a group; "{}" is its value.
      value: how a column shows a value.
    """

    key: str
    name: str
    label: str = "{}"
    value: str = "{}"


@dataclasses.dataclass(frozen=True)
class Style:
    """How figures draw a method; the colours "ink" and "muted" are those of the theme."""

    colour: str
    marker: str = "o"


@dataclasses.dataclass(frozen=True)
class Mark:
    """How a cell of a table is marked: bold if `strong`, and with a sign after its number."""

    strong: bool = False
    sign: str = ""


@dataclasses.dataclass(frozen=True)
class Marking:
    """The marks of the tables and what they mean.

    Attributes:
      of: (``mllm.reporting.comparison.Comparison``, cell) -> the marks of the rows that have any.
      rule: a paragraph that defines the marks.
      legend: one line for a terminal, where an asterisk stands for bold.
      signs: sign -> its meaning.
    """

    of: Callable[[Any, Cell], Mapping[Key, Mark]]
    rule: str = ""
    legend: str = ""
    signs: Mapping[str, str] = dataclasses.field(default_factory=dict)


def _no_marks(comparison: Any, cell: Cell) -> Mapping[Key, Mark]:
    return {}


@dataclasses.dataclass(frozen=True)
class Layout:
    """Names, order and roles of what a benchmark compares.

    Attributes:
      title: of the report.
      axes: of the scores, in the order of results.json. Without them the axes are those that the
        files name.
      tables: axes whose values have tables of their own; by default all that `columns` leaves.
      columns: axes that make the columns, outermost first; by default the last axis.
      methods: method -> label, in the order of the tables; other methods follow by name.
      anchors: methods that the others are compared with.
      brackets: methods that bound what can be reached.
      unevaluated: methods whose runs may have no scores, such as weights that a study starts from.
      group: which runs stand in the same tables; None puts all in the same.
      metrics: metric -> label, in the order of the tables.
      headline: (values of the axes in `tables`, protocol) -> the metric that stands for a table;
        by default the first.
      chance: cell -> the score of guessing, or None; without it no table has such a row.
      marking: the marks of the tables.
      question_values: (records of replies, protocol) -> cell -> question -> score; lets rows be
        compared on the same questions.
      clusters: what intervals resample, in the plural.
      own_keys: keys of an evaluation's manifest that may differ between runs of one table.
      styles: method -> how figures draw it.
    """

    title: str = "Report"
    axes: tuple[Axis, ...] = ()
    tables: tuple[str, ...] | None = None
    columns: tuple[str, ...] | None = None
    methods: Mapping[str, str] = dataclasses.field(default_factory=dict)
    anchors: tuple[str, ...] = ()
    brackets: tuple[str, ...] = BRACKETS
    unevaluated: tuple[str, ...] = ()
    group: Group | None = None
    metrics: Mapping[str, str] = dataclasses.field(default_factory=dict)
    headline: Callable[[tuple[str, ...], str], str] | None = None
    chance: Callable[[Cell], float | None] | None = None
    marking: Marking = Marking(_no_marks)
    question_values: Callable[[list[dict], str], Mapping[Cell, Answers]] | None = None
    clusters: str = "clusters"
    own_keys: tuple[str, ...] = OWN_KEYS
    styles: Mapping[str, Style] = dataclasses.field(default_factory=dict)

    @property
    def axis_names(self) -> tuple[str, ...]:
        """Return the keys of the axes in a score."""
        return tuple(axis.name for axis in self.axes)

    @property
    def column_axes(self) -> tuple[str, ...]:
        """Return the axes that make columns."""
        return self.axis_names[-1:] if self.columns is None else self.columns

    @property
    def table_axes(self) -> tuple[str, ...]:
        """Return the axes whose values have tables of their own."""
        if self.tables is not None:
            return self.tables
        return tuple(name for name in self.axis_names if name not in self.column_axes)

    def axis(self, name: str) -> Axis:
        """Return the axis of a name."""
        return next(axis for axis in self.axes if axis.name == name)

    def cell(self, score: Mapping[str, Any]) -> Cell:
        """Return the cell that a score of results.json belongs to."""
        return (*(score[name] for name in self.axis_names), score["metric"])

    def make_cell(self, values: Mapping[str, str], metric: str) -> Cell:
        """Return the cell of the given value on each axis."""
        return (*(values[name] for name in self.axis_names), metric)

    def with_axes(self, names: Iterable[str]) -> Layout:
        """Return the layout with the axes of files, for a layout without its own."""
        return dataclasses.replace(self, axes=tuple(Axis(name) for name in names))

    def kind(self, method: str) -> str:
        """Return "bracket", "anchor" or "method"."""
        if method in self.brackets:
            return "bracket"
        return "anchor" if method in self.anchors else "method"

    def order(self, method: str) -> tuple[int, int, str]:
        """Return a sort key: brackets and anchors first, then the order of `methods`."""
        kind = ("bracket", "anchor", "method").index(self.kind(method))
        known = [*self.methods]
        for listed in (known, [*self.brackets], [*self.anchors]):
            if method in listed:
                return kind, listed.index(method), ""
        return kind, len(known), method

    def label(self, method: str, variant: str = "") -> str:
        """Return the name a reader sees for a method."""
        label = self.methods.get(method)
        if label is None and method in self.brackets:
            label = method.capitalize()
        label = label or clean_text(method, 40)
        return f"{label} ({clean_text(variant, 60)})" if variant else label

    def metric_label(self, metric: str) -> str:
        """Return the name a reader sees for a metric."""
        return self.metrics.get(metric) or clean_text(metric, 40)

    def style(self, method: str, methods: Iterable[str]) -> Style:
        """Return how figures draw a method; those without a style take theirs by their place."""
        if method in self.styles:
            return self.styles[method]
        later = sorted(set(methods) - set(self.styles) | {method})
        place = later.index(method)
        marker = "*" if self.kind(method) != "method" else _MARKERS[place % len(_MARKERS)]
        return Style(_PALETTE[place % len(_PALETTE)], marker)
