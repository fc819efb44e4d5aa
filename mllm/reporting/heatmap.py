"""A matrix as a heat map with its numbers written into the cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure

from mllm.reporting.figures import LIGHT, Theme, luminance, short, style

_LOW, _HIGH = "#D55E00", "#0072B2"  # of Okabe and Ito (2008)
_DARKEST = 0.2  # relative luminance below which a cell takes white text


def heat_map(
    values: Sequence[Sequence[float | None]],
    rows: Sequence[str],
    columns: Sequence[str],
    theme: Theme = LIGHT,
    *,
    title: str = "",
    low: float = 0.0,
    high: float = 100.0,
    centre: float | None = None,
    notes: Sequence[Sequence[str]] | None = None,
) -> Figure:
    """Draw a matrix; cells without a value stay empty.

    Args:
      values: [rows, columns], None or NaN where there is none.
      low, high: the values at the ends of the colours.
      centre: the value without colour of a matrix of differences; smaller and larger ones take
        different colours.
      notes: a second line of text for each cell, such as its interval or class.
    """
    rows, columns = [*map(short, rows)], [*map(short, columns)]
    matrix = np.array([[np.nan if v is None else v for v in row] for row in values], float)
    matrix = matrix.reshape(len(rows), len(columns))
    colours = _colours(matrix, low, high, centre, theme)
    with style(theme):
        width = max(3.0, 0.085 * max(map(len, rows), default=0) + 0.95 * len(columns) + 0.5)
        height = (0.5 if notes is not None else 0.36) * len(rows) + 1.1
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots()
        axes.imshow(colours, aspect="auto", interpolation="nearest")
        for (row, column), value in np.ndenumerate(matrix):
            empty = bool(np.isnan(value))
            note = notes[row][column] if notes is not None and not empty else ""
            text = "–" if empty else _number(value, signed=centre is not None)
            shade = _text_colour(colours[row, column], empty, theme)
            shift = 0.16 if note else 0.0
            axes.text(column, row - shift, text, ha="center", va="center", color=shade, fontsize=8)
            if note:
                axes.text(
                    column, row + 0.24, note, ha="center", va="center", color=shade, fontsize=6.5
                )
        axes.set_xticks(range(len(columns)), columns)
        axes.set_yticks(range(len(rows)), rows)
        axes.xaxis.tick_top()
        axes.tick_params(length=0, colors=theme.ink)
        if any(len(column) > 10 for column in columns):
            axes.tick_params(axis="x", labelrotation=30)
            for tick in axes.get_xticklabels():
                tick.set(horizontalalignment="left", rotation_mode="anchor")
        axes.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(len(rows) + 1) - 0.5, minor=True)
        axes.grid(which="major", visible=False)
        axes.grid(which="minor", color=theme.paper, linewidth=2)
        axes.tick_params(which="minor", length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        if title:
            axes.set_title(title)
    return figure


def _number(value: float, *, signed: bool) -> str:
    text = f"{value:+.1f}" if signed else f"{value:.1f}"
    return text.replace("-", "−")


def _colours(
    matrix: np.ndarray, low: float, high: float, centre: float | None, theme: Theme
) -> np.ndarray:
    """Return RGB colours float64[rows, columns, 3]; cells without a value take the paper's."""
    if centre is None:
        ramp = LinearSegmentedColormap.from_list("ramp", [theme.grid, _HIGH])
        place = (matrix - low) / (high - low)
    else:
        ramp = LinearSegmentedColormap.from_list("ramp", [_LOW, theme.grid, _HIGH])
        reach = max(abs(high - centre), abs(low - centre))
        place = 0.5 + (matrix - centre) / (2 * reach)
    colours = ramp(np.clip(np.nan_to_num(place), 0, 1))[..., :3]
    colours[np.isnan(matrix)] = to_rgb(theme.paper)
    return colours


def _text_colour(cell: np.ndarray, empty: bool, theme: Theme) -> str:
    if empty:
        return theme.muted
    return "#ffffff" if luminance(cell) < _DARKEST else "#1d1c1a"
