"""Sections that every report can use: scores, training curves, missing runs, how to reproduce."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from mllm.evaluation.places import conditions
from mllm.reporting.charts import Curve, curves_figure
from mllm.reporting.collect import Sweep
from mllm.reporting.comparison import Comparison
from mllm.reporting.runs import Run, read_metrics
from mllm.reporting.section import (
    Block,
    Details,
    Drawing,
    Grid,
    Heading,
    Link,
    Listing,
    Panel,
    Paragraph,
    Preformatted,
    Scores,
    Section,
)
from mllm.reporting.tables import all_tables, headline_tables
from mllm.reporting.text import clean_lines, clean_text, slug

COST_KEYS = ("steps", "seconds", "trainable", "parameters")
_OPEN_CURVES = 24
_LONG_TEXT = 4000


def group_id(comparison: Comparison) -> str:
    """Return the part of an id that names the group of a comparison."""
    return slug("group", comparison.group)


def of_group(section: Section, comparison: Comparison) -> Section:
    """Return a section of one of several groups, which its title names; the menu leaves it out."""
    heading = comparison.heading
    return dataclasses.replace(
        section,
        id=f"{group_id(comparison)}-{section.id}",
        title=f"{section.title}: {heading[:1].lower()}{heading[1:]}",
        menu="",
    )


def seed_rule(comparison: Comparison) -> str:
    """Return what a cell shows where there are several seeds, and that there is one else."""
    clusters = comparison.layout.clusters
    if comparison.seeds < 2:
        return (
            f"Every row is one seed: intervals show the uncertainty from the choice of {clusters}, "
            "and nothing of what another seed would give."
        )
    return (
        "With several seeds, each number is the mean over the seeds. Its interval resamples "
        f"{clusters} and seeds; few seeds show too little of their spread. Without replies to all "
        "the same questions, each end is the mean over the seeds and shows the choice of "
        f"{clusters} alone."
    )


def scores_section(comparison: Comparison, introduction: str = "") -> Section:
    """Return the headline tables of a group, and every other metric folded away."""
    rule = comparison.layout.marking.rule
    notes = " ".join(filter(None, (rule, seed_rule(comparison))))
    blocks: list[Block] = []
    if introduction:
        blocks.append(Paragraph(introduction))
    blocks += [Scores(table) for table in headline_tables(comparison)]
    if notes:
        blocks.append(Paragraph(notes, note=True))
    complete = [Scores(table, rates=True) for table in all_tables(comparison)]
    note = Paragraph(
        "The third line of a cell gives the percentages of valid replies, refusals and invalid "
        "replies; the rest are errors.",
        note=True,
    )
    blocks.append(
        Details("Every metric, with the shares of valid, refused and invalid replies",
                (note, *complete))
    )  # fmt: skip
    heading = comparison.heading
    title = f"Scores: {heading[:1].lower()}{heading[1:]}" if heading else "Scores"
    return Section(group_id(comparison), title, tuple(blocks), menu=title)


def problems_section(sweep: Sweep) -> Section | None:
    """Return the runs that cannot be in the tables and why, or None."""
    items = tuple(
        (f"{clean_text(problem.name, 80)} ({clean_text(problem.method, 40)})",
         clean_text(problem.reason, 400))
        for problem in sweep.problems
    )  # fmt: skip
    if not items:
        return None
    return Section("problems", "Runs that are not in the tables", (Listing(items),), "Missing runs")


def further_sections(sweep: Sweep) -> list[Section]:
    """Return the headline scores of evaluations that stand in no table with the others, folded."""
    blocks: list[Block] = [
        Paragraph(
            "These evaluations asked, read or scored in another way than those of the tables, so "
            "their numbers are not compared with them.",
            note=True,
        )
    ]
    for comparison in sweep.further:
        shown = [Preformatted(pretty(conditions_of(comparison)))]
        shown += [Scores(table) for table in headline_tables(comparison)]
        blocks.append(Details(comparison.heading, tuple(shown)))
    return [Section("further", "Other evaluations", tuple(blocks))] if sweep.further else []


def conditions_of(comparison: Comparison) -> dict[str, Any]:
    """Return what the runs of a comparison were evaluated under."""
    run = next(run for runs in comparison.runs.values() for run in runs)
    return conditions(run.manifest, comparison.layout.own_keys)


def curves_section(sweep: Sweep, curves: Mapping[str, Curve], caption: str) -> Section:
    """Return what each run logged; with many runs, those after the first seed are folded away."""
    drawn, notes = [], []
    for run in sweep.folders:
        try:
            series = read_metrics(run)
        except ValueError as error:
            reason = str(error).replace(f"{run.folder}/", "")
            notes.append(f"The curves of {run.name} are missing: {reason}.")
            continue
        if any(name in series for name in curves):
            drawn.append((run, _curves_panel(sweep, run, series, curves)))
    first_seed = min((run.seed for run, _ in drawn), default=0)
    many = len(drawn) > _OPEN_CURVES
    shown = [pair for pair in drawn if not many or pair[0].seed == first_seed]
    folded = [pair for pair in drawn if many and pair[0].seed != first_seed]
    if not drawn:
        blocks: tuple[Block, ...] = (Paragraph("No run logged training metrics."),)
    else:
        blocks = (_curves_drawing(shown, caption),)
    if folded:
        blocks += (Details("The other seeds", (_curves_drawing(folded, ""),)),)
    blocks += tuple(Paragraph(clean_text(note, 400), note=True) for note in notes)
    return Section("curves", "Training curves", blocks)


def _curves_panel(sweep: Sweep, run: Run, series, curves: Mapping[str, Curve]) -> Panel:
    title = run_title(sweep, run)
    return Panel(
        lambda theme: curves_figure(title, series, curves, theme=theme),
        f"Training curves of {title}",
    )


def _curves_drawing(pairs: list[tuple[Run, Panel]], caption: str) -> Drawing:
    saved = {f"curves_{slug(run.name)}": panel.draw for run, panel in pairs}
    return Drawing(tuple(panel for _, panel in pairs), caption, columns=3, saved=saved, png=False)


def run_title(sweep: Sweep, run: Run) -> str:
    """Return the label of a run with its group and seed."""
    label = sweep.layout.label(run.method, run.variant)
    places = []
    group = sweep.layout.group
    groups = {one.group for one in sweep.runs if one.name == run.name}
    if group and run.group is not None and len(sweep.comparisons) > len(groups):
        places.append(group.value.format(run.group))
    places.append(f"seed {run.seed}")
    return f"{label}, {', '.join(places)}"


def reproduce_section(sweep: Sweep, terms: Mapping[str, Any]) -> Section:
    """Return the commands, the data and its terms, and each run with its cost and config.

    `terms` are the `info` of the benchmark, or empty: its licences and its citation.
    """
    blocks: list[Block] = [Preformatted("\n".join(_commands(sweep)))]
    if sweep.runs:
        blocks.append(
            Paragraph(
                f"Data fingerprint: {clean_text(sweep.runs[0].data_fingerprint)}. The folder of "
                "this page also holds the scores as JSON, CSV, Markdown and LaTeX.",
                note=True,
            )
        )
    blocks.append(_runs_grid(sweep))
    blocks += [_run_details(run) for run in sweep.folders]
    licences = licence_lines(terms)
    if licences:
        blocks += [Heading("Licences of the data set"), Listing(tuple(licences))]
    if terms.get("citation"):
        blocks += [Heading("Citation"), Preformatted(clean_lines(str(terms["citation"])))]
    return Section("reproduce", "How to reproduce", tuple(blocks))


def licence_lines(terms: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (part of the data set, a line of its licence)."""
    return [
        (clean_text(part, 60), clean_text(line))
        for part, text in (terms.get("licences") or {}).items()
        for line in str(text).split("\n")
    ]


