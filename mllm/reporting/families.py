"""Differences of rows of a report, each with a p-value corrected for their number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from mllm.evaluation.families import sign_flip_family
from mllm.evaluation.statistics import central_interval
from mllm.reporting.comparison import Comparison
from mllm.reporting.layout import Cell, Key
from mllm.reporting.paired import RESAMPLES

Name = TypeVar("Name", bound=Hashable)
LEVEL = 0.05
RULE = (
    "Differences are of the same questions. A difference counts if its 95% bootstrap interval over "
    "{clusters} and seeds excludes 0 and its p-value is at most 0.05. The p-value is that of a "
    "sign-flip test by {clusters} on the means over seeds, corrected for the number of {members} "
    "by Holm’s step-down method over the joint distribution of the flips (Westfall and Young 1993)."
)


@dataclass(frozen=True)
class Apart:
    """How a row differs from another, as a fraction of 1.

    Attributes:
      p_value: of the sign-flip test by cluster on the means over seeds.
      corrected: the same, corrected for the number of differences of the family.
    """

    difference: float
    low: float
    high: float
    p_value: float
    corrected: float

    @property
    def clear(self) -> bool:
        """Return whether the difference is distinguishable from 0."""
        return self.corrected <= LEVEL and (self.low > 0 or self.high < 0)


def family(
    comparison: Comparison, keys: Iterable[Key], other: Key | None, cells: Sequence[Cell]
) -> Mapping[Key, Apart]:
    """Return how each row differs from another, in the mean over cells.

    Rows that did not answer the same questions as the other one, in enough clusters, are left out.
    """
    if other is None:
        return {}
    return family_of(comparison, {key: (key, other, cells) for key in keys if key != other})


def family_of(
    comparison: Comparison, members: Mapping[Name, tuple[Key, Key, Sequence[Cell]]]
) -> Mapping[Name, Apart]:
    """Return how the first row of each member differs from its second, in the mean over its cells;
    as ``family``, which has one second row and the same cells for all.
    """
    kept = {
        name: (key, other, cells)
        for name, (key, other, cells) in members.items()
        if cells and all(comparison.paired((key, other), cell) for cell in cells)
    }
    if not kept:
        return {}
    rows = [_sums(comparison, *member) for member in kept.values()]
    names = sorted(set().union(*rows), key=repr)
    sums = np.array([[row.get(name, 0.0) for name in names] for row in rows])
    found, tested = {}, sign_flip_family(sums, samples=RESAMPLES)
    for name, total, *values in zip(kept, sums.sum(axis=1), *tested, strict=True):
        *pair, cells = kept[name]
        ours, theirs = ([comparison.draws(key, cell) for cell in cells] for key in pair)
        low, high = central_interval(np.mean(ours, axis=0) - np.mean(theirs, axis=0))
        found[name] = Apart(float(total), low, high, *map(float, values))
    return found


def _sums(
    comparison: Comparison, key: Key, other: Key, cells: Sequence[Cell]
) -> dict[Hashable, float]:
    """Return what each cluster contributes to the difference of two rows in the mean over cells."""
    sums: dict[Hashable, float] = defaultdict(float)
    for cell in cells:
        ours, theirs = (comparison.answers(row, cell) for row in (key, other))
        share = 1 / (len(cells) * len(ours))
        for place, value in ours.items():
            sums[place[0]] += share * (value - theirs[place])
    return sums
