"""Ellipses that show how far two numbers of one row may move together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Ellipse

from mllm.reporting.figures import Theme, ink
from mllm.reporting.layout import Style

_REACH = 5.991  # the 95% quantile of chi-square with two degrees of freedom
_SHADED = 8  # most ellipses that are shaded


@dataclasses.dataclass(frozen=True)
class Region:
    """An ellipse that holds 95% of a normal distribution with a centre and a covariance [2, 2]."""

    x: float
    y: float
    spread: np.ndarray
    style: Style


def draw_regions(axes: Axes, regions: Sequence[Region], theme: Theme) -> None:
    """Draw ellipses below all marks: shaded ones, or outlines where many would hide each other."""
    shaded = len(regions) <= _SHADED
    for region in regions:
        width, height, angle = axes_of(region.spread)
        shade = ink(region.style.colour, theme)
        shape = Ellipse(
            (region.x, region.y), width, height, angle=angle, facecolor=shade, edgecolor=shade,
            fill=shaded, alpha=0.13 if shaded else 0.4, lw=0.8, zorder=1.5,
        )  # fmt: skip
        axes.add_patch(shape)


def axes_of(spread: np.ndarray) -> tuple[float, float, float]:
    """Return (long axis, short axis, angle of the long one in degrees) of the 95% ellipse."""
    lengths, directions = np.linalg.eigh(spread)
    short, long = 2 * np.sqrt(_REACH * np.maximum(lengths, 0))
    return float(long), float(short), float(np.degrees(np.arctan2(*directions[::-1, 1])))
