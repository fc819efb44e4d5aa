"""Kinds of figures that reports share: labelled points, intervals by row, and curves.

Numbers are in the units of the axes. Every function draws for a light page unless another theme is
given.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import EngFormatter, NullFormatter

from mllm.reporting.figures import LIGHT, Theme, ink, short, style, text_ink
from mllm.reporting.labels import Label, place_labels
from mllm.reporting.layout import Style
from mllm.reporting.regions import Region, draw_regions

_CURVE_POINTS = 300
_STAR, _STAR_SIZE, _MARK_SIZE, _SMALL = "*", 13, 7, 0.5

Span = tuple[float, float, float]  # value, low, high; NaN where there is no interval


@dataclasses.dataclass(frozen=True)
class Dot:
    """One point of a scatter; points with one label are drawn alike and labelled once.

    A small one is a part of what a large one with its label shows, such as one seed of a mean.
    """

    x: Span
    y: Span
    label: str
    style: Style
    small: bool = False


@dataclasses.dataclass(frozen=True)
class Scatter:
    """One panel of a scatter; dashed guides lie at `x_guide` and `y_guide`.

    `regions` lie below the points. `corners` are words set into the lower left, lower right, upper
    left and upper right corner.
    """

    title: str
    dots: tuple[Dot, ...]
    x_guide: float | None = None
    y_guide: float | None = None
    corners: tuple[str, str, str, str] | None = None
    regions: tuple[Region, ...] = ()


@dataclasses.dataclass(frozen=True)
class Bar:
    """One interval: in which row, how far from the middle of it, and whether its mark is filled."""

    row: int
    span: Span
    style: Style
    shift: float = 0.0
    filled: bool = True


@dataclasses.dataclass(frozen=True)
class Intervals:
    """One panel of intervals; `band` is shaded, a line stands at `zero`."""

    title: str
    bars: tuple[Bar, ...]
    band: tuple[float, float] | None = None
    band_colour: str = "muted"
    zero: float | None = 0.0


@dataclasses.dataclass(frozen=True)
class Curve:
    """How a logged series is drawn; the colour "ink" is that of the theme."""

    label: str
    dashes: str = "-"
    colour: str = "ink"


def scatter_figure(
    panels: Sequence[Scatter],
    x_label: str,
    y_label: str,
    theme: Theme = LIGHT,
    *,
    limits: Sequence[Dot] = (),
    log_x: bool = False,
    front: bool = False,
) -> Figure:
    """Draw points with intervals and labels, one panel each.

    Args:
      limits: the points that the axes must hold, so that figures drawn apart share their limits; by
        default those of the panels.
      log_x: draws the horizontal axis on a logarithmic scale.
      front: joins the points that no other beats by a smaller x and a larger y (Pareto front).
    """
    with style(theme):
        rows = max((len({dot.label for dot in panel.dots}) for panel in panels), default=0)
        height = 3.9 + 0.09 * max(0, rows - 10)  # many labels need room
        figure = Figure(figsize=(4.9 * max(1, len(panels)), height), layout="constrained")
        if not panels:
            return figure
        grid = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
        if log_x:
            grid[0].set_xscale("log")
            grid[0].xaxis.set_major_formatter(EngFormatter(sep=" "))
            grid[0].xaxis.set_minor_formatter(NullFormatter())
        _set_limits(grid[0], limits or [dot for panel in panels for dot in panel.dots], log_x)
        for axes, panel in zip(grid, panels, strict=True):
            draw_regions(axes, panel.regions, theme)
            _draw_dots(axes, panel, theme)
            if front:
                _draw_front(axes, panel.dots, theme)
            if panel.corners:
                _name_corners(axes, panel.corners, theme)
            axes.set_title(panel.title)
            axes.set_xlabel(x_label)
        grid[0].set_ylabel(y_label)
        figure.canvas.draw()
        for axes, panel in zip(grid, panels, strict=True):
            _label_dots(axes, panel, theme, pareto_front(panel.dots) if front else [])
        # The labels were placed for this layout; a second pass must not move the axes.
        figure.set_layout_engine("none")
    return figure


def _set_limits(axes: Axes, dots: Sequence[Dot], log_x: bool) -> None:
    for ends, log, setter in (
        ([end for dot in dots for end in dot.x], log_x, axes.set_xlim),
        ([end for dot in dots for end in dot.y], False, axes.set_ylim),
    ):
        ends = [end for end in ends if np.isfinite(end)]
        if not ends:
            continue
        if log:
            margin = max(max(ends) / min(ends), 2) ** 0.12
            setter(min(ends) / margin, max(ends) * margin)
        else:
            margin = 0.09 * max(max(ends) - min(ends), 5)
            setter(min(ends) - margin, max(ends) + margin)


def _draw_dots(axes: Axes, panel: Scatter, theme: Theme) -> None:
    dashes = {"color": theme.muted, "lw": 0.7, "ls": (0, (4, 3)), "alpha": 0.7, "zorder": 1}
    if panel.x_guide is not None:
        axes.axvline(panel.x_guide, **dashes)
    if panel.y_guide is not None:
        axes.axhline(panel.y_guide, **dashes)
    faint = 0.3 if len(panel.dots) > len({dot.label for dot in panel.dots}) else 0.6
    for dot in panel.dots:
        shade = ink(dot.style.colour, theme)
        x, x_low, x_high = dot.x
        y, y_low, y_high = dot.y
        axes.plot([x_low, x_high], [y, y], color=shade, lw=0.8, alpha=faint, zorder=2)
        axes.plot([x, x], [y_low, y_high], color=shade, lw=0.8, alpha=faint, zorder=2)
        axes.plot(
            x,
            y,
            dot.style.marker,
            color=shade,
            markersize=(_STAR_SIZE if dot.style.marker == _STAR else _MARK_SIZE)
            * (_SMALL if dot.small else 1),
            markeredgecolor=theme.paper,
            markeredgewidth=0.4 if dot.small else 0.8,
            alpha=0.55 if dot.small else 1,
            zorder=3 if dot.small else 4,
        )


def _name_corners(axes: Axes, corners: Sequence[str], theme: Theme) -> None:
    places = [(x, y) for y in (0.015, 0.985) for x in (0.015, 0.985)]
    for text, (x, y) in zip(corners, places, strict=True):
        axes.text(
            x, y, text, transform=axes.transAxes, color=theme.muted, fontsize=8, style="italic",
            ha="left" if x < 0.5 else "right", va="bottom" if y < 0.5 else "top", zorder=1,
        )  # fmt: skip


def pareto_front(dots: Sequence[Dot]) -> list[Dot]:
    """Return the points that no other beats by a smaller x and a larger y, by growing x."""
    kept: list[Dot] = []
    for dot in sorted(dots, key=lambda dot: (dot.x[0], -dot.y[0])):
        if not kept or dot.y[0] > kept[-1].y[0]:
            kept.append(dot)
    return kept


def _draw_front(axes: Axes, dots: Sequence[Dot], theme: Theme) -> None:
    front = pareto_front(dots)
    axes.step(
        [dot.x[0] for dot in front],
        [dot.y[0] for dot in front],
        where="post",
        color=theme.muted,
        lw=0.9,
        ls=(0, (4, 3)),
        zorder=1.2,
    )


def _label_dots(axes: Axes, panel: Scatter, theme: Theme, front: Sequence[Dot]) -> None:
    groups = defaultdict(list)
    for dot in panel.dots:
        groups[dot.label].append(dot)
    labels = []
    for text, found in groups.items():
        dots = [dot for dot in found if not dot.small] or found
        # The label stands near the middle point, not at a mean where no point is.
        middle = sorted(dots, key=lambda dot: dot.y[0])[len(dots) // 2]
        weight = "bold" if middle.style.marker == _STAR else "normal"
        colour = text_ink(middle.style.colour, theme)
        labels.append(Label(middle.x[0], middle.y[0], short(text), colour, weight))
    steps = [
        box
        for (x, _, _), (y, _, _), (end, _, _), (top, _, _) in (
            (one.x, one.y, other.x, other.y) for one, other in itertools.pairwise(front)
        )
        for box in ((x, y, end, y), (end, y, end, top))
    ]
    words = [_box(axes, text) for text in axes.texts]
    place_labels(axes, labels, [*_obstacles(axes, panel), *steps, *words])


def _box(axes: Axes, text: Text) -> tuple[float, float, float, float]:
    """Return the box of a text in the units of the axes."""
    extent = text.get_window_extent().transformed(axes.transData.inverted())
    return extent.x0, extent.y0, extent.x1, extent.y1


def _obstacles(axes: Axes, panel: Scatter) -> list[tuple[float, float, float, float]]:
    """Return the boxes of marks, interval bars and guide lines, in the units of the axes."""
    boxes = []
    for dot in panel.dots:
        x, x_low, x_high = dot.x
        y, y_low, y_high = dot.y
        boxes += [(x, y, x, y), (x_low, y, x_high, y), (x, y_low, x, y_high)]
    boxes = [box for box in boxes if np.all(np.isfinite(box))]
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    if panel.x_guide is not None:
        boxes.append((panel.x_guide, bottom, panel.x_guide, top))
    if panel.y_guide is not None:
        boxes.append((left, panel.y_guide, right, panel.y_guide))
    return boxes


def intervals_figure(
    rows: Sequence[str], panels: Sequence[Intervals], x_label: str, theme: Theme = LIGHT
) -> Figure:
    """Draw values with intervals, one row for each label, one panel each."""
    with style(theme):
        size = (3.35 * len(panels) + 1.2, 0.36 * len(rows) + 1.05)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(1, len(panels), sharey=True, sharex=True, squeeze=False)[0]
        for axes, panel in zip(grid, panels, strict=True):
            _draw_bars(axes, panel, theme)
            axes.set_title(panel.title)
            axes.set_xlabel(x_label)
        grid[0].set_yticks(range(len(rows)), map(short, rows))
        grid[0].set_ylim(len(rows) - 0.4, -0.6)
        for tick in grid[0].get_yticklabels():
            tick.set_color(theme.ink)
    return figure


def _draw_bars(axes: Axes, panel: Intervals, theme: Theme) -> None:
    if panel.zero is not None:
        axes.axvline(panel.zero, color=theme.muted, lw=0.8, zorder=1)
    if panel.band is not None:
        shade = ink(panel.band_colour, theme)
        axes.axvspan(*panel.band, color=shade, alpha=0.12, lw=0, zorder=0)
    for bar in panel.bars:
        shade = ink(bar.style.colour, theme)
        value, low, high = bar.span
        height = bar.row + bar.shift
        axes.plot([low, high], [height, height], color=shade, lw=1, alpha=0.65, zorder=2)
        axes.plot(
            value,
            height,
            "o",
            color=shade,
            markerfacecolor=shade if bar.filled else theme.paper,
            markersize=5.5,
            markeredgewidth=1.2,
            zorder=3,
        )
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.margins(x=0.06)


def add_fill_legend(figure: Figure, filled: str, hollow: str, theme: Theme = LIGHT) -> Figure:
    """Add what filled and open marks mean, for a figure that stands alone."""
    with style(theme):
        handles = [
            Line2D([], [], ls="", marker="o", color=theme.ink, label=filled),
            Line2D(
                [], [], ls="", marker="o", color=theme.ink, markerfacecolor=theme.paper,
                label=hollow,
            ),
        ]  # fmt: skip
        figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    return figure


def curves_figure(
    title: str,
    series: Mapping[str, tuple[list[float], list[float]]],
    curves: Mapping[str, Curve],
    y_label: str = "nats per token",
    theme: Theme = LIGHT,
) -> Figure | None:
    """Draw the named series of one run over its steps; None where it logged none of them."""
    shown = {name: series[name] for name in curves if name in series}
    if not shown:
        return None
    with style(theme):
        figure = Figure(figsize=(3.5, 2.3), layout="constrained")
        axes = figure.subplots()
        for name, (steps, values) in shown.items():
            curve = curves[name]
            steps, values = _thin(np.asarray(steps), np.asarray(values))
            mark = "o" if len(steps) == 1 else ""
            axes.plot(
                steps, values, curve.dashes, color=ink(curve.colour, theme), label=curve.label,
                marker=mark, ms=4,
            )  # fmt: skip
        axes.set_title(title)
        axes.set_xlabel("step")
        axes.set_ylabel(y_label)
        axes.margins(x=0.01)
        axes.legend(
            loc="best", frameon=False, fontsize=7.5, handlelength=1.5, labelspacing=0.25,
            borderaxespad=0.2,
        )  # fmt: skip
    return figure


def _thin(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average neighbours so that a curve has at most _CURVE_POINTS points."""
    group = -(-len(steps) // _CURVE_POINTS)
    if group <= 1:
        return steps, values
    edges = np.arange(0, len(steps), group)
    counts = np.diff(np.append(edges, len(steps)))
    return np.add.reduceat(steps, edges) / counts, np.add.reduceat(values, edges) / counts
