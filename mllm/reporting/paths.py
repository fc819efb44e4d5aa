"""Two series against each other, one path a run, from where it starts to where it ends."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter, StrMethodFormatter

from mllm.reporting.figures import LIGHT, Theme, ink, short, style, text_ink
from mllm.reporting.labels import Label, place_labels
from mllm.reporting.layout import Style


@dataclasses.dataclass(frozen=True)
class Trajectory:
    """One path; `xs` and `ys` are of the same steps, in their order, and positive."""

    label: str
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    style: Style


def paths_figure(
    paths: Sequence[Trajectory], x_label: str, y_label: str, theme: Theme = LIGHT
) -> Figure:
    """Draw paths on logarithmic axes; a mark and the label stand where a path ends."""
    with style(theme):
        height = 3.9 + 0.09 * max(0, len(paths) - 10)
        figure = Figure(figsize=(4.9, height), layout="constrained")
        axes = figure.subplots()
        axes.set_xscale("log")
        axes.set_yscale("log")
        labels, taken = [], []
        for path in paths:
            shade = ink(path.style.colour, theme)
            axes.plot(path.xs, path.ys, color=shade, lw=0.9, alpha=0.6, zorder=2)
            axes.plot(
                path.xs[-1], path.ys[-1], path.style.marker, color=shade, markersize=6,
                markeredgecolor=theme.paper, markeredgewidth=0.8, zorder=4,
            )  # fmt: skip
            colour = text_ink(path.style.colour, theme)
            labels.append(Label(path.xs[-1], path.ys[-1], short(path.label), colour))
            taken += [(x, y, x, y) for x, y in zip(path.xs, path.ys, strict=True)]
        axes.margins(0.12)
        for axis in (axes.xaxis, axes.yaxis):
            _mark(axis)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        figure.canvas.draw()
        place_labels(axes, labels, taken)
        figure.set_layout_engine("none")
    return figure


def _mark(axis: Axis) -> None:
    """Label a logarithmic axis: at powers of ten, and below two decades at 2 and 5 of each, too."""
    low, high = axis.get_view_interval()
    if high < 100 * low:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    plain = low > 1e-3 and high < 1e4
    axis.set_major_formatter(StrMethodFormatter("{x:g}") if plain else EngFormatter(sep=" "))
    axis.set_minor_formatter(NullFormatter())


def together(
    series: dict[str, tuple[list[float], list[float]]], x: str, y: str
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the positive values of two series of a run at the steps where both have one."""
    if x not in series or y not in series:
        return (), ()
    first, second = (dict(zip(*series[name], strict=True)) for name in (x, y))
    steps = [step for step in first if first[step] > 0 and second.get(step, 0) > 0]
    return tuple(first[step] for step in steps), tuple(second[step] for step in steps)


def spaced(values: Sequence[float], most: int = 40) -> tuple[float, ...]:
    """Return at most so many of the values, evenly spaced, with the first and the last."""
    places = np.unique(np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int))
    return tuple(values[place] for place in places)
