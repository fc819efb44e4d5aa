"""Was an answer learned? Scores of membership inference.

A score is high where an answer looks like one that was never learned. T tokens of an answer.
"""

import zlib
from collections.abc import Sequence

import numpy as np

from mllm.evaluation.detection import roc_auc

SHARE = 0.2  # of the tokens that Min-K% looks at


def loss(logprobs: Sequence[float]) -> float:
    """Return the mean negative log-probability of tokens float[T] (Yeom et al. 2018)."""
    return -float(np.mean(logprobs))


def zlib_loss(logprobs: Sequence[float], text: str) -> float:
    """Return the loss over the bytes of the compressed text, so that answers which are likely for
    being simple do not look learned (Carlini et al. 2021).
    """
    return loss(logprobs) / len(zlib.compress(text.encode()))


def min_k(logprobs: Sequence[float], share: float = SHARE) -> float:
    """Return the mean negative log-probability of the least likely tokens, a share of float[T] and
    at least one (Shi et al. 2024, arXiv:2310.16789).
    """
    count = max(1, int(share * len(logprobs)))
    return -float(np.mean(np.sort(logprobs)[:count]))


def min_k_plus_plus(
    logprobs: Sequence[float],
    means: Sequence[float],
    variances: Sequence[float],
    share: float = SHARE,
) -> float:
    """Return Min-K%++: ``min_k`` of log-probabilities in standard deviations from the mean of their
    distribution (Zhang et al. 2025, arXiv:2404.02936).

    Args:
      logprobs: float[T]. means, variances: float[T], of log p under p at the same places; variances
        below 1e-6 count as that.
    """
    deviations = np.sqrt(np.maximum(variances, 1e-6))
    return min_k((np.asarray(logprobs) - means) / deviations, share)


def membership_auc(suspected: Sequence[float], unseen: Sequence[float]) -> float:
    """Return the probability that an answer that was never learned scores above a suspected one.

    0.5 if the two cannot be told apart, 1 if suspected answers look learned, and near 0 if they
    look less likely than what was never learned, which gives away that they were removed.

    Args:
      suspected, unseen: scores, at least one of each.
    """
    truth = [False] * len(suspected) + [True] * len(unseen)
    return float(roc_auc([*suspected, *unseen], truth))


def privacy_leak(auc: float, reference: float = 0.5) -> float:
    """Return PrivLeak, in percent: how far a membership AUC is from that of a reference (Shi et al.
    2024, arXiv:2407.06460).

    0 is ideal; below 0 the suspected answers still look learned, above 0 they were removed too far.

    Args:
      auc: of ``membership_auc``. reference: the same of a model that never learned them.
    """
    return ((1 - auc) - (1 - reference)) / (1 - reference + 1e-10) * 100
