"""Intervals and comparisons by cluster: the questions about one profile are not independent.

N questions, C clusters (profiles), R resamplings. A statistic is always a ratio of sums, total over
number of questions, never a mean of the clusters' means. See Miller 2024, arXiv:2411.00640, on
clustered and paired evaluation.
"""

from collections.abc import Hashable, Sequence
from functools import lru_cache
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
    """Means float64[R] of R resamplings of whole clusters with replacement.

    What is drawn depends on the seed and the number of clusters alone. So the means of several runs
    on the same clusters belong together draw by draw: their differences, and any other function
    of them, are paired. NaN where there are fewer than two clusters.

    Raises:
      ValueError: lengths differ, or a value is NaN or infinite.
    """
    sums, counts = _cluster_sums(values, clusters)
    return _resampled_means(sums, counts, samples, seed)


def central_interval(means: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The middle ``level`` of bootstrap means, (nan, nan) where they are NaN."""
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
    """Percentile interval of the mean by resampling whole clusters with replacement.

    Where there is nothing to resample, (nan, nan): no question, or a single cluster, whose spread
    cannot be estimated. Values that are all equal give an interval of width 0: it says that the
    resamplings agree, not that the rate is certain; with few clusters compare by
    ``paired_difference``, whose p-value does not collapse.

    Args:
      values: [N], one a question.
      clusters: [N], the profile of each question.
      samples: R.
      seed: of the resampling; the same input gives the same interval.
      level: coverage, between 0 and 1.

    Raises:
      ValueError: lengths differ, or a value is NaN or infinite.
    """
    return central_interval(bootstrap_means(values, clusters, samples=samples, seed=seed), level)


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
    clusters p is at least 2 / 2^C: few profiles cannot prove much, whatever the difference. No
    question gives (nan, nan, nan, 1); one cluster has p = 1 and no interval.

    Args:
      values_a, values_b: [N], aligned: entry i of both answers question i.
      clusters: [N], the profile of each question.

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


def _cluster_sums(values, clusters) -> tuple[np.ndarray, np.ndarray]:
    """float64[C] sums and counts of the clusters, whatever the order of the input."""
    values = np.asarray(values, float)
    if len(values) != len(clusters):
        raise ValueError(f"{len(values)} values for {len(clusters)} clusters; one cluster a value")
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


@lru_cache(maxsize=4)  # one set of profiles is resampled for every metric of every run
def _drawn(size: int, samples: int, seed: int) -> np.ndarray:
    """float64[R, C]: how often each cluster is drawn."""
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
