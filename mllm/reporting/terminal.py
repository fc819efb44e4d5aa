"""The headline tables on a terminal; plain text where the output is not one."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from mllm.reporting.collect import collect
from mllm.reporting.exports import terminal_rows
from mllm.reporting.finding import finding
from mllm.reporting.tables import Comparison, Table, compare
from mllm.reporting.text import clean_text

# Below this width a table shows values alone: with intervals it would wrap inside the cells.
_WIDTH_FOR_INTERVALS = 118
_LEGEND = (
    "Percent. * best method that can be told from every other; ≈ not told from vanilla; "
    "↓ towards retain-only."
)


def terminal_table(workdir: str | Path, *, width: int = 100, colour: bool = False) -> str:
    """Returns the headline tables of a sweep folder as text at most `width` columns wide.

    With `colour`, bold and dim are written as ANSI sequences; text from runs never holds any.
    """
    buffer = io.StringIO()
    _print(workdir, Console(
        file=buffer, width=width, force_terminal=colour, no_color=not colour, highlight=False,
        markup=False, emoji=False, legacy_windows=False,
    ))  # fmt: skip
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"


def print_table(workdir: str | Path, file: TextIO | None = None) -> None:
    """Prints the headline tables, styled on a terminal and plain elsewhere."""
    file = file or sys.stdout
    colour = bool(getattr(file, "isatty", lambda: False)())
    width = Console(file=file).width if colour else 130
    file.write(terminal_table(workdir, width=width, colour=colour))


def _print(workdir: str | Path, console: Console) -> None:
    sweep = collect(workdir)
    for comparison in compare(sweep.runs):
        if comparison.forget is not None:
            console.print(Text(f"\nForgetting {comparison.forget}%", style="bold"))
        for table in comparison.headline_tables:
            if table.measured:
                console.print(_grid(table, comparison, console.width))
        console.print(Text(_LEGEND, style="dim"))
        console.print(Text(finding(comparison)))
    for problem in sweep.problems:
        console.print(
            Text(f"not in the tables: {clean_text(problem.name)}: {clean_text(problem.reason)}")
        )


def _grid(table: Table, comparison: Comparison, width: int) -> Grid:
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
    for row, cells in zip(table.rows, rows, strict=True):
        texts = [Text(cells[0][0], style="" if row.kind == "method" else "dim")]
        for entry, (value, span) in zip(row.entries, cells[1:], strict=True):
            text = Text(value, style="bold" if entry.best else "")
            if span and width >= _WIDTH_FOR_INTERVALS:
                text.append(f" {span}", style="dim")
            texts.append(text)
        grid.add_row(*texts, end_section=row is _last_anchor(table))
    return grid


def _last_anchor(table: Table):
    return [row for row in table.rows if row.kind != "method"][-1]
