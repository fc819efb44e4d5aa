"""The tables as Markdown, CSV and LaTeX, with each format's own escapes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from mllm.evaluation.scores import SETS
from mllm.reporting.collect import MODALITIES, Run, Sweep
from mllm.reporting.tables import (
    COLUMNS,
    MARKING_RULE,
    SEED_RULE,
    SET_LABELS,
    Comparison,
    Entry,
    Table,
    direction,
    percent,
)
from mllm.reporting.text import clean_text, escape_latex, escape_markdown, guard_csv

_SHORT_MODALITY = {"image_text": "img+txt", "text": "txt"}
COST_KEYS = ("steps", "seconds", "trainable", "parameters")
_TERMINAL_SETS = {**SET_LABELS, "celebrity": "Celeb."}
_CSV_COLUMNS = (
    "run",
    "method",
    "variant",
    "seed",
    "forget",
    "protocol",
    "set",
    "task",
    "modality",
    "metric",
    "value",
    "ci95_low",
    "ci95_high",
    "n",
    "valid",
    "refusal",
    "invalid",
    "checkpoint_digest",
)


def to_markdown(
    comparisons: Iterable[Comparison],
    sweep: Sweep,
    findings: Iterable[str],
    reason: str,
    licences: Iterable[tuple[str, str]] = (),
) -> str:
    """Returns the report's text and headline tables as Markdown.

    `licences` are (part of the data set, a line of its licence).
    """
    lines = ["# Unlearning report", ""]
    for comparison, sentence in zip(comparisons, findings, strict=True):
        lines += [f"## {_heading(comparison)}", "", escape_markdown(sentence), ""]
        for table in comparison.headline_tables:
            if table.measured:
                lines += [f"### {table.title}", "", *_markdown_table(table), ""]
    if sweep.runs:
        lines += [*map(escape_markdown, (MARKING_RULE, SEED_RULE)), "", escape_markdown(reason), ""]
    if sweep.problems:
        lines += ["## Runs that are not in the tables", ""]
        lines += [
            f"- {escape_markdown(problem.name)}: {escape_markdown(problem.reason)}"
            for problem in sweep.problems
        ]
        lines.append("")
    lines += ["## Runs", "", *_markdown_runs(sweep), ""]
    terms = [f"- {escape_markdown(part)}: {escape_markdown(line)}" for part, line in licences]
    if terms:
        lines += ["## Licences of the data set", "", *terms, ""]
    return "\n".join(lines)


def _heading(comparison: Comparison) -> str:
    return "Results" if comparison.forget is None else f"Forgetting {comparison.forget}%"


def _markdown_table(table: Table) -> list[str]:
    heads = [
        f"{SET_LABELS[name]} {direction(name)} {_SHORT_MODALITY[modality]}"
        for name, modality in COLUMNS
    ]
    lines = [f"| Method | {' | '.join(heads)} |", "|---|" + "---:|" * len(COLUMNS)]
    for row in table.rows:
        cells = " | ".join(_markdown_cell(entry) for entry in row.entries)
        lines.append(f"| {escape_markdown(row.label)} | {cells} |")
    return lines


def _markdown_cell(entry: Entry) -> str:
    text = percent(entry.value)
    text = f"**{text}**" if entry.best else text
    text += " ≈" if entry.like_vanilla else ""
    if entry.low is not None:
        text += f" ({percent(entry.low)}–{percent(entry.high)})"
    return text


def _markdown_runs(sweep: Sweep) -> list[str]:
    heads = ["Run", "Method", "Seed", *map(str.capitalize, COST_KEYS), "Checkpoint digest"]
    lines = [f"| {' | '.join(heads)} |", f"|---|---|---:|{'---:|' * len(COST_KEYS)}---|"]
    for run in (*sweep.weights, *sweep.runs):
        cells = run.name, run.method, run.seed, *cost_cells(run), run.checkpoint_digest
        lines.append(f"| {' | '.join(map(escape_markdown, cells))} |")
    return lines


def cost_cells(run: Run) -> list[str]:
    """Returns what a run cost, by COST_KEYS, a dash for what it did not record."""
    values = [run.cost.get(name) for name in COST_KEYS]
    return ["–" if value is None else f"{value:,.0f}" for value in values]


def to_csv(sweep: Sweep) -> str:
    """Returns every score of every run, one a line, in fractions of 1."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_CSV_COLUMNS)
    for run in sweep.runs:
        for score in run.scores:
            writer.writerow(
                [
                    *map(guard_csv, (run.name, run.method, run.variant)),
                    run.seed,
                    "" if run.forget is None else run.forget,
                    guard_csv(run.protocol),
                    *(guard_csv(score[key]) for key in ("set", "task", "modality", "metric")),
                    score["value"],
                    *score["ci95"],
                    *(score[key] for key in ("n", "valid", "refusal", "invalid")),
                    guard_csv(run.checkpoint_digest),
                ]
            )
    return buffer.getvalue()


