"""Bars that are divided into kinds."""

from __future__ import annotations

import math
from collections.abc import Mapping

from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mllm.reporting.figures import LIGHT, Theme, ink, luminance, short, style

_WIDE = 3.0  # percent of the total from which a part of a bar is named


def stacked_figure(
    counts: Mapping[str, Mapping[str, int]],
    totals: Mapping[str, int],
    kinds: Mapping[str, str],
    colours: Mapping[str, str],
    x_label: str,
    theme: Theme = LIGHT,
    *,
    inside: Mapping[str, str] | None = None,
) -> Figure:
    """Draw a bar for each row, divided by kinds, in percent of the row's total.

    Args:
      counts: label of a row -> kind -> how many.
      totals: label of a row -> how many there are of all kinds and of none.
      kinds: kind -> what the legend calls it, in the order of the bars.
      colours: kind -> its colour; neighbours should differ in lightness too.
      inside: kind -> what stands in a part of a bar that has room; by default its percentage.
    """
    used = [kind for kind in kinds if any(one.get(kind) for one in counts.values())]
    lines = math.ceil(len(used) / 2)
    with style(theme):
        size = (7.2, 0.42 * len(counts) + 0.21 * lines + 0.9)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        for row, (name, found) in enumerate(counts.items()):
            left = 0.0
            for kind in used:
                width = 100 * found.get(kind, 0) / max(totals[name], 1)
                shade = ink(colours[kind], theme, 1.2)
                axes.barh(
                    row, width, left=left, height=0.62, color=shade, edgecolor=theme.paper, lw=0.8
                )
                if width >= _WIDE:
                    axes.text(
                        left + width / 2, row, inside[kind] if inside else f"{width:.0f}",
                        ha="center", va="center", fontsize=7.5, color=_on(shade),
                    )  # fmt: skip
                left += width
        axes.set_yticks(range(len(counts)), map(short, counts))
        axes.set_ylim(len(counts) - 0.5, -0.5)
        axes.set_xlabel(x_label)
        axes.set_xlim(0, None)
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        for tick in axes.get_yticklabels():
            tick.set_color(theme.ink)
        handles = [Patch(color=ink(colours[kind], theme, 1.2)) for kind in used]
        if handles:
            figure.legend(
                handles, [kinds[kind] for kind in used], loc="outside lower center", ncols=2,
                frameon=False, fontsize=8, handlelength=1.1,
            )  # fmt: skip
    return figure


def _on(colour: str) -> str:
    """Return the ink that is legible on a colour."""
    return "#ffffff" if luminance(to_rgb(colour)) < 0.2 else "#1d1c1a"
