"""What a score costs: parameters, tokens, time, memory and money."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from mllm.benchmarks.scale.report.gaps import size
from mllm.benchmarks.scale.report.study import Study, Subject
from mllm.benchmarks.scale.score import ALL
from mllm.reporting.charts import Dot, Scatter, scatter_figure
from mllm.reporting.comparison import Entry
from mllm.reporting.figures import LIGHT, Theme
from mllm.reporting.section import Block, Drawing, Grid, Panel, Paragraph, Section

_TENFOLD = 10
TIMES = {"seconds": "seconds of evaluation", "prefill_ms": "milliseconds to read a prompt"}
_EVERYTHING = {"suite": ALL, "format": ALL, "capability": ALL}
_NOTE = (
    "Tokens of a prompt, and of the pictures among them, are means; prefill is the time to read a "
    "prompt by itself, the rates are those of many prompts together; peak memory is that of the "
    "device; time is that of the whole evaluation with every wording. All times depend on the "
    "machine. What was not measured, such as the inside of a service, is missing or a dash."
)
_FIGURE = (
    "Score over all items with its 95% interval, against what it costs; the dashed line joins the "
    "models that no other one beats in both (the Pareto front)."
)
Measure = tuple[str, Callable[[Mapping[str, Any], Entry], str | None]]


def _number(name: str, text: str, scale: float = 1.0) -> Callable:
    def shown(found: Mapping[str, Any], entry: Entry) -> str | None:
        value = found.get(name)
        return None if value is None else text.format(value * scale)

    return shown


def _right_per_second(found: Mapping[str, Any], entry: Entry) -> str | None:
    if not found.get("seconds") or entry.value is None:
        return None
    return f"{entry.value * entry.n / found['seconds']:,.2f}"


COLUMNS: tuple[Measure, ...] = (
    ("Parameters", lambda found, entry: _size(found.get("parameters"))),
    ("Score", lambda found, entry: None if entry.value is None else f"{100 * entry.value:.1f}"),
    ("Prompt tokens", _number("prompt_tokens", "{:,.0f}")),
    ("Picture tokens", _number("image_tokens", "{:,.0f}")),
    ("Prefill (ms)", _number("prefill_ms", "{:,.1f}")),
    ("Tokens read per s", _number("prefill_tokens_per_second", "{:,.0f}")),
    ("Tokens written per s", _number("decode_tokens_per_second", "{:,.0f}")),
    ("Peak memory (MiB)", _number("peak_memory_bytes", "{:,.0f}", 2**-20)),
    ("Time (s)", _number("seconds", "{:,.0f}")),
    ("Right items per s", _right_per_second),
    ("Price (USD)", _number("usd", "{:,.2f}")),
)


def efficiency_section(study: Study) -> Section | None:
    """Return what each model costs and the Pareto figures; None where there is no model."""
    if not study.models:
        return None
    found = {one.label: (efficiency(one), overall(study, one)) for one in study.models}
    columns = [(head, show) for head, show in COLUMNS
               if any(show(*pair) is not None for pair in found.values())]  # fmt: skip
    rows = tuple(
        (name, *(show(*pair) or "–" for _, show in columns)) for name, pair in found.items()
    )
    blocks: list[Block] = [
        Grid("What each model costs", ("Model", *(head for head, _ in columns)), rows),
        Paragraph(_NOTE, note=True),
    ]
    panels, saved = [], {}
    timed = "seconds" if len(dots(study, "seconds")) > 1 else "prefill_ms"
    for name, key, axis in (
        ("parameters", "parameters", "parameters"),
        ("time", timed, TIMES[timed]),
    ):
        if len(dots(study, key)) > 1:
            panels.append(
                Panel(
                    lambda theme, key=key, axis=axis: pareto_figure(study, key, axis, theme),
                    f"Score against {axis}",
                )
            )
            saved[f"pareto_{name}"] = panels[-1].draw
    if panels:
        blocks.append(Drawing(tuple(panels), _FIGURE, saved=saved))
    return Section("efficiency", "What a score costs", tuple(blocks), "Efficiency")


def efficiency(subject: Subject) -> dict[str, Any]:
    """Return what was measured of a model, with its parameters."""
    found = dict(subject.run.cost.get("efficiency") or {})
    return {**found, "parameters": subject.parameters}


def overall(study: Study, subject: Subject) -> Entry:
    """Return the score over everything."""
    comparison = study.comparison
    cell = comparison.layout.make_cell(_EVERYTHING, study.metric)
    return comparison.entry(subject.key, cell)


def dots(study: Study, key: str) -> list[Dot]:
    """Return a point for each model that has a score and this cost."""
    made = []
    for one in study.models:
        cost, entry = efficiency(one).get(key), overall(study, one)
        if cost and entry.value is not None:
            ends = (entry.value, entry.low, entry.high)
            y = tuple(math.nan if end is None else 100 * end for end in ends)
            made.append(Dot((cost, math.nan, math.nan), y, one.label, _style(study, one)))
    return made


def _style(study: Study, subject: Subject):
    return study.comparison.style(subject.key[0])


def pareto_figure(study: Study, key: str, axis: str, theme: Theme = LIGHT):
    """Draw the score of each model against a cost."""
    shown = dots(study, key)
    costs = [dot.x[0] for dot in shown]
    # A short logarithmic axis has hardly a number on it.
    log = key == "parameters" or max(costs) > _TENFOLD * min(costs)
    panel = Scatter(f"Score against {axis}", tuple(shown))
    scale = " (logarithmic)" if log else ""
    return scatter_figure([panel], axis + scale, "score (%)", theme, log_x=log, front=True)


def _size(value: float | None) -> str | None:
    return None if value is None else size(value).removesuffix(" parameters")
