"""What each method cost to train: steps, tokens, seconds and memory."""

from collections.abc import Callable, Sequence

import numpy as np

from mllm.reporting.comparison import Comparison
from mllm.reporting.layout import Key
from mllm.reporting.section import Block, Grid, Paragraph

# Head of a column -> key of a run's cost, divided by what.
_COLUMNS = {
    "Steps": ("steps", 1.0),
    "Tokens": ("tokens", 1.0),
    "Seconds": ("seconds", 1.0),
    "Trainable": ("trainable", 1.0),
    "Memory (MB)": ("memory", 1e6),
}
_RATIO = "Of retain-only’s seconds"
_NOTE = (
    "Means over seeds, of training alone: the start of a run, compilation and evaluation are left "
    "out. The last column compares with training retain-only, which forgetting is to save. "
    "Seconds compare only between runs of one machine that did nothing else. Memory is what the "
    "compiler says a training step needs on one device, where a run asked for it (remat “auto”)."
)


def cost_blocks(comparison: Comparison) -> tuple[Block, ...]:
    """Return what rows cost, without columns that no run recorded; nothing without any."""
    columns = {
        head: {key: _mean(comparison, key, name, unit) for key in comparison.keys}
        for head, (name, unit) in _COLUMNS.items()
    }
    columns = {
        head: found
        for head, found in columns.items()
        if any(value is not None for value in found.values())
    }
    if not columns:
        return ()
    target = comparison.key("retain_only")
    whole = _mean(comparison, target, "seconds", 1.0) if target else None
    rows = []
    for key in comparison.keys:
        cells = [_said(found[key], "{:,.0f}".format) for found in columns.values()]
        seconds = _mean(comparison, key, "seconds", 1.0)
        ratio = seconds / whole if whole and seconds is not None else None
        rows.append((comparison.label(key), *cells, _said(ratio, "{:.2f}".format)))
    heads = ("Method", *columns, _RATIO)
    return (Grid("Cost of each method", heads, tuple(rows)), Paragraph(_NOTE, note=True))


def _mean(comparison: Comparison, key: Key, name: str, unit: float) -> float | None:
    values: Sequence = [run.cost.get(name) for run in comparison.runs[key]]
    values = [value for value in values if isinstance(value, int | float)]
    return float(np.mean(values)) / unit if values else None


def _said(value: float | None, form: Callable[[float], str]) -> str:
    return "–" if value is None else form(value)