def to_latex(comparisons: Iterable[Comparison]) -> str:
    """Returns one booktabs table a task and forget split; intervals stand as sub- and superscript.

    The including document loads the package booktabs.
    """
    blocks = ["% Needs \\usepackage{booktabs}."]
    for comparison in comparisons:
        for table in comparison.headline_tables:
            if table.measured:
                blocks.append(_latex_table(table, comparison))
    return "\n\n".join(blocks) + "\n"


def _latex_table(table: Table, comparison: Comparison) -> str:
    width = len(MODALITIES)
    sets = [
        rf"\multicolumn{{{width}}}{{c}}{{{SET_LABELS[name]} ${_latex_arrow(name)}$}}"
        for name in SETS
    ]
    rules = [
        rf"\cmidrule(lr){{{2 + width * place}-{1 + width * (place + 1)}}}"
        for place in range(len(SETS))
    ]
    heads = [escape_latex(_SHORT_MODALITY[modality]) for _, modality in COLUMNS]
    caption = f"{table.title}. {_heading(comparison)}. {MARKING_RULE}"
    lines = [
        r"\begin{table*}",
        r"\centering\small\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{_latex_symbols(escape_latex(caption))}}}",
        rf"\begin{{tabular}}{{l{'r' * len(COLUMNS)}}}",
        r"\toprule",
        " & ".join(["", *sets]) + r" \\",
        "".join(rules),
        " & ".join(["Method", *heads]) + r" \\",
        r"\midrule",
    ]
    previous = "chance"
    for row in table.rows:
        if row.kind == "method" and previous != "method":
            lines.append(r"\midrule")
        previous = row.kind
        cells = [escape_latex(row.label), *map(_latex_cell, row.entries)]
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table*}"])


def _latex_cell(entry: Entry) -> str:
    if entry.value is None:
        return "--"
    number = percent(entry.value)
    number = rf"\mathbf{{{number}}}" if entry.best else number
    if entry.low is not None:
        number += rf"_{{{percent(entry.low)}}}^{{{percent(entry.high)}}}"
    number += r"{\approx}" if entry.like_vanilla else ""
    return f"${number}$"


def _latex_arrow(name: str) -> str:
    return r"\downarrow" if direction(name) == "↓" else r"\uparrow"


def _latex_symbols(text: str) -> str:
    for symbol, command in (("↓", r"$\downarrow$"), ("↑", r"$\uparrow$"), ("≈", r"$\approx$")):
        text = text.replace(symbol, command)
    return text


def terminal_rows(table: Table) -> tuple[list[str], list[list[tuple[str, str]]]]:
    """Returns (heads, rows) for a terminal; a cell is (value with its marks, interval)."""
    heads = ["Method"] + [
        (f"{_TERMINAL_SETS[name]} {direction(name)}" if modality == MODALITIES[0] else "")
        + f"\n{_SHORT_MODALITY[modality]}"
        for name, modality in COLUMNS
    ]
    rows = []
    for row in table.rows:
        cells = [(clean_text(row.label), "")]
        for entry in row.entries:
            value = percent(entry.value) + ("*" if entry.best else "")
            value += "≈" if entry.like_vanilla else ""
            span = "" if entry.low is None else f"{100 * entry.low:.0f}–{100 * entry.high:.0f}"
            cells.append((value, span))
        rows.append(cells)
    return heads, rows
