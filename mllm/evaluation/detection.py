"""How well scores, or yes-or-no answers, tell positives from negatives.

N items, R weightings. Every function takes weights float[..., N], such as how often a bootstrap
draws each item (``statistics.resampled_weights``), and returns float64[...]; without weights all
items count once. NaN where a value is not defined, such as a recall without positives.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri

Array = np.ndarray


def average_precision(scores: Sequence[float], truth: Sequence[bool], weights: Array | None = None):
    """Return the first of ``ranked``."""
    return ranked(scores, truth, weights)[0]


def roc_auc(scores: Sequence[float], truth: Sequence[bool], weights: Array | None = None):
    """Return the second of ``ranked``."""
    return ranked(scores, truth, weights)[1]


def ranked(
    scores: Sequence[float], truth: Sequence[bool], weights: Array | None = None
) -> tuple[Array, Array]:
    """Return how far positives score above negatives, by two measures.

    Average precision is the mean precision over the steps of recall, sum (R_n - R_{n-1}) P_n over
    thresholds, without interpolation; tied items are taken together. The area under the ROC curve
    is the probability that a positive scores above a negative; a tie counts one half.

    Raises:
      ValueError: lengths differ, or a score is NaN.
    """
    found, all_of = _counts(scores, truth, weights)
    wrong, steps = all_of - found, np.diff(found, prepend=0.0)
    precision = np.sum(steps * _ratio(found, all_of, 0.0), axis=-1)
    pairs = np.sum(np.diff(wrong, prepend=0.0) * (found - steps / 2), axis=-1)
    return _ratio(precision, found[..., -1]), _ratio(pairs, found[..., -1] * wrong[..., -1])


def best_threshold(scores: Sequence[float], truth: Sequence[bool]) -> float:
    """Return the threshold with the highest F1 if items that score at least as high are positive.

    It lies halfway to the next lower score. Of equal F1 the highest threshold is taken; NaN where
    nothing is positive.

    Raises:
      ValueError: lengths differ, or a score is NaN.
    """
    scores = np.asarray(scores, np.float64)
    found, all_of = _counts(scores, truth, None)
    if not found[-1]:
        return math.nan
    values = np.unique(scores)[::-1]
    place = int(np.argmax(2 * found / (all_of + found[-1])))
    below = values[min(place + 1, len(values) - 1)]
    return float((values[place] + below) / 2)


def f1_and_recall(chosen: Sequence[bool], truth: Sequence[bool], weights: Array | None = None):
    """Return F1 and recall of the items that are chosen. F1 is NaN where nothing is positive."""
    chosen, truth = np.asarray(chosen, bool), np.asarray(truth, bool)
    weights = np.ones(len(truth)) if weights is None else weights
    hits, positives = weights @ (chosen & truth), weights @ truth.astype(float)
    f1 = _ratio(2 * hits, weights @ chosen.astype(float) + positives)
    recall = _ratio(hits, positives)
    return np.where(np.isnan(recall), np.nan, f1), recall


def balanced_accuracy(right: Sequence[float], truth: Sequence[bool], weights: Array | None = None):
    """Return the mean of the accuracies on positives and on negatives.

    Args:
      right: whether each answer is right; 0.5 for a guess between the two.
    """
    accuracies = [_ratio(total, count) for total, count in _by_side(right, truth, weights)]
    return (accuracies[0] + accuracies[1]) / 2


def d_prime(said: Sequence[float], truth: Sequence[bool], weights: Array | None = None):
    """Return z(hit rate) - z(false-alarm rate): the sensitivity of yes-or-no answers, whatever
    their bias to "yes".

    Rates are (count + 0.5) / (items + 1), so that those of 0 and 1 are finite (Hautus 1995).

    Args:
      said: whether each answer is "yes"; 0.5 for a guess. truth: whether "yes" is right.
    """
    sides = _by_side(said, truth, weights)
    defined = (sides[0][1] > 0) & (sides[1][1] > 0)
    hits, alarms = (ndtri((total + 0.5) / (count + 1)) for total, count in sides)
    return np.where(defined, hits - alarms, np.nan)


def _by_side(values, truth, weights: Array | None) -> list[tuple[Array, Array]]:
    """Return the weighted sum of values and the weight of the positives, then of the negatives."""
    values, truth = np.asarray(values, float), np.asarray(truth, bool)
    weights = np.ones(len(truth)) if weights is None else weights
    sides = (truth.astype(float), 1.0 - truth)
    return [(weights @ (values * side), weights @ side) for side in sides]


def _counts(scores, truth, weights: Array | None) -> tuple[Array, Array]:
    """Return float[..., K], the positives and all items that reach each of K thresholds, highest
    first.
    """
    scores, truth = np.asarray(scores, np.float64), np.asarray(truth, bool)
    weights = np.ones(len(scores)) if weights is None else np.asarray(weights, np.float64)
    if scores.shape != truth.shape or weights.shape[-1:] != scores.shape:
        raise ValueError(
            f"{scores.shape} scores, {truth.shape} truths and {weights.shape} weights; expected as "
            "many of each as there are items"
        )
    if np.isnan(scores).any():
        raise ValueError(f"score {int(np.argmax(np.isnan(scores)))} is NaN; leave its item out")
    order = np.argsort(-scores, kind="stable")
    ordered, weights = scores[order], weights[..., order]
    last = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    return tuple(np.cumsum(w, axis=-1)[..., last] for w in (weights * truth[order], weights))


def _ratio(above, below, otherwise: float = math.nan) -> Array:
    """Return quotients, and another value where the divisor is 0."""
    above, below = np.broadcast_arrays(np.asarray(above, float), np.asarray(below, float))
    return np.divide(above, below, out=np.full(above.shape, otherwise), where=below != 0)
