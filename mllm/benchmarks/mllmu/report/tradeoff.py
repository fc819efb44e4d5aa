"""What forgetting costs: utility against forgetting, with the spread over people and seeds."""

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.figure import Figure

from mllm.benchmarks.mllmu.distance import METRIC, TASK, UTILITY_SETS
from mllm.benchmarks.mllmu.report.layout import MODALITIES
from mllm.reporting.charts import (
    Dot,
    Scatter,
    Span,
    scatter_figure,
)
from mllm.reporting.comparison import Comparison
from mllm.reporting.figures import LIGHT, Theme
from mllm.reporting.layout import Key
from mllm.reporting.regions import Region
from mllm.reporting.runs import Run

FORGET = ("forget",)
NAMED = 24  # rows that a figure has room to name


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


def drawn_rows(comparison: Comparison) -> tuple[Key, ...]:
    """Return the rows that a figure shows: all, or, of more than ``NAMED``, those without a variant
    of a method that has a row of its own.
    """
    keys = comparison.keys
    if len(keys) <= NAMED:
        return tuple(keys)
    plain = {method for method, variant in keys if not variant}
    return tuple(key for key in keys if not key[1] or key[0] not in plain)


def tradeoff_points(comparison: Comparison) -> list[Point]:
    """Return a point for every checkpoint and modality that has the sets it needs, of the rows that
    are drawn.
    """
    vanilla = comparison.key("vanilla")
    points = []
    for modality in MODALITIES.labels:
        reference = comparison.entry(vanilla, ("forget", TASK, modality, METRIC)).value
        if reference is None:
            continue
        for key in drawn_rows(comparison):
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
        dots=tuple(dot for point in points for dot in _dots(comparison, point, points)),
        regions=tuple(_regions(comparison, modality, points)),
        x_guide=100 * float(np.mean(target)) if target else None,
        y_guide=100 * float(np.mean(start)) if start else None,
    )


def _dot(comparison: Comparison, point: Point) -> Dot:
    return Dot(
        in_points(point.forgetting),
        in_points(point.utility),
        point.label,
        comparison.style(point.method),
    )


def _dots(comparison: Comparison, point: Point, points: Sequence[Point]) -> list[Dot]:
    """Return the point of a checkpoint; of several seeds a small one without its bars, and with the
    first of them their mean.
    """
    seeds = [one for one in points if one.label == point.label]  # of one modality
    if len(seeds) == 1:
        return [_dot(comparison, point)]
    small = dataclasses.replace(
        point, forgetting=_bare(point.forgetting), utility=_bare(point.utility)
    )
    dots = [dataclasses.replace(_dot(comparison, small), small=True)]
    if point is seeds[0]:
        spans = [
            _bare((float(np.mean([getattr(one, name)[0] for one in seeds])), 0, 0))
            for name in ("forgetting", "utility")
        ]
        mean = dataclasses.replace(point, forgetting=spans[0], utility=spans[1])
        dots.append(_dot(comparison, mean))
    return dots


def _bare(span: Span) -> Span:
    return span[0], math.nan, math.nan


def _regions(comparison: Comparison, modality: str, points: Sequence[Point]) -> Iterator[Region]:
    """Yield the spread of each row with several seeds, over people and seeds."""
    for key in comparison.keys:
        seeds = [point for point in points if point.label == comparison.label(key)]
        forget, useful = (
            _draws(comparison, key, sets, modality) for sets in (FORGET, UTILITY_SETS)
        )
        if len(seeds) < 2 or forget is None or useful is None:
            continue
        yield Region(
            100 * float(np.mean([point.forgetting[0] for point in seeds])),
            100 * float(np.mean([point.utility[0] for point in seeds])),
            np.cov(-100 * forget, 100 * useful),
            comparison.style(key[0]),
        )


def _draws(
    comparison: Comparison, key: Key, sets: Sequence[str], modality: str
) -> np.ndarray | None:
    """Return the bootstrap samples of the mean accuracy on sets, None where one has none."""
    cells = [(name, TASK, modality, METRIC) for name in sets]
    found = [
        comparison.draws(key, cell)
        for cell in cells
        if comparison.entry(key, cell).value is not None
    ]
    if not found or any(draws is None for draws in found):
        return None
    return np.mean(found, axis=0)


def in_points(span: Span) -> Span:
    return tuple(100 * number for number in span)
