"""Each method's change in accuracy from vanilla, set by set."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from mllm.benchmarks.mllmu.distance import METRIC, TASK
from mllm.benchmarks.mllmu.report.layout import MODALITIES, SETS
from mllm.benchmarks.mllmu.report.marks import FORGOTTEN
from mllm.benchmarks.mllmu.report.tradeoff import in_points
from mllm.reporting.charts import Bar, Intervals, add_fill_legend, intervals_figure
from mllm.reporting.comparison import Comparison
from mllm.reporting.figures import LIGHT, Theme
from mllm.reporting.layout import Key


def has_changes(comparison: Comparison) -> bool:
    """Return whether there is a vanilla run and another to compare with it."""
    return comparison.key("vanilla") is not None and len(comparison.keys) > 1


def change_figure(
    comparison: Comparison,
    sets: Sequence[str] = tuple(SETS.labels),
    theme: Theme = LIGHT,
    *,
    legend: bool = False,
) -> Figure:
    """Draw each method's change in accuracy from vanilla, one panel per set."""
    vanilla = comparison.key("vanilla")
    keys = [key for key in comparison.keys if key != vanilla]
    figure = intervals_figure(
        [comparison.label(key) for key in keys],
        [_changes(comparison, keys, vanilla, name) for name in sets],
        "change from vanilla (points)",
        theme,
    )
    if legend:
        names = [MODALITIES.label(modality) for modality in MODALITIES.labels]
        add_fill_legend(figure, *names, theme)
    return figure


def _changes(
    comparison: Comparison, keys: Sequence[Key], vanilla: Key, name: str
) -> Intervals:  # fmt: skip
    bars = []
    for row, key in enumerate(keys):
        for shift, modality in zip((-0.15, 0.15), MODALITIES.labels, strict=True):
            found = comparison.difference(key, vanilla, (name, TASK, modality, METRIC))
            if found is not None:
                style = comparison.style(key[0])
                filled = modality == "image_text"
                bars.append(Bar(row, in_points(found[:3]), style, shift, filled))
    target = comparison.key("retain_only") if name in FORGOTTEN else None
    goals = [
        comparison.difference(target, vanilla, (name, TASK, modality, METRIC))
        for modality in MODALITIES.labels
        if target
    ]
    goals = [100 * goal[0] for goal in goals if goal]
    wish = "target is retain-only" if name in FORGOTTEN else "target is 0"
    return Intervals(
        title=f"{SETS.label(name)}: {wish}",
        bars=tuple(bars),
        band=(min(goals), max(goals)) if goals else None,
        band_colour=comparison.style("retain_only").colour,
    )
