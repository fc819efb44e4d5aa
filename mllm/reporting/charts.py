"""The figures themselves: trade-off, change against vanilla, training curves."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mllm.reporting.collect import ANCHORS, MODALITIES
from mllm.reporting.figures import LIGHT, Label, Theme, colour, marker, place_labels, style
from mllm.reporting.finding import METRIC, TASK, Point
from mllm.reporting.tables import (
    FORGOTTEN_SETS,
    MODALITY_LABELS,
    SET_LABELS,
    Comparison,
    method_label,
)

CURVES = {
    "loss": ("loss", "-", None),
    "forget_nll": ("forget", "-", "#D55E00"),
    "retain_nll": ("retain", "-", "#009E73"),
    "kl": ("KL", "--", "#0072B2"),
}
_CURVE_POINTS = 300


def tradeoff_figure(
    points: list[Point], modalities: tuple[str, ...] = MODALITIES, theme: Theme = LIGHT
) -> Figure:
    """Draws forgetting against utility, a panel a modality, a point a checkpoint."""
    panels = [one for one in modalities if any(point.modality == one for point in points)]
    with style(theme):
        figure = Figure(figsize=(4.9 * max(1, len(panels)), 3.9), layout="constrained")
        if not panels:
            return figure
        grid = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
        _set_limits(grid[0], points)
        for axes, modality in zip(grid, panels, strict=True):
            shown = [point for point in points if point.modality == modality]
            _draw_tradeoff(axes, shown, theme)
            axes.set_title(MODALITY_LABELS[modality].capitalize())
            axes.set_xlabel("forgetting: drop in forget-set accuracy (points) →")
        grid[0].set_ylabel("utility: accuracy on retain, celebrity (%) →")
        figure.canvas.draw()
        for axes, modality in zip(grid, panels, strict=True):
            _label_tradeoff(axes, [p for p in points if p.modality == modality], theme)
        # The labels were placed for this layout; a second pass must not move the axes.
        figure.set_layout_engine("none")
    return figure


def _set_limits(axes: Axes, points: list[Point]) -> None:
    for ends, setter in (
        ([100 * value for point in points for value in point.forgetting], axes.set_xlim),
        ([100 * value for point in points for value in point.utility], axes.set_ylim),
    ):
        ends = [end for end in ends if np.isfinite(end)]
        margin = 0.09 * max(max(ends) - min(ends), 5)
        setter(min(ends) - margin, max(ends) + margin)


def _draw_tradeoff(axes: Axes, points: list[Point], theme: Theme) -> None:
    methods = [point.method for point in points]
    guides, dashes = _guides(points), {"color": theme.muted, "lw": 0.7, "ls": (0, (4, 3))}
    if "x" in guides:
        axes.axvline(guides["x"], alpha=0.7, zorder=1, **dashes)
    if "y" in guides:
        axes.axhline(guides["y"], alpha=0.7, zorder=1, **dashes)
    faint = 0.3 if len(points) > len(set(methods)) else 0.6
    for point in points:
        shade = colour(point.method, methods, theme)
        x, x_low, x_high = (100 * value for value in point.forgetting)
        y, y_low, y_high = (100 * value for value in point.utility)
        axes.plot([x_low, x_high], [y, y], color=shade, lw=0.8, alpha=faint, zorder=2)
        axes.plot([x, x], [y_low, y_high], color=shade, lw=0.8, alpha=faint, zorder=2)
        axes.plot(
            x,
            y,
            marker(point.method, methods),
            color=shade,
            markersize=13 if point.method in ANCHORS else 7,
            markeredgecolor=theme.paper,
            markeredgewidth=0.8,
            zorder=4,
        )


def _label_tradeoff(axes: Axes, points: list[Point], theme: Theme) -> None:
    groups = defaultdict(list)
    for point in points:
        groups[point.method, point.label].append(point)
    methods = [point.method for point in points]
    labels = []
    for (method, text), seeds in groups.items():
        # The label stands by the seed in the middle, not by a mean where no point is.
        middle = sorted(seeds, key=lambda point: point.utility[0])[len(seeds) // 2]
        labels.append(
            Label(
                100 * middle.forgetting[0],
                100 * middle.utility[0],
                text,
                colour(method, methods, theme),
                "bold" if method in ANCHORS else "normal",
            )
        )
    place_labels(axes, labels, _obstacles(axes, points))


def _obstacles(axes: Axes, points: list[Point]) -> list[tuple[float, float, float, float]]:
    """Returns the boxes of marks, interval bars and guide lines, in points of percent."""
    boxes = []
    for point in points:
        x, x_low, x_high = (100 * value for value in point.forgetting)
        y, y_low, y_high = (100 * value for value in point.utility)
        boxes += [(x, y, x, y), (x_low, y, x_high, y), (x, y_low, x, y_high)]
    boxes = [box for box in boxes if np.all(np.isfinite(box))]
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    guides = _guides(points)
    if "x" in guides:
        boxes.append((guides["x"], bottom, guides["x"], top))
    if "y" in guides:
        boxes.append((left, guides["y"], right, guides["y"]))
    return boxes


def _guides(points: list[Point]) -> dict[str, float]:
    """Returns where the target lies: forgetting of retain-only (x), utility of vanilla (y)."""
    forgetting = [point.forgetting[0] for point in points if point.method == "retain_only"]
    utility = [point.utility[0] for point in points if point.method == "vanilla"]
    guides = {"x": forgetting, "y": utility}
    return {name: 100 * float(np.mean(values)) for name, values in guides.items() if values}


def has_changes(comparison: Comparison) -> bool:
    """Tells whether there is a vanilla run and another to set against it."""
    return comparison.key("vanilla") is not None and len(comparison.keys) > 1


def change_figure(
    comparison: Comparison, sets: tuple[str, ...], theme: Theme = LIGHT
) -> Figure | None:
    """Draws each method's change of accuracy against vanilla, a panel a set; None without data."""
    if not has_changes(comparison):
        return None
    vanilla = comparison.key("vanilla")
    keys = [key for key in comparison.keys if key[0] != "vanilla"]
    with style(theme):
        size = (3.35 * len(sets) + 1.2, 0.36 * len(keys) + 1.05)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(1, len(sets), sharey=True, sharex=True, squeeze=False)[0]
        for axes, name in zip(grid, sets, strict=True):
            _draw_changes(axes, comparison, keys, vanilla, name, theme)
        grid[0].set_yticks(range(len(keys)), [method_label(*key) for key in keys])
        grid[0].set_ylim(len(keys) - 0.4, -0.6)
        for tick in grid[0].get_yticklabels():
            tick.set_color(theme.ink)
    return figure


