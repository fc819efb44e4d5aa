"""The report as one offline HTML page: the template's data, and the rendering.

The page holds no script and loads nothing: figures and portraits are data URIs, and its policy
forbids all else. The template engine escapes every value; nothing is marked as safe.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from matplotlib.figure import Figure

from mllm.evaluation.scores import SETS
from mllm.reporting import charts, figures, tables
from mllm.reporting.collect import MODALITIES, Run, Sweep, read_metrics
from mllm.reporting.exports import cost_cells
from mllm.reporting.finding import FINDING_RULE, finding, headline_reason, tradeoff_points
from mllm.reporting.gallery import gallery
from mllm.reporting.tables import Comparison, compare, method_label
from mllm.reporting.text import clean_text, slug

_TEMPLATES = Path(__file__).parent / "templates"
_OPEN_CURVES = 24
_LONG_TEXT = 4000


def render(
    sweep: Sweep, portraits: Mapping[str, bytes], portraits_note: str, terms: Mapping[str, Any]
) -> str:
    """Returns the page of a sweep.

    `portraits_note` says why portraits are missing, or is empty; `terms` are the licences and the
    citation of the data set, or empty.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = tables.percent
    environment.filters["clean"] = clean_text
    comparisons = compare(sweep.runs)
    return environment.get_template("report.html.j2").render(
        title=f"Unlearning report: {clean_text(sweep.workdir.resolve().name, 60)}",
        facts=_facts(sweep),
        comparisons=[_section(comparison, portraits) for comparison in comparisons],
        portraits_note=portraits_note,
        problems=sweep.problems,
        curves=_curves(sweep),
        runs=[_run(run, sweep) for run in _folders(sweep)],
        commands=_commands(sweep),
        fingerprint=sweep.runs[0].data_fingerprint if sweep.runs else "",
        licences=licence_lines(terms),
        citation=_lines(terms.get("citation", "")),
        marking_rule=tables.MARKING_RULE,
        seed_rule=tables.SEED_RULE if _several_seeds(comparisons) else "",
        finding_rule=FINDING_RULE,
        sets=[(name, tables.SET_LABELS[name], tables.direction(name)) for name in SETS],
        modalities=[tables.MODALITY_LABELS[name] for name in MODALITIES],
    )


def saved_figures(sweep: Sweep) -> dict[str, bytes]:
    """Returns file name -> bytes of the figures that stand beside the report, SVG and PNG."""
    files: dict[str, bytes] = {}
    theme = figures.LIGHT
    for comparison in compare(sweep.runs):
        ending = "" if comparison.forget is None else f"_forget{comparison.forget}"
        points = tradeoff_points(comparison)
        drawn = {"tradeoff": charts.tradeoff_figure(points, theme=theme) if points else None}
        change = charts.change_figure(comparison, SETS, theme)
        if change is not None:
            with figures.style(theme):
                drawn["change"] = charts.change_legend(change, theme)
        for name, figure in drawn.items():
            if figure is not None:
                files[f"{name}{ending}.svg"] = figures.svg(figure, theme)
                files[f"{name}{ending}.png"] = figures.png(figure, theme)
    for run in _folders(sweep):
        figure = charts.curves_figure(_run_title(run), read_metrics(run), theme)
        if figure is not None:
            files[f"curves_{slug(run.name)}.svg"] = figures.svg(figure, theme)
    return files


def _facts(sweep: Sweep) -> list[tuple[str, str]]:
    """Returns what the page says at its head about all runs: (name, value)."""
    if not sweep.runs:
        return [("Runs", f"none finished, {len(sweep.problems)} unfinished or unreadable")]
    run = sweep.runs[0]
    benchmark = run.config.get("benchmark")
    benchmark = benchmark if isinstance(benchmark, dict) else {}
    methods = dict.fromkeys(method_label(run.method, run.variant) for run in sweep.runs)
    sizes = sorted({one.cost.get("parameters") for one in sweep.runs} - {None})
    environment = [f"{key} {value}" for key, value in sorted(run.environment.items())]
    dataset = f"{run.benchmark} ({benchmark['config']})" if "config" in benchmark else run.benchmark
    facts = [
        ("Dataset", dataset),
        ("Model", ", ".join(f"{size / 1e6:.1f} M parameters" for size in sizes) or "not recorded"),
        ("Methods", ", ".join(methods)),
        ("Seeds", ", ".join(str(seed) for seed in sorted({one.seed for one in sweep.runs}))),
        ("Protocol", run.protocol),
        ("Environment", ", ".join(environment)),
    ]
    return [(name, clean_text(value, 400)) for name, value in facts]


