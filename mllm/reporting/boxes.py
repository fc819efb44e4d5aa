"""Distributions by row: the middle half as a box, the middle 90% as a line."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from mllm.reporting.figures import LIGHT, Theme, ink, short, style
from mllm.reporting.layout import Style

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclasses.dataclass(frozen=True)
class Box:
    """The values of one row, not empty."""

    label: str
    values: tuple[float, ...]
    style: Style


def boxes_figure(
    boxes: Sequence[Box],
    x_label: str,
    theme: Theme = LIGHT,
    *,
    band: Box | None = None,
    zero: float | None = None,
) -> Figure:
    """Draw a box for each row, on a line from its 5% to its 95% quantile, a stroke at the median.

    Args:
      band: a row whose middle half is shaded over the whole height, to compare the others with.
      zero: where a line stands.
    """
    with style(theme):
        figure = Figure(figsize=(4.9, 0.24 * len(boxes) + 0.9), layout="constrained")
        axes = figure.subplots()
        if zero is not None:
            axes.axvline(zero, color=theme.muted, lw=0.8, zorder=1)
        if band is not None:
            low, high = np.quantile(band.values, QUANTILES[1::2])
            axes.axvspan(low, high, color=ink(band.style.colour, theme), alpha=0.12, lw=0, zorder=0)
        for row, box in enumerate(boxes):
            shade = ink(box.style.colour, theme)
            first, low, middle, high, last = np.quantile(box.values, QUANTILES)
            axes.plot([first, last], [row, row], color=shade, lw=1, alpha=0.65, zorder=2)
            axes.barh(row, high - low, left=low, height=0.5, color=shade, alpha=0.55, zorder=3)
            axes.plot([middle] * 2, [row - 0.3, row + 0.3], color=theme.ink, lw=1.4, zorder=4)
        axes.set_yticks(range(len(boxes)), [short(box.label) for box in boxes])
        axes.set_ylim(len(boxes) - 0.4, -0.6)
        axes.set_xlabel(x_label)
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        for tick in axes.get_yticklabels():
            tick.set_color(theme.ink)
    return figure
