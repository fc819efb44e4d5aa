"""How well a model knows given answers, from the log-probabilities of their tokens.

"Mean log-probability" is that of an answer over its number of tokens, the end token among them
(``metrics.per_token``), in nats. Quotients of probabilities are taken in logarithms: a model that
was pushed far gives answers probabilities that no float holds. After TOFU (Maini et al. 2024,
arXiv:2401.06121) and open-unlearning (Dorna et al. 2025, arXiv:2506.12618).
"""

import math
from collections.abc import Sequence

from scipy.special import softmax

_MOST = 700.0  # the largest exponent, so that a ratio stays finite


def probability(logprob: float) -> float:
    """Return the probability of an answer per token, given its mean log-probability."""
    return math.exp(logprob)


def probability_among(right: float, wrong: Sequence[float]) -> float:
    """Return the probability per token of the right answer over the sum of those of all answers.

    Args:
      right, wrong: mean log-probabilities.
    """
    return float(softmax([right, *wrong])[0])


def truth_ratio(right: float, wrong: Sequence[float]) -> float:
    """Return how much more probable wrong answers are than the right one: the geometric mean of
    their probabilities per token over that of the right one.

    Near 0 if the right answer is known, 1 if right and wrong ones cannot be told apart, above 1 if
    wrong ones are preferred.

    Args:
      right, wrong: mean log-probabilities.

    Raises:
      ValueError: there is no wrong answer.
    """
    if len(wrong) == 0:
        raise ValueError("truth_ratio: found no wrong answer, expected at least one")
    return math.exp(min(math.fsum(wrong) / len(wrong) - right, _MOST))


def truth_undecided(ratio: float) -> float:
    """Return a truth ratio as a score of ignorance: 1 where right and wrong answers cannot be told
    apart, towards 0 where either is preferred.
    """
    return min(ratio, 1 / max(ratio, 1.0))


def truth_known(ratio: float) -> float:
    """Return a truth ratio as a score of knowledge: 1 where the right answer alone is possible, 0
    where wrong ones are as probable.
    """
    return max(0.0, 1 - ratio)


def exact_memorisation(likeliest: Sequence[bool]) -> float:
    """Return the share of an answer's tokens that are the model's likeliest next token, each after
    the right tokens before it (Tirumala et al. 2022, arXiv:2205.10770).

    Args:
      likeliest: of each token, without the end token; at least one.
    """
    return sum(map(bool, likeliest)) / len(likeliest)


def extraction_strength(likeliest: Sequence[bool]) -> float:
    """Return the share of an answer that the model completes from the rest: 1 - k / T, with k the
    length of the shortest beginning after which all of T tokens are the likeliest (Carlini et al.
    2021, arXiv:2012.07805).

    1 if nothing need be given, 0 if not even the last token follows. The code of open-unlearning
    gives 1 / T there.

    Args:
      likeliest: see ``exact_memorisation``.
    """
    given = max((place for place, hit in enumerate(likeliest, 1) if not hit), default=0)
    return 1 - given / len(likeliest)
