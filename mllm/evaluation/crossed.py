"""The bootstrap over two things at once: clusters of questions and training seeds.

S seeds, N questions, R resamplings. Every seed's model answers the same questions, so clusters and
seeds are crossed, and each is resampled on its own (the pigeonhole bootstrap: Owen 2007, Annals of
Applied Statistics 1(2), 386-411).
"""

import zlib
from collections.abc import Hashable, Sequence

import numpy as np

from mllm.evaluation.statistics import resampled_weights


def crossed_means(
    values: Sequence[Sequence[float]],
    clusters: Sequence[Hashable],
    seeds: Sequence[int],
    *,
    samples: int = 2000,
    seed: int = 0,
) -> np.ndarray:
    """Return the means float64[R] of R resamplings of clusters and of seeds, with replacement.

    The draws of clusters are those of ``statistics.bootstrap_means``; the draws of seeds follow
    from the list of seeds alone. Means of two models that were trained with the same seeds are
    therefore paired in both, also where they answered different questions. NaN where there are
    fewer than two clusters.

    S seeds show only (S - 1) / S of the variance between seeds, so with few seeds the spread is
    too small.

    Args:
      values: [S, N], the score of each question in each seed.
      clusters: [N], the cluster of each question.
      seeds: [S], their names.

    Raises:
      ValueError: values has another shape.
    """
    found = np.asarray(values, float)
    if found.shape != (len(seeds), len(clusters)):
        raise ValueError(
            f"crossed_means: values are {found.shape}, expected {(len(seeds), len(clusters))}: "
            "a row for each seed, a column for each question"
        )
    weights = resampled_weights(clusters, samples=samples, seed=seed)[1:]
    if not len(weights):
        return np.full(samples, np.nan)
    by_seed = weights @ found.T / weights.sum(axis=1, keepdims=True)
    return (by_seed * drawn_seeds(seeds, samples)).sum(axis=1)


def drawn_seeds(seeds: Sequence[int], samples: int) -> np.ndarray:
    """Return float64[R, S], the share that each resampling gives to each seed."""
    count = len(seeds)
    generator = np.random.default_rng(zlib.crc32(repr(tuple(seeds)).encode()))
    return generator.multinomial(count, np.full(count, 1 / count), size=samples) / count
