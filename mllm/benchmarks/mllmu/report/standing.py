"""How far each method is from the model that never learned: what the finding and its table say."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mllm.benchmarks.mllmu.distance import METRIC, TASK, UTILITY_SETS, distances
from mllm.benchmarks.mllmu.report.layout import CHANCE, MODALITIES
from mllm.evaluation.statistics import central_interval, holm
from mllm.reporting.comparison import Comparison
from mllm.reporting.families import LEVEL, Apart, family
from mllm.reporting.layout import Key


@dataclass(frozen=True)
class Distance:
    """A distance to the ideal, as a fraction of 1, and its bootstrap samples where it has any."""

    value: float
    draws: np.ndarray | None

    @property
    def interval(self) -> tuple[float, float]:
        """Return the 95% interval, NaN where there is none."""
        return (np.nan, np.nan) if self.draws is None else central_interval(self.draws)


@dataclass(frozen=True)
class Standing:
    """What multiple choice by option text, averaged over both modalities, says of one method.

    Attributes:
      forget: accuracy on the forget set.
      useful: accuracy on retain and celebrity.
      away: distance of ``forget`` from retain-only's (chance, without a retain-only run).
      lost: how much ``useful`` is below vanilla's.
      total: sum of the two distances.
      forgot: whether ``forget`` is distinguishably below vanilla's.
      beyond: how ``forget`` differs from retain-only's, None where they cannot be paired.
    """

    forget: float
    useful: float
    away: Distance
    lost: Distance
    total: Distance
    forgot: bool
    beyond: Apart | None


def standings(comparison: Comparison) -> dict[Key, Standing]:
    """Return the standing of each method that was measured on every set, nearest first; methods
    that did not forget come last.
    """
    vanilla, target = comparison.key("vanilla"), comparison.key("retain_only")
    if vanilla is None:
        return {}
    forget = measured_cells(comparison, target or vanilla, ("forget",))
    lower = family(comparison, comparison.methods, vanilla, forget)
    beside = family(comparison, comparison.methods, target, forget)
    found = {}
    for key in comparison.methods:
        distances = _distances(comparison, key, vanilla, target)
        if distances is not None:
            found[key] = Standing(
                forget=mean_score(comparison, key, ("forget",)),
                useful=mean_score(comparison, key, UTILITY_SETS),
                **distances,
                forgot=_forgot(comparison, key, vanilla, lower.get(key)),
                beyond=beside.get(key),
            )
    return dict(sorted(found.items(), key=lambda one: (not one[1].forgot, one[1].total.value)))


def tied_with_best(found: dict[Key, Standing]) -> list[Key]:
    """Return the methods that forget and whose distance is not distinguishable from the least.

    The p-values of the leads are those of the bootstrap, corrected by Holm's method. A method whose
    distance has no samples is tied.
    """
    forgot = [key for key, one in found.items() if one.forgot]
    if len(forgot) < 2:
        return []
    best, *others = forgot
    values = [_p_value(found[best].total, found[key].total) for key in others]
    corrected = holm([1.0 if value is None else value for value in values])
    return [key for key, value in zip(others, corrected, strict=True) if value > LEVEL]


def _p_value(first: Distance, second: Distance) -> float | None:
    """Return the two-sided p-value of the bootstrap of a difference, None without samples."""
    if first.draws is None or second.draws is None:
        return None
    gap = first.draws - second.draws
    beyond = 1 + min(np.sum(gap <= 0), np.sum(gap >= 0))
    return float(min(1.0, 2 * beyond / (1 + len(gap))))


def cells_of(sets: Sequence[str], metric: str = METRIC) -> list[tuple[str, ...]]:
    """Return the multiple-choice cells of sets in both modalities."""
    return [(name, TASK, modality, metric) for name in sets for modality in MODALITIES.labels]


def measured_cells(
    comparison: Comparison, key: Key | None, sets: Sequence[str]
) -> list[tuple[str, ...]]:
    """Return those cells that a row has a score in."""
    return [cell for cell in cells_of(sets) if comparison.entry(key, cell).value is not None]


def mean_score(
    comparison: Comparison, key: Key | None, sets: Sequence[str], metric: str = METRIC
) -> float | None:
    """Return the mean over sets and modalities of one row; None where nothing was measured."""
    values = [comparison.entry(key, cell).value for cell in cells_of(sets, metric)]
    values = [value for value in values if value is not None]
    return float(np.mean(values)) if values else None


def mean_draws(comparison: Comparison, key: Key | None, sets: Sequence[str]) -> np.ndarray | None:
    """Return the bootstrap samples of ``mean_score``, None where a cell has none."""
    samples = [comparison.draws(key, cell) for cell in measured_cells(comparison, key, sets)]
    if not samples or any(sample is None for sample in samples):
        return None
    return np.mean(samples, axis=0)


def _distances(
    comparison: Comparison, key: Key, vanilla: Key, target: Key | None
) -> dict[str, Distance] | None:
    forget, useful = (mean_score(comparison, key, sets) for sets in (("forget",), UTILITY_SETS))
    reference = mean_score(comparison, vanilla, UTILITY_SETS)
    goal = mean_score(comparison, target, ("forget",)) if target else CHANCE
    if None in (forget, useful, reference, goal):
        return None
    samples = [
        mean_draws(comparison, key, ("forget",)),
        mean_draws(comparison, target, ("forget",)) if target else CHANCE,
        mean_draws(comparison, key, UTILITY_SETS),
        mean_draws(comparison, vanilla, UTILITY_SETS),
    ]
    missing = any(sample is None for sample in samples)
    draws = (None,) * 3 if missing else distances(*samples)
    values = map(float, distances(forget, goal, useful, reference))
    return dict(zip(("away", "lost", "total"), map(Distance, values, draws), strict=True))


def _forgot(comparison: Comparison, key: Key, vanilla: Key, found: Apart | None) -> bool:
    if found is not None:
        return found.clear and found.difference < 0
    unpaired = [comparison.difference(key, vanilla, cell) for cell in cells_of(("forget",))]
    unpaired = [one for one in unpaired if one]
    return bool(unpaired) and all(high < 0 for _, _, high, _ in unpaired)