def _section(comparison: Comparison, portraits: Mapping[str, bytes]) -> dict[str, Any]:
    """Returns all that the page shows about one forget split."""
    points = tradeoff_points(comparison)
    label = "" if comparison.forget is None else f"forgetting {comparison.forget}% of the people"
    return {
        "id": slug("split", comparison.forget),
        "label": label,
        "finding": finding(comparison),
        "reason": headline_reason(comparison),
        "tables": [table for table in comparison.headline_tables if table.measured],
        "all_tables": comparison.all_tables,
        "tradeoff": [
            _picture(
                lambda theme, one=modality: charts.tradeoff_figure(points, (one,), theme),
                f"Trade-off of forgetting and utility, {tables.MODALITY_LABELS[modality]}",
            )
            for modality in MODALITIES
            if any(point.modality == modality for point in points)
        ],
        "changes": [
            _picture(
                lambda theme, one=name: charts.change_figure(comparison, (one,), theme),
                f"Change of accuracy against vanilla on the {name} set",
            )
            for name in (SETS if charts.has_changes(comparison) else ())
        ],
        "people": gallery(comparison, portraits),
    }


def _picture(draw, text: str) -> dict[str, str]:
    """Draws a figure for light and for dark pages; `text` is what a screen reader says."""
    picture = {"text": text}
    for name, theme in (("light", figures.LIGHT), ("dark", figures.DARK)):
        figure: Figure = draw(theme)
        picture[name] = figures.data_uri(figures.svg(figure, theme), "image/svg+xml")
    return picture


def _curves(sweep: Sweep) -> dict[str, list[dict[str, str]]]:
    """Returns a panel a run; with many runs, those beyond the first seed are folded away."""
    drawn = []
    for run in _folders(sweep):
        series = read_metrics(run)
        if any(name in series for name in charts.CURVES):
            title = _run_title(run)
            picture = _picture(
                lambda theme, name=title, values=series: charts.curves_figure(name, values, theme),
                f"Training curves of {title}",
            )
            drawn.append((run, picture))
    first_seed = min((run.seed for run, _ in drawn), default=0)
    many = len(drawn) > _OPEN_CURVES
    shown = [picture for run, picture in drawn if not many or run.seed == first_seed]
    folded = [picture for run, picture in drawn if many and run.seed != first_seed]
    return {"shown": shown, "folded": folded}


def _folders(sweep: Sweep) -> list[Run]:
    """Returns one run a folder: base and vanilla are trained once for all forget splits."""
    runs = (*sweep.weights, *sweep.runs)
    return list({run.name: run for run in reversed(runs)}.values())[::-1]


def _run_title(run: Run) -> str:
    for_all = run.forget is None or run.method in ("base", "vanilla")
    forget = "" if for_all else f", forget {run.forget}%"
    return f"{method_label(run.method, run.variant)}, seed {run.seed}{forget}"


def _run(run: Run, sweep: Sweep) -> dict[str, Any]:
    splits = [one.forget for one in sweep.runs if one.name == run.name and one.forget is not None]
    return {
        "anchor": slug("run", run.name),
        "name": clean_text(run.name, 80),
        "label": method_label(run.method, run.variant),
        "seed": run.seed,
        "forget": ", ".join(f"{split}%" for split in splits) or "–",
        "cost": cost_cells(run),
        "short_digest": clean_text(run.checkpoint_digest[:12]),
        "digest": clean_text(run.checkpoint_digest),
        "parent": clean_text(run.parent or "none"),
        "config": _pretty(run.config),
        "environment": _pretty({**run.results_environment, **run.environment}),
    }


def _pretty(value: Any) -> str:
    text = _lines(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, default=str))
    return text if len(text) <= _LONG_TEXT else text[:_LONG_TEXT] + "\n… (cut; see run.json)"


def _lines(text: str) -> str:
    """Cleans a text line by line and keeps its indentation."""
    lines = text.split("\n")
    return "\n".join(line[: len(line) - len(line.lstrip())] + clean_text(line) for line in lines)


def licence_lines(terms: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns (part of the data set, a line of its licence)."""
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


def _several_seeds(comparisons: tuple[Comparison, ...]) -> bool:
    return any(len(runs) > 1 for one in comparisons for runs in one.runs.values())
