"""How high the item that a user took stands among the candidates.

U users, C candidates of each, one of which is the positive. Ties get expected credit: the mean over
all orders of the tied candidates.
"""

from collections.abc import Sequence

import numpy as np


def ranking_metrics(
    scores: np.ndarray, positive: Sequence[int], ks: Sequence[int] = (3, 5, 10)
) -> dict[str, float]:
    """Return the means over users of ``user_metrics``.

    With 21 candidates, a scorer that says the same of all of them gets AUC 0.5, HR@5 = 5/21 and
    MRR@5 = (1 + 1/2 + ... + 1/5) / 21.

    Args:
      scores: float[U, C], higher is better.
      positive: int[U], the column of each user's positive.
      ks: the lengths of the lists that are looked at.

    Returns:
      "hr@k", "mrr@k" and "ndcg@k" for each k, "auc_pooled" and "auc_user".

    Raises:
      ValueError: as ``user_metrics``.
    """
    return {
        name: float(values.mean()) for name, values in user_metrics(scores, positive, ks).items()
    }


def user_metrics(
    scores: np.ndarray, positive: Sequence[int], ks: Sequence[int] = (3, 5, 10)
) -> dict[str, np.ndarray]:
    """Return the metrics of each user, float64[U] by name.

    With r the rank of the positive, ``hr@k`` is 1 if r <= k, ``mrr@k`` is then 1 / r and ``ndcg@k``
    1 / log2(1 + r); else they are 0. ``auc_user`` is the share of a user's negatives below the
    positive. ``auc_pooled`` are the values of ``pooled_values``.

    Args:
      scores, positive, ks: see ``ranking_metrics``.

    Raises:
      ValueError: a score is NaN, a positive is not a column, a k is below 1, shapes do not fit, or
        there are no users or no negatives.
    """
    scores, positive = _checked(scores, positive, ks)
    users, candidates = scores.shape
    taken = scores[np.arange(users), positive]
    above = np.sum(scores > taken[:, None], axis=1)
    tied = np.sum(scores == taken[:, None], axis=1)  # the positive itself is one of them
    ranks = np.arange(1, candidates + 1)
    found = {}
    for k in ks:
        gains = {"hr": ranks <= k, "mrr": (ranks <= k) / ranks}
        gains["ndcg"] = (ranks <= k) / np.log2(1 + ranks)
        for name, gain in gains.items():
            total = np.concatenate([[0.0], np.cumsum(gain)])
            found[f"{name}@{k}"] = (total[above + tied] - total[above]) / tied
    negatives = np.ones(scores.shape, bool)
    negatives[np.arange(users), positive] = False
    others = scores[negatives].reshape(users, candidates - 1)
    found["auc_pooled"] = pooled_values(taken, others)
    found["auc_user"] = 1 - (above + (tied - 1) / 2) / (candidates - 1)
    return found


def pooled_values(positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """Return float64[U] whose mean is the AUC of all positives against all negatives.

    A user's value is the share of all negatives below its positive, plus the share of all positives
    above its negatives, less the AUC. These are the user's components of the AUC (DeLong et al.
    1988; Obuchowski 1997 for clusters), so that the mean over resampled users has the spread of the
    AUC of resampled users, up to terms of order 1 / U.

    Args:
      positives: float[U]. negatives: float[U, N].
    """
    below = _share_below(negatives.ravel(), positives)
    above = 1 - _share_below(positives, negatives).mean(axis=1)
    return below + above - below.mean()


def _share_below(pool: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the share of ``pool`` that is below each value; what is equal counts half."""
    pool = np.sort(pool)
    twice = np.searchsorted(pool, values, "left") + np.searchsorted(pool, values, "right")
    return twice / (2 * len(pool))


def _checked(scores, positive, ks) -> tuple[np.ndarray, np.ndarray]:
    scores, positive = np.asarray(scores, np.float64), np.asarray(positive)
    if scores.ndim != 2 or scores.shape[0] < 1 or scores.shape[1] < 2:
        raise ValueError(
            f"scores: expected [users, candidates] with a negative or more, found {scores.shape}"
        )
    if positive.shape != scores.shape[:1] or not np.issubdtype(positive.dtype, np.integer):
        raise ValueError(
            f"positive: expected {scores.shape[0]} columns of scores, one for each user, found "
            f"{positive.dtype} {positive.shape}"
        )
    outside = np.flatnonzero((positive < 0) | (positive >= scores.shape[1]))
    if outside.size:
        user = int(outside[0])
        raise ValueError(
            f"positive: of user {user} is {positive[user]}, expected a column, "
            f"0 to {scores.shape[1] - 1}"
        )
    if wrong := [k for k in ks if k < 1]:
        raise ValueError(f"ks: expected 1 or more, found {wrong[0]}")
    if (missing := np.argwhere(np.isnan(scores))).size:
        user, candidate = missing[0].tolist()
        raise ValueError(
            f"scores: user {user}, candidate {candidate} is NaN ({len(missing)} in all); a score "
            "that is not a number has no rank: leave the user out, or mend what made it"
        )
    return scores, positive
