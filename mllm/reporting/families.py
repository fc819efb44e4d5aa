"""Rows of a report beside one reference: differences with corrected p-values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mllm.evaluation.families import sign_flip_family
from mllm.evaluation.statistics import central_interval
from mllm.reporting.comparison import Comparison
from mllm.reporting.layout import Answers, Cell, Key

LEVEL = 0.05
RULE = (
    "Differences are of the same questions. A difference counts if its 95% bootstrap interval over "
    "{clusters} and seeds excludes 0 and its p-value is at most 0.05. The p-value is that of a "
    "sign-flip test by {clusters} on the means over seeds, corrected for the number of rows by "
    "Holm's step-down method over the joint distribution of the flips (Westfall and Young 1993)."
)


@dataclass(frozen=True)
class Apart:
    """How a row differs from the reference, as a fraction of 1.

    Attributes:
      p_value: of the sign-flip test by cluster on the means over seeds.
      corrected: the same, corrected for the number of rows.
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
    if other is None or not cells:
        return {}
    paired = [
        key
        for key in keys
        if key != other and all(comparison.paired((key, other), cell) for cell in cells)
    ]
    if not paired:
        return {}
    theirs = [comparison.answers(other, cell) for cell in cells]
    names = sorted({place[0] for one in theirs for place in one}, key=repr)
    columns = {name: column for column, name in enumerate(names)}
    sums = np.zeros((len(paired), len(names)))
    for row, key in enumerate(paired):
        for cell, one in zip(cells, theirs, strict=True):
            _add(sums[row], comparison.answers(key, cell), one, columns, len(cells))
    p_values, corrected = sign_flip_family(sums)
    found = {}
    for key, total, p_value, value in zip(paired, sums, p_values, corrected, strict=True):
        draws = [comparison.draws(key, cell) - comparison.draws(other, cell) for cell in cells]
        low, high = central_interval(np.mean(draws, axis=0))
        found[key] = Apart(float(total.sum()), low, high, float(p_value), float(value))
    return found


def _add(
    row: np.ndarray, ours: Answers, theirs: Answers, columns: Mapping[object, int], cells: int
) -> None:
    """Add what the questions of a cell contribute to the mean difference over cells."""
    share = 1 / (cells * len(ours))
    for place, value in ours.items():
        row[columns[place[0]]] += share * (value - theirs[place])
