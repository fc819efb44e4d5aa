"""Tables over any axes: which make rows, which columns, which tables of their own."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence

from mllm.reporting.comparison import Comparison, Entry
from mllm.reporting.layout import Cell, Key, Layout

METHOD = "method"


@dataclasses.dataclass(frozen=True)
class Column:
    """The labels of one column, outermost first; `short` ones are for narrow tables."""

    labels: tuple[str, ...]
    short: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of a table.

    `kind` is chance, bracket, anchor, method, axis, or reference for numbers from elsewhere; `note`
    may be "".
    """

    label: str
    kind: str
    note: str
    entries: tuple[Entry, ...]
    key: Key | None = None

    @property
    def measured(self) -> bool:
        """Return whether any cell holds a value."""
        return any(entry.value is not None for entry in self.entries)


@dataclasses.dataclass(frozen=True)
class Table:
    """One metric over rows and columns, in fractions of 1.

    Attributes:
      corner: what the rows are.
      heading: the group of runs, for a caption.
      rule: what the marks mean, for a caption.
      signs: sign -> its meaning.
      cells: of the columns, where methods make the rows.
      unit: of the numbers as they are shown, times 100.
    """

    title: str
    metric: str
    corner: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    heading: str = ""
    rule: str = ""
    signs: Mapping[str, str] = dataclasses.field(default_factory=dict)
    cells: tuple[Cell, ...] = ()
    unit: str = "%"

    @property
    def measured(self) -> bool:
        """Return whether any cell holds a measured value."""
        return any(row.measured for row in self.rows if row.kind not in ("chance", "reference"))

    @property
    def levels(self) -> int:
        """Return the number of header lines."""
        return len(self.columns[0].labels) if self.columns else 1


def table(
    comparison: Comparison,
    metric: str,
    fixed: Mapping[str, str],
    *,
    rows: str = METHOD,
    columns: Sequence[str] | None = None,
    title: str | None = None,
) -> Table:
    """Return one metric for every row and column.

    Args:
      fixed: the value of each axis that makes neither rows nor columns.
      rows: "method" or an axis.
      columns: axes, and "method" where `rows` is an axis; by default those of the layout.
      title: by default the fixed values and the metric.
    """
    layout = comparison.layout
    columns = layout.column_axes if columns is None else tuple(columns)
    _check_axes(layout, {*fixed, rows, *columns})
    places = list(_products(comparison, columns))
    made, cells = [], []
    if rows == METHOD:
        cells = [layout.make_cell({**fixed, **place}, metric) for place in places]
    if rows == METHOD and layout.chance:
        guesses = tuple(Entry(layout.chance(cell)) for cell in cells)
        made.append(Row("Chance", "chance", "", guesses))
    for value in _values(comparison, rows):
        entries = []
        for place in places:
            where = {**fixed, **place, rows: value}
            cell = layout.make_cell(where, metric)
            entries.append(comparison.marked_entry(where[METHOD], cell))
        made.append(_row(comparison, rows, value, tuple(entries)))
    return Table(
        title=_title(layout, metric, fixed) if title is None else title,
        metric=metric,
        corner=rows.capitalize(),
        columns=tuple(_column(layout, place) for place in places),
        rows=tuple(made),
        heading=comparison.heading,
        rule=layout.marking.rule,
        signs=layout.marking.signs,
        cells=tuple(cells),
    )


def headline_tables(comparison: Comparison) -> list[Table]:
    """Return the headline metric of every value of the layout's table axes, where measured."""
    layout = comparison.layout
    found = _measured(comparison)
    made = []
    for place in _products(comparison, layout.table_axes):
        values = tuple(place.values())
        metrics = [metric for one, metric in found if one == values]
        if layout.headline:
            metric = layout.headline(values, comparison.protocol)
        else:
            metric = next(iter(metrics), None)
        if metric is not None:
            made.append(table(comparison, metric, place))
    return [one for one in made if one.measured]


def all_tables(comparison: Comparison) -> list[Table]:
    """Return one table for every value of the table axes and every metric that any run reports."""
    names = comparison.layout.table_axes
    return [
        table(comparison, metric, dict(zip(names, values, strict=True)))
        for values, metric in _measured(comparison)
    ]


def percent(value: float | None) -> str:
    """Return a fraction as a percentage with one digit, or a dash."""
    return "–" if value is None else f"{100 * value:.1f}"


def _measured(comparison: Comparison) -> list[tuple[tuple[str, ...], str]]:
    """Return (values of the table axes, metric) of what was measured, in the order of tables."""
    layout = comparison.layout
    places = [layout.axis_names.index(name) for name in layout.table_axes]
    found = {(tuple(cell[p] for p in places), cell[-1]): None for cell in comparison.cells}
    axes = [comparison.values(name) for name in layout.table_axes]
    metrics = [*layout.metrics]

    def order(pair: tuple[tuple[str, ...], str]) -> tuple:
        values, metric = pair
        known = metrics.index(metric) if metric in metrics else len(metrics)
        return *(axis.index(one) for axis, one in zip(axes, values, strict=True)), known, metric

    return sorted(found, key=order)


def _check_axes(layout: Layout, named: set[str]) -> None:
    expected = {METHOD, *layout.axis_names}
    if named != expected:
        raise ValueError(
            f"a table names {sorted(named)} as rows, columns and fixed axes, expected each of "
            f"{sorted(expected)} once"
        )


def _products(comparison: Comparison, names: Sequence[str]) -> Iterator[dict]:
    for values in itertools.product(*(_values(comparison, name) for name in names)):
        yield dict(zip(names, values, strict=True))


def _values(comparison: Comparison, name: str) -> tuple:
    return comparison.keys if name == METHOD else comparison.values(name)


def _row(comparison: Comparison, rows: str, value, entries: tuple[Entry, ...]) -> Row:
    layout = comparison.layout
    if rows != METHOD:
        return Row(layout.axis(rows).label(value, arrow=True), "axis", "", entries)
    seeds = len(comparison.runs[value])
    note = f"{seeds} seeds" if seeds > 1 else ""
    return Row(comparison.label(value), layout.kind(value[0]), note, entries, value)


def _column(layout: Layout, place: Mapping) -> Column:
    labels = {False: [], True: []}
    for name, value in place.items():
        for short, made in labels.items():
            if name == METHOD:
                made.append(layout.label(*value))
            else:
                made.append(layout.axis(name).label(value, short=short, arrow=True))
    return Column(tuple(labels[False]), tuple(labels[True]))


def _title(layout: Layout, metric: str, fixed: Mapping[str, str]) -> str:
    values = ", ".join(layout.axis(name).label(value) for name, value in fixed.items())
    label = layout.metric_label(metric)
    return f"{values}: {label}" if values else label[:1].upper() + label[1:]
