"""The headline tables on a terminal; plain text where the output is not one."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from mllm.reporting.collect import Sweep, collect
from mllm.reporting.comparable import differences
from mllm.reporting.comparison import Comparison
from mllm.reporting.exports import terminal_rows
from mllm.reporting.report import Report
from mllm.reporting.tables import Table, headline_tables
from mllm.reporting.text import clean_text

# Below this width a table shows values alone: with intervals it would wrap inside the cells.
_WIDTH_FOR_INTERVALS = 118


def terminal_table(
    workdir: str | Path, report: Report, sweep: Sweep | None = None, *, width: int = 100,
    colour: bool = False,
) -> str:  # fmt: skip
    """Return the headline tables of a sweep folder as text at most `width` columns wide.

    With `colour`, bold and dim are written as ANSI sequences; text from runs never holds any.

    Args:
      sweep: what ``collect`` found in the folder; None reads it.
    """
    buffer = io.StringIO()
    _print(sweep or collect(workdir, report.layout), report, _console(buffer, width, colour))
    return _text(buffer)


def tables_text(tables: Sequence[Table], lead: Sequence[str], *, width: int = 130) -> str:
    """Return tables and the sentences that go with them as plain text."""
    buffer = io.StringIO()
    console = _console(buffer, width, colour=False)
    for table in tables:
        if table.heading:
            console.print(Text(table.heading, style="bold"))
        console.print(_grid(table, width))
    for sentence in lead:
        console.print(Text(sentence))
    return _text(buffer)


def _console(buffer: io.StringIO, width: int, colour: bool) -> Console:
    return Console(
        file=buffer, width=width, force_terminal=colour, no_color=not colour, highlight=False,
        markup=False, emoji=False, legacy_windows=False,
    )  # fmt: skip


def _text(buffer: io.StringIO) -> str:
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"


def print_table(
    workdir: str | Path, report: Report, sweep: Sweep | None = None, file: TextIO | None = None
) -> None:
    """Print the headline tables, styled on a terminal and plain elsewhere.

    Args:
      sweep: what ``collect`` found in the folder; None reads it.
    """
    file = file or sys.stdout
    colour = bool(getattr(file, "isatty", lambda: False)())
    width = Console(file=file).width if colour else 130
    file.write(terminal_table(workdir, report, sweep, width=width, colour=colour))


def _print(sweep: Sweep, report: Report, console: Console) -> None:
    for comparison in sweep.comparisons:
        if comparison.heading:
            console.print(Text(f"\n{comparison.heading}", style="bold"))
        for table in headline_tables(comparison):
            console.print(_grid(table, console.width))
        if sweep.layout.marking.legend:
            console.print(Text(sweep.layout.marking.legend, style="dim"))
        finding = report.finding(comparison) if report.finding else ""
        if finding:
            console.print(Text(finding))
    for comparison in sweep.further:
        console.print(Text(_further_line(sweep, comparison)))
    for problem in sweep.problems:
        console.print(
            Text(f"not in the tables: {clean_text(problem.name)}: {clean_text(problem.reason)}")
        )


def _further_line(sweep: Sweep, comparison: Comparison) -> str:
    """Return which runs have other evaluations, and how their conditions differ."""
    others = [run for runs in comparison.runs.values() for run in runs]
    names = clean_text(", ".join(run.name for run in others), 200)
    alike = [run for run in sweep.runs if run.group in (comparison.group, None)]
    how = differences(others[0], alike[0], sweep.layout) if alike else ""
    reason = f" ({clean_text(how)})" if how else ""
    return f"in a table of its own: {names}, protocol {clean_text(comparison.under)}{reason}"


def _grid(table: Table, width: int) -> Grid:
    heads, rows = terminal_rows(table)
    grid = Grid(
        title=Text(table.title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0), pad_edge=False,
    )  # fmt: skip
    for place, head in enumerate(heads):
        grid.add_column(
            Text(head),
            justify="right" if place else "left",
            no_wrap=bool(place),
            min_width=None if place else 11,
        )
    # A line separates what methods are compared with from the methods.
    last = max((n for n, row in enumerate(table.rows) if row.kind not in ("method", "axis")),
               default=None)  # fmt: skip
    for number, (row, cells) in enumerate(zip(table.rows, rows, strict=True)):
        texts = [Text(cells[0][0], style="" if row.kind in ("method", "axis") else "dim")]
        for entry, (value, span) in zip(row.entries, cells[1:], strict=True):
            text = Text(value, style="bold" if entry.strong else "")
            if span and width >= _WIDTH_FOR_INTERVALS:
                text.append(f" {span}", style="dim")
            texts.append(text)
        grid.add_row(*texts, end_section=number == last)
    return grid
