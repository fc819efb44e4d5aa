"""How likely wrong answers are beside the right one: the distribution of truth ratios."""

import numpy as np

from mllm.benchmarks.mllmu.measures import NAME
from mllm.benchmarks.mllmu.sets import FORGET
from mllm.evaluation.inspection import read_inspection
from mllm.reporting.boxes import Box, boxes_figure
from mllm.reporting.comparison import Comparison
from mllm.reporting.layout import Key
from mllm.reporting.section import Block, Drawing, Panel

_LEAST = 1e-30  # ratios below it stand at its place
_CAPTION = (
    "Truth ratios on the forget set: the probability of wrong answers over that of the right one, "
    "logarithms to base 10, over the questions of all seeds. At 0 the model cannot tell them "
    "apart; to the left the right answer is still known. Boxes are the middle half, strokes the "
    "medians, thin lines the middle 90%{}. Forget quality compares these distributions."
)
_BAND = "; the shaded band is the middle half of retain-only"


def truth_blocks(comparison: Comparison) -> tuple[Block, ...]:
    """Return a figure with a box for each row that was measured, nothing without any."""
    boxes = {
        key: Box(comparison.label(key), values, comparison.style(key[0]))
        for key in comparison.keys
        if (values := logarithms(comparison, key))
    }
    if not boxes:
        return ()
    band = boxes.get(comparison.key("retain_only"))
    ending = "" if comparison.group is None else f"_forget{comparison.group}"

    def draw(theme):
        rows = [*boxes.values()]
        return boxes_figure(rows, "log10 of the truth ratio", theme, band=band, zero=0.0)

    panel = Panel(draw, "Distribution of truth ratios on the forget set by method")
    caption = _CAPTION.format("" if band is None else _BAND)
    return (Drawing((panel,), caption, 1, {f"truth_ratios{ending}": draw}),)


def logarithms(comparison: Comparison, key: Key) -> tuple[float, ...]:
    """Return log10 of the truth ratios of a row on the forget set, over all its seeds."""
    found = []
    for run in comparison.runs[key]:
        kept = read_inspection(run.records_path.parent, NAME, run.manifest)
        rows = [] if kept is None else kept["questions"]
        found += [row["truth_ratio"] for row in rows if row["set"] == FORGET]
    ratios = np.array([ratio for ratio in found if ratio is not None], float)
    return tuple(np.log10(np.maximum(ratios, _LEAST)).tolist())
