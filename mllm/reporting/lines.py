"""Values with intervals over a few ordered settings, joined by lines; what is missing is a gap."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mllm.reporting.charts import Span
from mllm.reporting.figures import LIGHT, Theme, ink, short, style, text_ink
from mllm.reporting.layout import Style

_LABEL_HEIGHT = 10.5  # points that the label of a line takes


@dataclasses.dataclass(frozen=True)
class Line:
    """One line.

    Attributes:
      spans: at each setting (value, low, high), NaN ends where there is no interval; None leaves a
        gap.
      reference: whether it shows numbers from elsewhere; it is drawn thin and dashed.
    """

    label: str
    spans: tuple[Span | None, ...]
    style: Style
    reference: bool = False


@dataclasses.dataclass(frozen=True)
class Lines:
    """One panel of lines."""

    title: str
    lines: tuple[Line, ...]


def lines_figure(
    settings: Sequence[str],
    panels: Sequence[Lines],
    x_label: str,
    y_label: str,
    theme: Theme = LIGHT,
    *,
    limits: tuple[float, float] = (0.0, 100.0),
) -> Figure:
    """Draw lines over settings, one panel each; a line is labelled at its end.

    Args:
      settings: the labels of the horizontal axis, in order and evenly spaced.
      limits: of the vertical axis.
    """
    with style(theme):
        figure = Figure(figsize=(5.2 * max(1, len(panels)), 3.6), layout="constrained")
        if not panels:
            return figure
        grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, panel in zip(grid, panels, strict=True):
            for line in sorted(panel.lines, key=lambda line: not line.reference):
                _draw(axes, line, theme)
            axes.set_title(panel.title)
            axes.set_xlabel(x_label)
            axes.set_xticks(range(len(settings)), settings)
            axes.set_xlim(-0.25, len(settings) - 0.75)
            margin = 0.03 * (limits[1] - limits[0])
            axes.set_ylim(limits[0] - margin, limits[1] + margin)
        grid[0].set_ylabel(y_label)
        figure.canvas.draw()
        for axes, panel in zip(grid, panels, strict=True):
            _label(axes, panel.lines, theme)
    return figure


def _draw(axes: Axes, line: Line, theme: Theme) -> None:
    shade = ink(line.style.colour, theme)
    spans = [span or (np.nan,) * 3 for span in line.spans]
    places = range(len(spans))
    if line.reference:
        axes.plot(
            places, [span[0] for span in spans], color=shade, lw=0.9, ls=(0, (4, 2)), marker=".",
            ms=4, zorder=2,
        )  # fmt: skip
        return
    for place, (_, low, high) in zip(places, spans, strict=True):
        axes.plot([place, place], [low, high], color=shade, lw=1, alpha=0.65, zorder=3)
    axes.plot(
        places, [span[0] for span in spans], color=shade, lw=1.6, marker=line.style.marker, ms=7,
        markeredgecolor=theme.paper, markeredgewidth=0.8, zorder=4,
    )  # fmt: skip


def _label(axes: Axes, lines: Sequence[Line], theme: Theme) -> None:
    """Set the label of each line right of the axes, at the height of its last value or as near as
    the other labels allow.
    """
    ends = []
    for line in lines:
        values = [span[0] for span in line.spans if span is not None]
        if values:
            ends.append((values[-1], line))
    ends.sort(key=lambda end: end[0])
    to_points = 72 / axes.figure.dpi
    heights = [axes.transData.transform((0, value))[1] * to_points for value, _ in ends]
    low, high = (axes.transAxes.transform((0, y))[1] * to_points for y in (0, 1))
    for place, ((value, line), height) in enumerate(
        zip(ends, _spread(heights, low, high), strict=True)
    ):
        axes.annotate(
            short(line.label),
            (1, value),
            xycoords=("axes fraction", "data"),
            xytext=(5, height - heights[place]),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=text_ink(line.style.colour, theme),
            style="italic" if line.reference else "normal",
            fontweight="normal" if line.reference else "bold",
            annotation_clip=False,
        )


def _spread(heights: Sequence[float], low: float, high: float) -> list[float]:
    """Return sorted heights moved apart to at least the height of a label, within limits where
    there is room.
    """
    placed: list[float] = []
    for height in heights:
        placed.append(max(height, placed[-1] + _LABEL_HEIGHT) if placed else max(height, low))
    ceiling = high
    for place in reversed(range(len(placed))):
        placed[place] = min(placed[place], ceiling)
        ceiling = placed[place] - _LABEL_HEIGHT
    return placed
