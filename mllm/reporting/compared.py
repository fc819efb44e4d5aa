"""How two rows of a report differ in one cell, over all seeds and in each."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mllm.reporting.comparison import Comparison
from mllm.reporting.layout import Cell, Key
from mllm.reporting.numbers import signed


@dataclass(frozen=True)
class Compared:
    """A difference, first minus second, as a fraction; NaN ends where it has no interval.

    Attributes:
      by_seed: the difference in each seed that both were run with.
    """

    difference: float
    low: float
    high: float
    by_seed: Mapping[int, float] = field(default_factory=dict)

    @property
    def clear(self) -> bool:
        """Return whether the interval excludes 0."""
        return self.low > 0 or self.high < 0

    @property
    def verdict(self) -> str:
        """Return what the difference says, in a word or two."""
        if not self.clear:
            return "not told apart"
        return "better" if self.difference > 0 else "worse"

    @property
    def seeds(self) -> str:
        """Return the difference in each seed in points, a dash where there is one seed."""
        return "–" if len(self.by_seed) < 2 else ", ".join(map(signed, self.by_seed.values()))


def compare(comparison: Comparison, one: Key, other: Key, cell: Cell) -> Compared | None:
    """Return how two rows differ in a cell, paired where both answered the same questions; None
    where one was not measured.
    """
    found = comparison.difference(one, other, cell)
    if found is None:
        return None
    first, second = (by_seed(comparison, key, cell) for key in (one, other))
    shared = sorted(first.keys() & second.keys())
    return Compared(*found[:3], {seed: first[seed] - second[seed] for seed in shared})


def by_seed(comparison: Comparison, key: Key, cell: Cell) -> dict[int, float]:
    """Return the score of a row in a cell by seed, without seeds that have none."""
    return {
        run.seed: score["value"]
        for run in comparison.runs[key]
        for score in run.scores
        if comparison.layout.cell(score) == cell and score["value"] is not None
    }