def _commands(sweep: Sweep) -> list[str]:
    runs = (*sweep.weights, *sweep.runs)
    commands = dict.fromkeys(clean_text(run.command) for run in runs if run.command)
    # A folder given by its whole path is named alone: the page may be shown to others.
    place = sweep.workdir.name if sweep.workdir.is_absolute() else sweep.workdir.as_posix()
    return [*commands, f"python -m experiments.report --workdir {place}"]


def _runs_grid(sweep: Sweep) -> Grid:
    group = sweep.layout.group
    heads = [
        "Run", "Method", "Seed", *([group.name] if group else []),
        *map(str.capitalize, COST_KEYS), "Checkpoint",
    ]  # fmt: skip
    rows = []
    for run in sweep.folders:
        cells: list[str | Link] = [
            Link(clean_text(run.name, 80), _run_id(run)),
            sweep.layout.label(run.method, run.variant),
            str(run.seed),
        ]
        if group:
            found = [r.group for r in sweep.runs if r.name == run.name and r.group is not None]
            cells.append(", ".join(group.value.format(value) for value in found) or "–")
        rows.append((*cells, *cost_cells(run), clean_text(run.checkpoint_digest[:12])))
    return Grid("Runs and their cost", tuple(heads), tuple(rows), words=(1,))


def cost_cells(run: Run) -> list[str]:
    """Return what a run cost, by COST_KEYS, a dash for what it did not record."""
    values = [run.cost.get(name) for name in COST_KEYS]
    return ["–" if value is None else f"{value:,.0f}" for value in values]


def _run_details(run: Run) -> Details:
    environment = {**run.results_environment, **run.environment}
    return Details(
        f"{clean_text(run.name, 80)}: configuration and versions",
        (
            Paragraph(
                f"Checkpoint digest: {clean_text(run.checkpoint_digest)}. "
                f"Parent: {clean_text(run.parent or 'none')}.",
                note=True,
            ),
            Preformatted(pretty(run.config)),
            Preformatted(pretty(environment)),
        ),
        id=_run_id(run),
    )


def _run_id(run: Run) -> str:
    return slug("run", run.name)


def pretty(value: Any) -> str:
    """Return a JSON value as text of several lines that is safe to show."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, default=str)
    return clean_lines(text, _LONG_TEXT)
