"""Intervals, comparisons and agreement.

N questions, C clusters (what questions are samples of: a person, a picture), R resamplings.
Questions of one cluster are not independent, so intervals and paired differences resample clusters.
Their statistic is a ratio of sums, total over number of questions, never a mean of the clusters'
means. See Miller 2024, arXiv:2411.00640, on clustered and paired evaluation.
"""

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

# Up to this many clusters all 2^C assignments of signs are enumerated.
_ENUMERATED_CLUSTERS = 12


class PairedDifference(NamedTuple):
    """Mean of ``a - b`` over questions, its interval, two-sided p-value of no difference."""

    difference: float
    low: float
    high: float
    p_value: float


def bootstrap_means(
    values: Sequence[float], clusters: Sequence[Hashable], *, samples: int = 2000, seed: int = 0
) -> np.ndarray:
    """Return the means float64[R] of R resamplings of whole clusters with replacement.

    The draws depend only on the seed and on the number of clusters. The means of several runs on
    the same clusters therefore belong together draw by draw: their differences, and any other
    function of them, are paired. NaN where there are fewer than two clusters.

    Raises:
      ValueError: lengths differ, or a value is NaN or infinite.
    """
    sums, counts = _cluster_sums(values, clusters)
    return _resampled_means(sums, counts, samples, seed)


