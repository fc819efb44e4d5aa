"""The report as one offline HTML page.

The page holds no script and loads nothing: figures, pictures and sounds are data URIs, and its
policy forbids all else. The template engine escapes every value; nothing is marked as safe.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

from mllm.reporting import figures
from mllm.reporting.collect import Sweep
from mllm.reporting.numbers import signed
from mllm.reporting.section import Drawing, Panel, Section, every
from mllm.reporting.tables import Column, Table, percent
from mllm.reporting.text import clean_text

_TEMPLATES = Path(__file__).parent / "templates"


def render(
    title: str,
    facts: Sequence[tuple[str, str]],
    lead: Sequence[str],
    notes: Sequence[str],
    sections: Sequence[Section],
) -> str:
    """Return the page.

    Args:
      facts: what the page says at its head about all runs: (name, value).
      lead: the paragraphs at its head.
      notes: small paragraphs after them.
    """
    environment = templates()
    environment.globals.update(draw=_draw, heads=_heads, firsts=_firsts)
    return environment.get_template("report.html.j2").render(
        title=title, facts=facts, lead=lead, notes=notes, sections=sections
    )


def templates(*folders: Path) -> jinja2.Environment:
    """Return an engine that escapes all it inserts, for the templates of folders and of this one.

    The filter ``clean`` makes one line of visible text, ``percent`` writes a fraction and
    ``signed`` a difference.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, _TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = percent
    environment.filters["signed"] = signed
    environment.filters["clean"] = clean_text
    return environment


def saved_figures(sections: Sequence[Section]) -> dict[str, bytes]:
    """Return file name -> bytes of the figures that have files of their own."""
    files: dict[str, bytes] = {}
    theme = figures.LIGHT
    for section in sections:
        for drawing in every(section.blocks, Drawing):
            drawn = {panel.draw: panel for panel in drawing.panels}
            for name, draw in drawing.saved.items():
                panel = drawn.get(draw) or Panel(draw, "")
                files[f"{name}.svg"] = panel.light
                if drawing.png:
                    files[f"{name}.png"] = figures.png(draw(theme), theme)
    return files


def _draw(panel: Panel) -> dict[str, str]:
    """Draw a panel for light and for dark pages."""
    dark = figures.svg(panel.draw(figures.DARK), figures.DARK)
    pictures = {"light": panel.light, "dark": dark}
    shown = {name: figures.data_uri(svg, "image/svg+xml") for name, svg in pictures.items()}
    return {"text": panel.text, **shown}


def _heads(table: Table) -> list[list[tuple[str, int, bool]]]:
    """Return the header lines of a table: (label, columns it spans, whether it begins a group)."""
    lines = []
    for level in range(table.levels):
        line = []
        place = 0
        for _, columns in itertools.groupby(
            table.columns, key=lambda column: column.labels[: level + 1]
        ):
            span: list[Column] = list(columns)
            line.append((span[0].labels[level], len(span), _firsts(table)[place]))
            place += len(span)
        lines.append(line)
    return lines


def _firsts(table: Table) -> list[bool]:
    """Return for each column whether it begins a group of columns with one outer label."""
    outer = [column.labels[:-1] for column in table.columns]
    return [
        place == 0 or before != after
        for place, (before, after) in enumerate(zip([None, *outer], outer, strict=False))
    ]


def facts_of(sweep: Sweep) -> list[tuple[str, str]]:
    """Return what the page of a sweep says at its head about all runs: (name, value)."""
    if not sweep.runs:
        return [("Runs", f"none finished, {len(sweep.problems)} unfinished or unreadable")]
    run, layout = sweep.runs[0], sweep.layout
    benchmark = run.config.get("benchmark")
    benchmark = benchmark if isinstance(benchmark, dict) else {}
    methods = dict.fromkeys(layout.label(run.method, run.variant) for run in sweep.runs)
    sizes = sorted({one.cost.get("parameters") for one in sweep.runs} - {None})
    dataset = f"{run.benchmark} ({benchmark['config']})" if "config" in benchmark else run.benchmark
    facts = [
        ("Data set", dataset),
        ("Model", ", ".join(f"{size / 1e6:.1f} M parameters" for size in sizes) or "not recorded"),
        ("Methods", ", ".join(methods)),
        ("Seeds", ", ".join(str(seed) for seed in sorted({one.seed for one in sweep.runs}))),
        ("Protocol", run.protocol),
        ("Environment", _environment(run.environment)),
    ]
    return [(name, clean_text(value, 400)) for name, value in facts]


def _environment(environment: dict[str, Any]) -> str:
    """Return the versions and the device; a commit is cut to its first digits."""
    known = {**environment}
    if isinstance(known.get("git"), str):
        known["git"] = known["git"][:10]
    if known.get("device") == known.get("backend"):
        known.pop("device", None)
    for name in ("devices", "processes"):
        if known.get(name) == 1:
            known.pop(name)
    return ", ".join(f"{key} {value}" for key, value in sorted(known.items()))
