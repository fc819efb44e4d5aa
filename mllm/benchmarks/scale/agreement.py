"""Whether two methods fail on the same items, and in the same way."""

import math
from typing import NamedTuple

from mllm.benchmarks.scale.outcomes import Outcomes, paired
from mllm.evaluation.parsing import normalise
from mllm.evaluation.statistics import cohen_kappa


class Agreement(NamedTuple):
    """How far the errors of two methods agree.

    Attributes:
      n: items that both answered.
      both_wrong: the share of items that both get wrong.
      expected: that share if the two failed independently of each other.
      kappa: Cohen's kappa of right and wrong; NaN where chance alone agrees fully.
      shared: of the items that both get wrong, the share with one and the same wrong answer; NaN
        where there are none. Replies that state no answer share none.
    """

    n: int
    both_wrong: float
    expected: float
    kappa: float
    shared: float


def error_agreement(a: Outcomes, b: Outcomes) -> Agreement:
    """Compare the errors of two methods.

    Raises:
      ValueError: the two were not asked the same.
    """
    pairs = [pair for group in paired(a, b).values() for pair in group]
    if not pairs:
        return Agreement(0, math.nan, math.nan, math.nan, math.nan)
    wrong_a = [not left.right for left, _ in pairs]
    wrong_b = [not right.right for _, right in pairs]
    both = [(left, right) for left, right in pairs if not left.right and not right.right]
    alike = sum(
        left.answer is not None
        and right.answer is not None
        and _spelt(left.answer) == _spelt(right.answer)
        for left, right in both
    )
    count = len(pairs)
    return Agreement(
        n=count,
        both_wrong=len(both) / count,
        expected=sum(wrong_a) * sum(wrong_b) / count**2,
        kappa=cohen_kappa(wrong_a, wrong_b),
        shared=alike / len(both) if both else math.nan,
    )


def _spelt(answer: str) -> str:
    return normalise(answer) or answer