def central_interval(means: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Return the middle ``level`` of bootstrap means, (nan, nan) where they are NaN."""
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def cluster_bootstrap(
    values: Sequence[float],
    clusters: Sequence[Hashable],
    *,
    samples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Return the percentile interval of the mean by resampling whole clusters with replacement.

    (nan, nan) where there is nothing to resample: no question, or a single cluster, whose variation
    cannot be estimated. Values that are all equal give an interval of width 0. It says that the
    resamplings agree, not that the rate is certain; with few clusters compare by
    ``paired_difference``, whose p-value does not collapse.

    Args:
      values: [N], one per question.
      clusters: [N], the cluster of each question.
      samples: R.
      seed: of the resampling; the same input gives the same interval.
      level: coverage, between 0 and 1.

    Raises:
      ValueError: lengths differ, or a value is NaN or infinite.
    """
    return central_interval(bootstrap_means(values, clusters, samples=samples, seed=seed), level)


def mean_interval(values: Sequence[float], clusters: Sequence[Hashable]) -> list[float | None]:
    """Return the 95% interval [low, high] of a mean; [None, None] where there is none.

    It is Wilson's where each value is 0 or 1 and of a cluster of its own, else clusters are
    resampled.
    """
    if values and set(values) <= {0.0, 1.0} and len(set(clusters)) == len(values):
        return list(wilson(int(sum(values)), len(values)))
    ends = cluster_bootstrap(values, clusters)
    return [None if math.isnan(end) else end for end in ends]


def resampled_weights(
    clusters: Sequence[Hashable], *, samples: int = 2000, seed: int = 0
) -> np.ndarray:
    """Return float64[1 + R, N], how often each question counts: once in the first row, which is of
    the questions as they are, then as often as each of R resamplings draws its cluster.

    The draws are those of ``bootstrap_means``. R is 0 where there are fewer than two clusters.
    """
    names = {name: place for place, name in enumerate(sorted(set(clusters), key=repr))}
    once = np.ones((1, len(clusters)))
    if len(names) < 2:
        return once
    places = [names[name] for name in clusters]
    return np.concatenate([once, _drawn(len(names), samples, seed)[:, places]])


def statistic_interval(values: np.ndarray) -> tuple[float, list[float | None]]:
    """Return a statistic and its 95% interval [low, high], of its values float64[1 + R] by
    ``resampled_weights``.

    Draws of which it is NaN, such as those without positives, are left out; [None, None] where none
    is left.
    """
    drawn = values[1:][~np.isnan(values[1:])]
    return float(values[0]), list(central_interval(drawn)) if len(drawn) else [None, None]


def centred_interval(
    values: np.ndarray, limits: tuple[float, float]
) -> tuple[float, list[float | None]]:
    """Return what ``statistic_interval`` does, of a statistic that resampling itself shifts.

    The interval is moved by the mean shift of the draws and cut at ``limits``. It estimates the
    mean of the statistic over data sets of this size. Average precision needs it: the copies of a
    positive that is drawn twice share a rank, so that of few positives is higher in the draws than
    in the data. Percentiles then miss the estimate, and so do BCa intervals, whose correction has
    no bound.
    """
    value, (low, high) = statistic_interval(values)
    if low is None:
        return value, [None, None]
    shift = np.nanmean(values[1:]) - value
    return value, [float(np.clip(end - shift, *limits)) for end in (low, high)]


def paired_difference(
    values_a: Sequence[float],
    values_b: Sequence[float],
    clusters: Sequence[Hashable],
    *,
    samples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> PairedDifference:
    """Compare two runs on the same questions.

    The interval is that of ``cluster_bootstrap`` on the differences. The p-value is that of a
    sign-flip test: under no difference, each cluster's sum of differences is as likely with the
    other sign. All assignments of signs are enumerated for up to 12 clusters (exact), else R are
    drawn and the observed one is counted with them, so that p is at least 1 / (R + 1). With C
    clusters p is at least 2 / 2^C: few clusters cannot prove much, whatever the difference. No
    question gives (nan, nan, nan, 1); one cluster has p = 1 and no interval.

    Args:
      values_a, values_b: [N], aligned: entry i of both answers question i.
      clusters: [N], the cluster of each question.

    Raises:
      ValueError: lengths differ, or a value is NaN or infinite.
    """
    if len(values_a) != len(values_b):
        raise ValueError(
            f"paired_difference: {len(values_a)} and {len(values_b)} values; pair them by question"
        )
    differences = np.asarray(values_a, float) - np.asarray(values_b, float)
    sums, counts = _cluster_sums(differences, clusters)
    low, high = central_interval(_resampled_means(sums, counts, samples, seed), level)
    if not counts.sum():
        return PairedDifference(np.nan, low, high, 1.0)
    difference = float(sums.sum() / counts.sum())
    return PairedDifference(difference, low, high, _sign_flip_p_value(sums, samples, seed))


def wilson(successes: int, count: int, level: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval of a rate; (nan, nan) where nothing was counted.

    It assumes independent trials: use ``cluster_bootstrap`` where questions share a cluster. It
    keeps a width at rates of 0 and 1, where the bootstrap has none (Wilson 1927).

    Raises:
      ValueError: ``successes`` is not between 0 and ``count``.
    """
    if not 0 <= successes <= count:
        raise ValueError(f"wilson: {successes} successes of {count}; expected 0 to {count}")
    if not count:
        return math.nan, math.nan
    z, rate = NormalDist().inv_cdf((1 + level) / 2), successes / count
    scale = 1 + z * z / count
    centre = (rate + z * z / (2 * count)) / scale
    half = z / scale * math.sqrt(rate * (1 - rate) / count + z * z / (4 * count * count))
    low = 0.0 if successes == 0 else centre - half
    return low, 1.0 if successes == count else centre + half


def mcnemar(right_a: Sequence[bool], right_b: Sequence[bool]) -> float:
    """Return the exact two-sided p-value of McNemar's test on paired right and wrong answers.

    If the two do not differ, either is equally likely to be the one that is right on a question
    that only one answers correctly. The p-value is that of a fair coin, and 1 if there is no such
    question. Questions are taken as independent (McNemar 1947).

    Args:
      right_a, right_b: [N], aligned: entry i of both answers question i.

    Raises:
      ValueError: lengths differ.
    """
    if len(right_a) != len(right_b):
        raise ValueError(
            f"mcnemar: {len(right_a)} and {len(right_b)} answers; pair them by question"
        )
    only_a = sum(bool(a) and not b for a, b in zip(right_a, right_b, strict=True))
    only_b = sum(bool(b) and not a for a, b in zip(right_a, right_b, strict=True))
    flips = only_a + only_b
    tail = sum(math.comb(flips, k) for k in range(min(only_a, only_b) + 1))
    return min(1.0, 2 * tail / 2**flips)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number by Holm's step-down method, in the given order.

    Rejecting where the adjusted value is at most alpha keeps the chance of any false rejection in
    the family below alpha, whatever the dependence between the tests (Holm 1979).

    Raises:
      ValueError: a p-value is not between 0 and 1.
    """
    for place, value in enumerate(p_values):
        if not 0 <= value <= 1:
            raise ValueError(f"holm: p-value {place} is {value}, expected 0 to 1")
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def cohen_kappa(labels_a: Sequence[Hashable], labels_b: Sequence[Hashable]) -> float:
    """Return Cohen's kappa, the agreement of two labellings beyond that of chance.

    1 is full agreement, 0 is what two independent labellings with the same frequencies reach. NaN
    where chance alone agrees fully (both give one and the same label) or nothing was labelled
    (Cohen 1960).

    Args:
      labels_a, labels_b: [N], aligned.

    Raises:
      ValueError: lengths differ.
    """
    if len(labels_a) != len(labels_b):
        raise ValueError(f"cohen_kappa: {len(labels_a)} and {len(labels_b)} labels; pair them")
    total = len(labels_a)
    agreed = total * sum(a == b for a, b in zip(labels_a, labels_b, strict=True))
    counts_a, counts_b = Counter(labels_a), Counter(labels_b)
    by_chance = sum(counts_a[label] * counts_b[label] for label in counts_a)
    # In whole numbers, times N squared: full agreement by chance is then found exactly.
    if by_chance == total * total:
        return math.nan
    return (agreed - by_chance) / (total * total - by_chance)


def _cluster_sums(values, clusters) -> tuple[np.ndarray, np.ndarray]:
    """Return float64[C] sums and counts of the clusters, whatever the order of the input."""
    values = np.asarray(values, float)
    if len(values) != len(clusters):
        raise ValueError(
            f"{len(values)} values for {len(clusters)} clusters; one cluster per value"
        )
    if not np.isfinite(values).all():
        raise ValueError(f"value {int(np.argmin(np.isfinite(values)))} is not finite")
    numbers = {name: number for number, name in enumerate(sorted(set(clusters), key=repr))}
    index = np.array([numbers[name] for name in clusters], int)
    sums = np.bincount(index, weights=values, minlength=len(numbers))
    return sums, np.bincount(index, minlength=len(numbers)).astype(float)


def _resampled_means(sums, counts, samples, seed) -> np.ndarray:
    if len(counts) < 2:
        return np.full(samples, np.nan)
    drawn = _drawn(len(counts), samples, seed)
    return (drawn @ sums) / (drawn @ counts)


@lru_cache(maxsize=4)  # one set of clusters is resampled for every metric of every run
def _drawn(size: int, samples: int, seed: int) -> np.ndarray:
    """Return float64[R, C], how often each cluster is drawn."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(size, np.full(size, 1 / size), size=samples).astype(float)


def _sign_flip_p_value(sums: np.ndarray, samples: int, seed: int) -> float:
    size, observed = len(sums), abs(sums.sum())
    if size <= _ENUMERATED_CLUSTERS:
        signs = 1 - 2 * (np.arange(2**size)[:, None] >> np.arange(size) & 1)
        extra = 0
    else:
        signs = 1 - 2 * np.random.default_rng(seed).integers(0, 2, size=(samples, size))
        extra = 1
    # sums of the same numbers in another order may differ in the last bit, and such ties must count
    reached = np.abs(signs @ sums) >= observed - 1e-9 * np.abs(sums).sum()
    return float((reached.sum() + extra) / (len(signs) + extra))
