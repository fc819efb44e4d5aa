"""Where a small model keeps up with a large one: paired differences, tested and classed."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mllm.benchmarks.scale.outcomes import Outcomes, mean, paired
from mllm.benchmarks.scale.taxonomy import Cell, cell_name
from mllm.evaluation.statistics import central_interval, holm, mcnemar

MARGIN = 0.03  # within three points two models are comparable
ALPHA = 0.05
CLASSES = {
    "comparable": "the interval of the difference lies within the margin",
    "lagging": "the small model is worse, by interval and corrected test",
    "leading": "the small model is better, by interval and corrected test",
    "undecided": "too few items to say",
}


class Gap(NamedTuple):
    """The difference of two models in one group of items.

    Attributes:
      group: its name.
      n: items that both answered.
      large, small: mean values; NaN where ``n`` is 0.
      difference: large - small.
      low, high: its 95% interval by bootstrap over items.
      p_value: of McNemar's exact test on right and wrong answers.
      corrected: the p-value after Holm's correction for the number of groups.
      verdict: how the small model stands, one of ``CLASSES``.
    """

    group: str
    n: int
    large: float
    small: float
    difference: float
    low: float
    high: float
    p_value: float
    corrected: float
    verdict: str


def gaps(
    large: Outcomes,
    small: Outcomes,
    *,
    by: Callable[[Cell], str] = cell_name,
    margin: float = MARGIN,
    alpha: float = ALPHA,
    samples: int = 10_000,
    seed: int = 0,
) -> list[Gap]:
    """Compare two models group by group.

    Where all differences in a group are equal, a bootstrap has no width. The interval is then that
    of a rate of which no case was seen in n items (1 - (alpha / 2)^(1 / n) to either side), so that
    a handful of items on which two models agree proves nothing.

    Args:
      large, small: what the two answered.
      by: names the group of a cell.
      margin: within it two models are comparable.
      alpha: level of the tests, and 1 - coverage of the intervals.
      samples, seed: of the bootstrap.

    Returns:
      One gap a group, in the order of the groups' names.

    Raises:
      ValueError: the two were not asked the same.
    """
    found = []
    for group, pairs in sorted(paired(large, small, by).items()):
        a, b = [left.value for left, _ in pairs], [right.value for _, right in pairs]
        low, high = _interval(a, b, alpha, samples, seed)
        p_value = mcnemar([left.right for left, _ in pairs], [right.right for _, right in pairs])
        means = mean(a), mean(b)
        found.append((group, len(pairs), *means, means[0] - means[1], low, high, p_value))
    corrected = holm([row[-1] for row in found])
    return [
        Gap(*row, adjusted, verdict(row[5], row[6], adjusted, margin=margin, alpha=alpha))
        for row, adjusted in zip(found, corrected, strict=True)
    ]


def verdict(
    low: float, high: float, corrected: float, *, margin: float = MARGIN, alpha: float = ALPHA
) -> str:
    """Return the class of a gap by its interval and corrected p-value; see ``CLASSES``."""
    if -margin <= low and high <= margin:
        return "comparable"
    if corrected <= alpha and low > 0:
        return "lagging"
    if corrected <= alpha and high < 0:
        return "leading"
    return "undecided"


def _interval(
    a: list[float], b: list[float], alpha: float, samples: int, seed: int
) -> tuple[float, float]:
    if not a:
        return math.nan, math.nan
    values, counts = np.unique(np.subtract(a, b), return_counts=True)
    if len(values) == 1:
        unseen = 1 - (alpha / 2) ** (1 / len(a))
        return max(-1.0, float(values[0]) - unseen), min(1.0, float(values[0]) + unseen)
    # Drawing items with replacement is drawing how often each difference occurs.
    drawn = np.random.default_rng(seed).multinomial(len(a), counts / len(a), size=samples)
    return central_interval(drawn @ values / len(a), 1 - alpha)
