"""What forgetting costs: utility against forgetting, and each method's change from vanilla."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from mllm.benchmarks.mllmu.report.layout import MODALITIES, SETS
from mllm.benchmarks.mllmu.report.marks import FORGOTTEN
from mllm.benchmarks.mllmu.report.standing import METRIC, TASK, UTILITY_SETS
from mllm.reporting.charts import (
    Bar,
    Dot,
    Intervals,
    Scatter,
    Span,
    add_fill_legend,
    intervals_figure,
    scatter_figure,
)
from mllm.reporting.comparison import Comparison
from mllm.reporting.figures import LIGHT, Theme
from mllm.reporting.layout import Key
from mllm.reporting.runs import Run


@dataclasses.dataclass(frozen=True)
class Point:
    """One checkpoint of the trade-off figure. All numbers are fractions of 1.

    `forgetting` is vanilla's accuracy on the forget set minus that of this checkpoint, `utility`
    the mean of its accuracy on retain and celebrity; each with the ends of its 95% interval (NaN
    where the score has none).
    """

    method: str
    label: str
    seed: int
    modality: str
    forgetting: Span
    utility: Span


def tradeoff_points(comparison: Comparison) -> list[Point]:
    """Return a point for every checkpoint and modality that has the sets it needs."""
    vanilla = comparison.key("vanilla")
    points = []
    for modality in MODALITIES.labels:
        reference = comparison.entry(vanilla, ("forget", TASK, modality, METRIC)).value
        if reference is None:
            continue
        for key in comparison.keys:
            for run in comparison.runs[key]:
                point = _point(comparison, run, key, modality, reference)
                if point:
                    points.append(point)
    return points


def _point(
    comparison: Comparison, run: Run, key: Key, modality: str, reference: float
) -> Point | None:
    scores = {comparison.layout.cell(score): score for score in run.scores}
    forget = scores.get(("forget", TASK, modality, METRIC))
    useful = [scores.get((name, TASK, modality, METRIC)) for name in UTILITY_SETS]
    useful = [score for score in useful if score and score["value"] is not None]
    if not forget or forget["value"] is None or not useful:
        return None
    low, high = _ends(forget)
    utility = float(np.mean([score["value"] for score in useful]))
    # The sets hold different people, so their errors add in quadrature.
    below, above = (
        float(np.sqrt(np.sum(np.square(side)))) / len(useful)
        for side in (
            [score["value"] - _ends(score)[0] for score in useful],
            [_ends(score)[1] - score["value"] for score in useful],
        )
    )
    return Point(
        method=run.method,
        label=comparison.label(key),
        seed=run.seed,
        modality=modality,
        forgetting=(reference - forget["value"], reference - high, reference - low),
        utility=(utility, utility - below, utility + above),
    )


def _ends(score: dict) -> tuple[float, float]:
    """Return the ends of a score's interval, NaN where it has none."""
    low, high = score["ci95"]
    return (math.nan if low is None else low), (math.nan if high is None else high)


def tradeoff_figure(
    comparison: Comparison,
    points: Sequence[Point],
    modalities: Sequence[str] = tuple(MODALITIES.labels),
    theme: Theme = LIGHT,
) -> Figure:
    """Draw utility against forgetting, one panel per modality, one point per checkpoint."""
    panels = [
        _panel(comparison, [p for p in points if p.modality == modality], modality)
        for modality in modalities
        if any(point.modality == modality for point in points)
    ]
    return scatter_figure(
        panels,
        "forgetting: drop in accuracy on forget (points) →",
        "utility: accuracy on retain, celebrity (%) →",
        theme,
        limits=[_dot(comparison, point) for point in points],
    )


def _panel(comparison: Comparison, points: Sequence[Point], modality: str) -> Scatter:
    target = [point.forgetting[0] for point in points if point.method == "retain_only"]
    start = [point.utility[0] for point in points if point.method == "vanilla"]
    label = MODALITIES.label(modality)
    return Scatter(
        title=label[:1].upper() + label[1:],
        dots=tuple(_dot(comparison, point) for point in points),
        x_guide=100 * float(np.mean(target)) if target else None,
        y_guide=100 * float(np.mean(start)) if start else None,
    )


def _dot(comparison: Comparison, point: Point) -> Dot:
    return Dot(
        _in_points(point.forgetting),
        _in_points(point.utility),
        point.label,
        comparison.style(point.method),
    )


def _in_points(span: Span) -> Span:
    return tuple(100 * number for number in span)


def has_changes(comparison: Comparison) -> bool:
    """Return whether there is a vanilla run and another to compare with it."""
    return comparison.key("vanilla") is not None and len(comparison.keys) > 1


def change_figure(
    comparison: Comparison,
    sets: Sequence[str] = tuple(SETS.labels),
    theme: Theme = LIGHT,
    *,
    legend: bool = False,
) -> Figure:
    """Draw each method's change in accuracy from vanilla, one panel per set."""
    vanilla = comparison.key("vanilla")
    keys = [key for key in comparison.keys if key != vanilla]
    figure = intervals_figure(
        [comparison.label(key) for key in keys],
        [_changes(comparison, keys, vanilla, name) for name in sets],
        "change from vanilla (points)",
        theme,
    )
    if legend:
        names = [MODALITIES.label(modality) for modality in MODALITIES.labels]
        add_fill_legend(figure, *names, theme)
    return figure


def _changes(
    comparison: Comparison, keys: Sequence[Key], vanilla: Key, name: str
) -> Intervals:  # fmt: skip
    bars = []
    for row, key in enumerate(keys):
        for shift, modality in zip((-0.15, 0.15), MODALITIES.labels, strict=True):
            found = comparison.difference(key, vanilla, (name, TASK, modality, METRIC))
            if found is not None:
                style = comparison.style(key[0])
                filled = modality == "image_text"
                bars.append(Bar(row, _in_points(found[:3]), style, shift, filled))
    target = comparison.key("retain_only") if name in FORGOTTEN else None
    goals = [
        comparison.difference(target, vanilla, (name, TASK, modality, METRIC))
        for modality in MODALITIES.labels
        if target
    ]
    goals = [100 * goal[0] for goal in goals if goal]
    wish = "target is retain-only" if name in FORGOTTEN else "target is 0"
    return Intervals(
        title=f"{SETS.label(name)}: {wish}",
        bars=tuple(bars),
        band=(min(goals), max(goals)) if goals else None,
        band_colour=comparison.style("retain_only").colour,
    )
