"""Two studies side by side: the rows that both have, if they were evaluated alike."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from pathlib import Path

from mllm.reporting.collect import Sweep, benchmark_name, collect
from mllm.reporting.comparable import PLACE_KEYS, flatten, unlike
from mllm.reporting.comparison import Comparison, Entry
from mllm.reporting.families import Apart, family_of
from mllm.reporting.layout import Cell, Key, Layout
from mllm.reporting.runs import Run
from mllm.reporting.tables import Row, Table, headline_tables

FIRST, SECOND = "A", "B"  # what tables call the two studies


@dataclasses.dataclass(frozen=True)
class Pairing:
    """The runs of one group in both studies.

    Attributes:
      comparison: of all runs; the variant of a row names its study.
      pairs: method and variant -> its rows in the first and in the second study.
      alone: rows that only one study has, with its name.
    """

    comparison: Comparison
    pairs: Mapping[Key, tuple[Key, Key]]
    alone: tuple[tuple[Key, str], ...]

    @functools.cached_property
    def tested(self) -> Mapping[tuple[Key, Cell], Apart]:
        """Return the differences second minus first in the cells of the headline tables, where
        questions can be paired; their p-values are corrected for all of them at once.
        """
        cells = [cell for table in headline_tables(self.comparison) for cell in table.cells]
        members = {
            (key, cell): (second, first, [cell])
            for key, (first, second) in self.pairs.items()
            for cell in cells
        }
        return family_of(self.comparison, members)


def read_studies(
    workdir: str | Path, against: str | Path, layout: Layout
) -> tuple[Sweep, Sweep, list[Pairing]]:
    """Read two folders of runs and pair their rows.

    Raises:
      FileNotFoundError: a folder has no run.
      ValueError: they are of two benchmarks, or as ``pair_studies``.
    """
    names = [benchmark_name(folder) for folder in (workdir, against)]
    if names[0] != names[1]:
        raise ValueError(
            f"{against}: its runs are of benchmark {names[1]!r}, expected {names[0]!r} as in "
            f"{workdir}; compare studies of one benchmark"
        )
    first, second = (collect(folder, layout) for folder in (workdir, against))
    return first, second, pair_studies(first, second)


def pair_studies(first: Sweep, second: Sweep) -> list[Pairing]:
    """Return the pairing of each group that both studies have.

    Raises:
      ValueError: nothing can be compared: a study has no run in its tables, the two have no group
        or no method in common, or they were evaluated under unlike conditions.
    """
    for sweep in (first, second):
        if not sweep.runs:
            raise ValueError(
                f"{sweep.workdir}: no run can stand in a table, expected at least one evaluated "
                "run; experiments.report on this folder says what is missing"
            )
    theirs = {comparison.group: comparison for comparison in second.comparisons}
    both = [one for one in first.comparisons if one.group in theirs]
    # Without a group in common the conditions still say more than the names of the groups.
    for ours, other in [(one, theirs[one.group]) for one in both] or [
        (first.comparisons[0], second.comparisons[0])
    ]:
        _require_alike(first, second, ours, other)
    found = [_pairing(ours, theirs[ours.group]) for ours in both]
    found = [pairing for pairing in found if pairing.pairs]
    if not found:
        raise ValueError(
            f"{first.workdir} and {second.workdir} have no method in common in a table: "
            f"{_contents(first)}, and {_contents(second)}; compare studies of the same methods"
        )
    return found


def _require_alike(first: Sweep, second: Sweep, ours: Comparison, theirs: Comparison) -> None:
    run, like = (_any_run(comparison) for comparison in (theirs, ours))
    if how := unlike(run, like, first.layout):
        raise ValueError(
            f"{second.workdir} was evaluated under other conditions than {first.workdir}, so their "
            f"scores cannot be compared: {how}; evaluate one again under the conditions of the "
            "other with experiments.evaluate"
        )


def _any_run(comparison: Comparison) -> Run:
    return next(run for runs in comparison.runs.values() for run in runs)


def _contents(sweep: Sweep) -> str:
    groups = [
        f"{', '.join(comparison.label(key) for key in comparison.keys)}"
        + (f" ({comparison.heading})" if comparison.heading else "")
        for comparison in sweep.comparisons
    ]
    return f"{sweep.workdir.name} has {'; '.join(groups)}"


def _pairing(ours: Comparison, theirs: Comparison) -> Pairing:
    runs = [
        dataclasses.replace(run, variant=_named(run.variant, name))
        for comparison, name in ((ours, FIRST), (theirs, SECOND))
        for key in comparison.keys
        for run in comparison.runs[key]
    ]
    pairs = {
        (method, variant): ((method, _named(variant, FIRST)), (method, _named(variant, SECOND)))
        for method, variant in ours.keys
        if (method, variant) in theirs.runs
    }
    alone = [
        (key, name)
        for comparison, name in ((ours, FIRST), (theirs, SECOND))
        for key in comparison.keys
        if key not in pairs
    ]
    # Marks compare the rows of one study, and these tables hold two.
    layout = dataclasses.replace(ours.layout, marking=Layout().marking)
    return Pairing(Comparison(layout, ours.group, runs), pairs, tuple(alone))


def _named(variant: str, study: str) -> str:
    return f"{variant}, {study}" if variant else study


def difference_tables(pairing: Pairing) -> list[Table]:
    """Return the headline tables with the differences second minus first; bold if distinguishable.

    Rows without replies to pair have the interval of a difference of independent scores, and are
    never bold.
    """
    comparison = pairing.comparison
    return [
        dataclasses.replace(
            table,
            title=f"{table.title}, {SECOND} − {FIRST}",
            unit="points",
            rows=tuple(_difference_rows(pairing, table)),
        )
        for table in headline_tables(comparison)
    ]


def _difference_rows(pairing: Pairing, table: Table) -> list[Row]:
    comparison = pairing.comparison
    layout = comparison.layout
    rows = []
    for key, (first, second) in pairing.pairs.items():
        entries = [
            _difference(comparison, first, second, cell, pairing.tested.get((key, cell)))
            for cell in table.cells
        ]
        counts = [len(comparison.runs[one]) for one in (first, second)]
        alike = f"{counts[0]} seeds" if counts[0] > 1 else ""
        note = alike if counts[0] == counts[1] else f"{counts[0]} and {counts[1]} seeds"
        rows.append(Row(layout.label(*key), layout.kind(key[0]), note, tuple(entries), key))
    return rows


def _difference(
    comparison: Comparison, first: Key, second: Key, cell: Cell, apart: Apart | None
) -> Entry:
    found = comparison.difference(second, first, cell)
    if found is None:
        return Entry(None)
    value, low, high, _ = found
    if math.isnan(low):
        return Entry(value)
    return Entry(value, low, high, strong=apart is not None and apart.clear)


def changed_settings(first: Sweep, second: Sweep) -> dict[str, tuple[str, str]]:
    """Return the keys of the configurations that differ, with the value in each study, by the
    first run of each method that both have; "several" where methods differ in it.
    """
    ours, theirs = (
        {run.method: flatten(run.config) for run in reversed(sweep.runs)}
        for sweep in (first, second)
    )
    found: dict[str, tuple[str, str]] = {}
    for method in [method for method in ours if method in theirs]:
        for key in ours[method].keys() | theirs[method].keys():
            pair = tuple(str(one[method].get(key, "nothing")) for one in (ours, theirs))
            if key.rsplit(".", 1)[-1] not in PLACE_KEYS and pair[0] != pair[1]:
                found[key] = pair if found.get(key, pair) == pair else ("several", "several")
    return dict(sorted(found.items()))
