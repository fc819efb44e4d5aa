"""Leaves in sounds and in names as points of a plane, a panel for each layer."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from mllm.reporting.figures import LIGHT, Theme, ink, style

# Colours of Okabe and Ito (2008), which readers with any colour vision tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F")


def plane_figure(
    title: str, rows: Sequence[Mapping[str, Any]], place: str, theme: Theme = LIGHT
) -> Figure:
    """Draw the rows of ``plane_rows`` of a place; kinds take colours in the order of the rows."""
    mine = [row for row in rows if row["place"] == place]
    layers = sorted({row["layer"] for row in mine})
    kinds = list(dict.fromkeys(row["kind"] for row in mine))
    shades = {kind: ink(COLOURS[n % len(COLOURS)], theme) for n, kind in enumerate(kinds)}
    with style(theme):
        figure = Figure(figsize=(3.1 * max(len(layers), 1), 3.7), layout="constrained")
        if not layers:
            return figure
        grid = figure.subplots(1, len(layers), squeeze=False)[0]
        for axes, layer in zip(grid, layers, strict=True):
            shown = [row for row in mine if row["layer"] == layer]
            for row in shown:
                shade = shades[row["kind"]]
                (x, y), (u, v) = row["text"], row["sound"]
                axes.plot([x, u], [y, v], color=shade, lw=0.7, alpha=0.5, zorder=1)
                axes.plot(x, y, "o", mfc="none", mec=shade, ms=5, zorder=2)
                axes.plot(u, v, "o", color=shade, ms=5, zorder=3)
            share = 100 * shown[0]["share"]
            axes.set_title(f"layer {layer}, {share:.0f}% of variance")
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set_aspect("equal", "datalim")
        figure.suptitle(title, x=0.01, ha="left", fontsize=9.5, fontweight="bold")
        marks = [axes.plot([], [], "o", color=shade, ms=5, label=kind)[0]
                 for kind, shade in shades.items()]  # fmt: skip
        across = min(len(marks), 2 * len(layers))
        figure.legend(handles=marks, loc="outside lower center", ncols=across, frameon=False)
    return figure
