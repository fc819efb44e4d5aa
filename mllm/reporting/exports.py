"""The report as Markdown, CSV and LaTeX, with each format's own escapes."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from mllm.reporting.collect import Sweep
from mllm.reporting.comparison import Entry
from mllm.reporting.numbers import points, signed
from mllm.reporting.runs import RATES
from mllm.reporting.section import (
    Block,
    Details,
    Drawing,
    Gallery,
    Grid,
    Heading,
    Heat,
    Link,
    Listing,
    Paragraph,
    Preformatted,
    Scores,
    Section,
    Shares,
    every,
)
from mllm.reporting.tables import Column, Table, percent
from mllm.reporting.text import clean_text, escape_latex, escape_markdown, guard_csv

_DRAWN = (Drawing, Gallery, Details)  # what Markdown leaves out
_LATEX_SYMBOLS = {
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    "≈": r"$\approx$",
    "–": "--",
    "α": r"$\alpha$",
    "θ": r"$\theta$",
    "κ": r"$\kappa$",
    "τ": r"$\tau$",
    "×": r"$\times$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
}


def to_markdown(title: str, lead: Sequence[str], sections: Sequence[Section]) -> str:
    """Return the report's text and tables; figures, galleries and folded blocks are left out, and
    sections that hold only them and notes.
    """
    lines = [f"# {escape_markdown(title)}", ""]
    for sentence in lead:
        lines += [escape_markdown(sentence), ""]
    for section in sections:
        body = [line for block in section.blocks for line in _markdown_block(block)]
        notes = all(isinstance(one, _DRAWN) or _is_note(one) for one in section.blocks)
        if body and not notes:
            lines += [f"## {escape_markdown(section.title)}", "", *body]
    return "\n".join(lines)


def _is_note(block: Block) -> bool:
    return isinstance(block, Paragraph) and block.note


def _markdown_block(block: Block) -> list[str]:
    match block:
        case Paragraph():
            return [escape_markdown(block.text), ""]
        case Heading():
            return [f"### {escape_markdown(block.text)}", ""]
        case Scores():
            title = escape_markdown(block.table.title)
            return [f"### {title}", "", *_markdown_scores(block.table), ""]
        case Grid():
            return [*_markdown_grid(block), ""]
        case Heat():
            rows = tuple((label, *map(signed, values)) for label, values in block.rows)
            return _titled(block.title, Grid(block.title, block.heads, rows))
        case Shares():
            rows = tuple((label, *map(points, parts)) for label, parts in block.rows)
            return _titled(block.title, Grid(block.title, ("", *block.kinds), rows))
        case Listing():
            items = [f"- {escape_markdown(name)}: {escape_markdown(text)}"
                     for name, text in block.items]  # fmt: skip
            return [*items, ""]
        case Preformatted():
            return ["```", *map(_inert, block.text.split("\n")), "```", ""]
        case _:
            return []


def _titled(title: str, grid: Grid) -> list[str]:
    return [f"**{escape_markdown(title)}**", "", *_markdown_grid(grid), ""]


def _inert(line: str) -> str:
    """Return a line of code without the characters that end its block or begin HTML, which not
    every reader of Markdown leaves alone inside code.
    """
    return line.replace("`", "'").replace("<", "‹").replace(">", "›")


def _markdown_scores(table: Table) -> list[str]:
    heads = [escape_markdown(_narrow(column)) for column in table.columns]
    lines = [
        f"| {table.corner} | {' | '.join(heads)} |",
        "|---|" + "---:|" * len(table.columns),
    ]
    for row in table.rows:
        cells = " | ".join(_markdown_entry(entry) for entry in row.entries)
        lines.append(f"| {escape_markdown(row.label)} | {cells} |")
    return lines


def _narrow(column: Column) -> str:
    """Return the label of a column on one line: the innermost level short."""
    return " ".join((*column.labels[:-1], column.short[-1]))


def _markdown_entry(entry: Entry) -> str:
    text = percent(entry.value)
    text = f"**{text}**" if entry.strong else text
    text += f" {entry.sign}" if entry.sign else ""
    if entry.low is not None:
        text += f" ({percent(entry.low)}–{percent(entry.high)})"
    return text


def _markdown_grid(grid: Grid) -> list[str]:
    lefts = {0, *grid.words}
    rules = ["---" if place in lefts else "---:" for place in range(len(grid.heads))]
    lines = [f"| {' | '.join(map(escape_markdown, grid.heads))} |", f"|{'|'.join(rules)}|"]
    for row in grid.rows:
        texts = [cell.text if isinstance(cell, Link) else cell for cell in row]
        lines.append(f"| {' | '.join(map(escape_markdown, texts))} |")
    return lines


def to_csv(sweep: Sweep) -> str:
    """Return every score of every run, one per line, in fractions of 1."""
    layout = sweep.layout
    group = [layout.group.key] if layout.group else []
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        ["run", "method", "variant", "seed", *group, "protocol", *layout.axis_names, "metric",
         "value", "ci95_low", "ci95_high", "n", *RATES, "checkpoint_digest"]
    )  # fmt: skip
    for run in sweep.runs:
        for score in run.scores:
            shown = [] if not group else ["" if run.group is None else run.group]
            writer.writerow(
                [
                    *map(guard_csv, (run.name, run.method, run.variant)),
                    run.seed,
                    *shown,
                    guard_csv(run.protocol),
                    *(guard_csv(score[key]) for key in (*layout.axis_names, "metric")),
                    score["value"],
                    *score["ci95"],
                    *(score[key] for key in ("n", *RATES)),
                    guard_csv(run.checkpoint_digest),
                ]
            )
    return buffer.getvalue()


def to_latex(sections: Sequence[Section]) -> str:
    """Return the tables of scores that are not folded, as booktabs tables; intervals stand as sub-
    and superscripts.

    The including document loads the package booktabs.
    """
    tables = [
        _latex_table(block.table)
        for section in sections
        for block in every(section.blocks, Scores, folded=False)
    ]
    return "\n\n".join(["% Needs \\usepackage{booktabs}.", *tables]) + "\n"


def _latex_table(table: Table) -> str:
    width = len(table.columns)
    caption = " ".join(
        f"{part.rstrip('.')}." for part in (table.title, table.heading, table.rule) if part
    )
    lines = [
        r"\begin{table*}",
        r"\centering\small\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{_latex_text(caption)}}}",
        rf"\begin{{tabular}}{{l{'r' * width}}}",
        r"\toprule",
        *_latex_heads(table),
        r"\midrule",
    ]
    previous = table.rows[0].kind if table.rows else ""
    for row in table.rows:
        if row.kind in ("method", "reference") and previous != row.kind:
            lines.append(r"\midrule")
        previous = row.kind
        cells = [_latex_text(row.label), *map(_latex_entry, row.entries)]
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table*}"])


def _latex_heads(table: Table) -> list[str]:
    lines = []
    for level in range(table.levels - 1):
        spans = _spans(table, level)
        heads = [
            rf"\multicolumn{{{span}}}{{c}}{{{_latex_text(label)}}}" for label, _, span in spans
        ]
        rules = [rf"\cmidrule(lr){{{2 + start}-{1 + start + span}}}" for _, start, span in spans]
        lines += [" & ".join(["", *heads]) + r" \\", "".join(rules)]
    innermost = [_latex_text(column.short[-1]) for column in table.columns]
    return [*lines, " & ".join([_latex_text(table.corner), *innermost]) + r" \\"]


def _spans(table: Table, level: int) -> list[tuple[str, int, int]]:
    """Return (label, first column, number of columns) of one header line."""
    spans: list[tuple[str, int, int]] = []
    previous = None
    for place, column in enumerate(table.columns):
        outer = column.labels[: level + 1]
        if outer == previous:
            label, start, span = spans[-1]
            spans[-1] = label, start, span + 1
        else:
            spans.append((column.labels[level], place, 1))
        previous = outer
    return spans


def _latex_entry(entry: Entry) -> str:
    if entry.value is None:
        return "--"
    number = percent(entry.value)
    number = rf"\mathbf{{{number}}}" if entry.strong else number
    if entry.low is not None:
        number += rf"_{{{percent(entry.low)}}}^{{{percent(entry.high)}}}"
    sign = _latex_text(entry.sign).strip("$")
    return f"${number}{{{sign}}}$" if sign else f"${number}$"


def _latex_text(text: str) -> str:
    text = escape_latex(text)
    for symbol, command in _LATEX_SYMBOLS.items():
        text = text.replace(symbol, command)
    return text


def terminal_rows(table: Table) -> tuple[list[str], list[list[tuple[str, str]]]]:
    """Return (heads, rows) for a terminal; a cell is (value with its marks, interval)."""
    heads = [table.corner]
    previous: tuple[str, ...] = ()
    for column in table.columns:
        outer = column.short[:-1]
        shown = [
            label if outer[: level + 1] != previous[: level + 1] else ""
            for level, label in enumerate(outer)
        ]
        heads.append("\n".join([*shown, column.short[-1]]))
        previous = outer
    rows = []
    for row in table.rows:
        cells = [(clean_text(row.label), "")]
        for entry in row.entries:
            value = percent(entry.value) + ("*" if entry.strong else "") + entry.sign
            span = "" if entry.low is None else f"{100 * entry.low:.0f}–{100 * entry.high:.0f}"
            cells.append((value, span))
        rows.append(cells)
    return heads, rows
