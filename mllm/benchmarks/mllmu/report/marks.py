"""The marks of the tables: the best method, and what is not distinguishable from vanilla."""

from collections.abc import Mapping

from mllm.reporting.comparison import Comparison
from mllm.reporting.families import family
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
    "their intervals do not overlap. In a study of several seeds the intervals are over people and "
    "seeds, and differences from vanilla must also have a p-value of at most 0.05 in a sign-flip "
    "test by person, corrected for the rows of the column by Holm’s step-down method over the "
    "joint distribution of the flips (Westfall and Young 1993). Bold claims all its differences at "
    "once and needs no correction. With one seed nothing is corrected for multiple comparisons."
)


def marks(comparison: Comparison, cell: Cell) -> Mapping[Key, Mark]:
    """Return the marks of one cell for every row that has any."""
    first, alike = best(comparison, cell), like_vanilla(comparison, cell)
    return {
        key: Mark(strong=key == first, sign=LIKE_VANILLA if key in alike else "")
        for key in comparison.keys
    }


def like_vanilla(comparison: Comparison, cell: Cell) -> set[Key]:
    """Return the rows that are not distinguishable from vanilla in one cell."""
    vanilla = comparison.key("vanilla")
    several = comparison.seeds > 1
    found = family(comparison, comparison.keys, vanilla, [cell]) if several else {}
    return {
        key
        for key in comparison.keys
        if comparison.alike(key, vanilla, cell) or (key in found and not found[key].clear)
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
    alike = like_vanilla(comparison, ("forget", *cell[1:]))
    competing = [key for key in comparison.methods if key not in alike]
    return comparison.leader(competing, cell)
