"""People drawn again and again: how often each row counts in each draw, so that a measure of rows
has an interval.

N rows, R draws. Every measure is given for the rows as they are and then for each draw,
float64[1 + R]; NaN where a draw has nothing to measure.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from mllm.evaluation.statistics import resampled_weights

DRAWS = 1000
Row = Mapping[str, Any]


class People:
    """The people of each set, and how often each counts.

    Sets are drawn apart from each other. Two runs on the same people have the same draws, so that
    their differences and their means are paired draw by draw.

    Args:
      rows: each names its "set" and its "profile".
    """

    def __init__(self, rows: Iterable[Row]):
        names: dict[str, set[str]] = {}
        for row in rows:
            names.setdefault(row["set"], set()).add(row["profile"])
        groups = {name: tuple(sorted(ids)) for name, ids in sorted(names.items())}
        order = [(name, person) for name, ids in groups.items() for person in ids]
        self._columns = {person: column for column, person in enumerate(order)}
        absent = np.zeros((1 + DRAWS, 1))
        self._counts = np.hstack([*(_counts(*group) for group in groups.items()), absent])

    def weights(self, rows: Sequence[Row]) -> np.ndarray:
        """Return how often each row counts, float64[1 + R, N]; a person whom the rows of the class
        do not name counts 0.
        """
        places = [self._columns.get((row["set"], row["profile"]), -1) for row in rows]
        return self._counts[:, places]


@lru_cache(maxsize=32)  # all runs of a study ask about the same people
def _counts(name: str, people: tuple[str, ...]) -> np.ndarray:
    """Return float64[1 + R, P]; NaN in the draws of one person, which say nothing."""
    drawn = resampled_weights(people, samples=DRAWS, seed=zlib.crc32(name.encode()))
    if len(drawn) > 1:
        return drawn
    return np.concatenate([drawn, np.full((DRAWS, len(people)), np.nan)])


def weighted_mean(values: Sequence[float], weights: np.ndarray) -> np.ndarray:
    """Return the means float64[1 + R] of values [N] under weights float64[1 + R, N]."""
    return divided(weights @ np.asarray(values, float), weights.sum(axis=1))


def weighted_statistic(
    first: Sequence[float], second: Sequence[float], weights: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Return D of Kolmogorov and Smirnov, float64[1 + R]: the largest distance of the distribution
    functions of two samples [N] and [M] under weights float64[1 + R, N] and float64[1 + R, M].
    """
    at = np.unique([*first, *second])
    below = [
        divided(w @ (np.asarray(sample)[:, None] <= at), w.sum(axis=1)[:, None])
        for sample, w in zip((first, second), weights, strict=True)
    ]
    return np.abs(below[0] - below[1]).max(axis=1)


def weighted_histogram(values: Sequence[float], weights: np.ndarray, bins: int) -> np.ndarray:
    """Return float64[1 + R, bins], the weight of values in [0, 1] in each of equal bins."""
    edges = np.linspace(0, 1, bins + 1)
    places = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, bins - 1)
    return weights @ np.eye(bins)[places]


def divided(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Return quotients, NaN where the divisor is 0."""
    above, below = np.broadcast_arrays(np.asarray(above, float), np.asarray(below, float))
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below != 0)
