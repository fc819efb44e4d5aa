"""The marks of the tables: the best method, and what is not distinguishable from vanilla."""

from collections.abc import Mapping

from mllm.reporting.comparison import Comparison
from mllm.reporting.layout import Cell, Key, Mark

FORGOTTEN = ("forget", "test")  # sets about the people that a method should forget
LIKE_VANILLA = "≈"
SIGNS = {LIKE_VANILLA: "The difference from vanilla is not statistically distinguishable."}
LEGEND = (
    "Percentages. * the best method, distinguishable from every other; ≈ not distinguishable from "
    "vanilla; ↓ the target is retain-only."
)
MARKING_RULE = (
    "All numbers are percentages; the small ones are 95% bootstrap intervals over people. "
    "Forget and test (↓): the target is the score of retain-only, the model that never saw these "
    "people; a lower score is no better. Retain and celebrity (↑): higher is better. "
    "Bold marks the best unlearning method, if it is distinguishable from every other one: on "
    "forget and test the one nearest to retain-only, on retain and celebrity the highest of those "
    "that are distinguishable from vanilla on the forget set. The sign ≈ marks scores that are not "
    "distinguishable from vanilla. Two scores are distinguishable if the 95% interval of their "
    "difference, paired by person (at least six people), excludes 0; without replies to pair, if "
    "their intervals do not overlap. Nothing is corrected for multiple comparisons."
)


def marks(comparison: Comparison, cell: Cell) -> Mapping[Key, Mark]:
    """Return the marks of one cell for every row that has any."""
    vanilla = comparison.key("vanilla")
    first = best(comparison, cell)
    return {
        key: Mark(
            strong=key == first,
            sign=LIKE_VANILLA if comparison.alike(key, vanilla, cell) else "",
        )
        for key in comparison.keys
    }


def best(comparison: Comparison, cell: Cell) -> Key | None:
    """Return the unlearning method that is better than every other one, or None.

    On the forget and test sets better means nearer to retain-only (lower, where there is no
    retain-only run), elsewhere higher. There only methods compete that are distinguishable from
    vanilla on the forget set, or doing nothing would win.
    """
    if cell[0] in FORGOTTEN:
        target = comparison.key("retain_only")
        return comparison.leader(comparison.methods, cell, target=target, lower=True)
    vanilla = comparison.key("vanilla")
    forget = ("forget", *cell[1:])
    competing = [key for key in comparison.methods if not comparison.alike(key, vanilla, forget)]
    return comparison.leader(competing, cell)