def _draw_changes(axes, comparison, keys, vanilla, name, theme) -> None:
    methods = [method for method, _ in comparison.keys]
    axes.axvline(0, color=theme.muted, lw=0.8, zorder=1)
    for row, key in enumerate(keys):
        shade = colour(key[0], methods, theme)
        for shift, modality in zip((-0.15, 0.15), MODALITIES, strict=True):
            found = comparison.difference(key, vanilla, (name, TASK, modality, METRIC))
            if found is None:
                continue
            value, low, high = (100 * number for number in found[:3])
            height = row + shift
            axes.plot([low, high], [height, height], color=shade, lw=1, alpha=0.65, zorder=2)
            axes.plot(
                value,
                height,
                "o",
                color=shade,
                markerfacecolor=shade if modality == "image_text" else theme.paper,
                markersize=5.5,
                markeredgewidth=1.2,
                zorder=3,
            )
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    target = comparison.key("retain_only") if name in FORGOTTEN_SETS else None
    goals = [
        comparison.difference(target, vanilla, (name, TASK, modality, METRIC))
        for modality in MODALITIES
        if target
    ]
    goals = [100 * goal[0] for goal in goals if goal]
    if goals:
        shade = colour("retain_only", methods, theme)
        axes.axvspan(min(goals), max(goals), color=shade, alpha=0.12, lw=0, zorder=0)
    wish = "target is retain-only" if name in FORGOTTEN_SETS else "target is 0"
    axes.set_title(f"{SET_LABELS[name]}: {wish}")
    axes.set_xlabel("change against vanilla (points)")
    axes.margins(x=0.06)


def change_legend(figure: Figure, theme: Theme = LIGHT) -> Figure:
    """Adds what the filled and the open marks mean, for a figure that stands alone."""
    handles = [
        Line2D([], [], ls="", marker="o", color=theme.ink, label=MODALITY_LABELS["image_text"]),
        Line2D([], [], ls="", marker="o", color=theme.ink, markerfacecolor=theme.paper,
               label=MODALITY_LABELS["text"]),
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    return figure


def curves_figure(
    title: str, series: dict[str, tuple[list[float], list[float]]], theme: Theme = LIGHT
) -> Figure | None:
    """Draws the losses of one run over its steps; None where it logged none of them."""
    shown = {name: series[name] for name in CURVES if name in series}
    if not shown:
        return None
    with style(theme):
        figure = Figure(figsize=(3.5, 2.3), layout="constrained")
        axes = figure.subplots()
        for name, (steps, values) in shown.items():
            label, dashes, shade = CURVES[name]
            steps, values = _thin(np.asarray(steps), np.asarray(values))
            mark = "o" if len(steps) == 1 else ""
            axes.plot(
                steps, values, dashes, color=shade or theme.ink, label=label, marker=mark, ms=4
            )
        axes.set_title(title)
        axes.set_xlabel("step")
        axes.set_ylabel("nats per token")
        axes.margins(x=0.01)
        axes.legend(
            loc="best", frameon=False, fontsize=7.5, handlelength=1.5, labelspacing=0.25,
            borderaxespad=0.2,
        )  # fmt: skip
    return figure


def _thin(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Averages neighbours so that a curve has at most _CURVE_POINTS points."""
    group = -(-len(steps) // _CURVE_POINTS)
    if group <= 1:
        return steps, values
    edges = np.arange(0, len(steps), group)
    counts = np.diff(np.append(edges, len(steps)))
    return np.add.reduceat(steps, edges) / counts, np.add.reduceat(values, edges) / counts
