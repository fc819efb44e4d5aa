"""How far judges agree beyond chance.

N cases, R weightings. Cases are those of which every compared judge says yes or no.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from nltk.metrics.agreement import AnnotationTask

from mllm.evaluation.judging.case import NO, YES
from mllm.evaluation.statistics import resampled_weights, statistic_interval


class Agreement(NamedTuple):
    """How far judges agree on an aspect.

    Attributes:
      n: cases on which all of them say yes or no.
      agreed: the share of these on which all say the same; NaN where there is none.
      kappa: Cohen's of two judges, Fleiss' of more; NaN where chance alone agrees fully.
      ci95: of Cohen's kappa, by resampling clusters; [None, None] for more than two judges.
    """

    n: int
    agreed: float
    kappa: float
    ci95: list[float | None]


def agreement(verdicts: Mapping[str, Sequence[str]], clusters: Sequence[Hashable]) -> Agreement:
    """Compare two judges or more.

    Args:
      verdicts: by judge, what it says of one aspect of each case, str[N]. clusters: [N].

    Raises:
      ValueError: there are fewer than two judges.
    """
    if len(verdicts) < 2:
        raise ValueError(f"agreement of {list(verdicts)}: expected two judges or more")
    columns = list(zip(*verdicts.values(), strict=True))
    both = [place for place, said in enumerate(columns) if set(said) <= {YES, NO}]
    if not both:
        return Agreement(0, np.nan, np.nan, [None, None])
    said = np.array([[one == YES for one in columns[place]] for place in both])
    agreed = float(np.mean(said.all(1) | ~said.any(1)))
    if len(verdicts) > 2:
        return Agreement(len(both), agreed, fleiss_kappa(said), [None, None])
    weights = resampled_weights([clusters[place] for place in both])
    kappa, interval = statistic_interval(weighted_kappa(said[:, 0], said[:, 1], weights))
    return Agreement(len(both), agreed, kappa, interval)


def weighted_kappa(first: np.ndarray, second: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return Cohen's kappa of two judges for each weighting of the cases, float64[R] (Cohen 1960).

    NaN where chance alone agrees fully.

    Args:
      first, second: bool[N]. weights: float[R, N].
    """
    total = weights.sum(1)
    agreed = weights @ (first == second) / total
    yes = weights @ first / total, weights @ second / total
    chance = yes[0] * yes[1] + (1 - yes[0]) * (1 - yes[1])
    below = 1 - chance
    return np.divide(agreed - chance, below, out=np.full(len(total), np.nan), where=below > 1e-12)


def fleiss_kappa(said: np.ndarray) -> float:
    """Return Fleiss' kappa of judges, bool[N, judges] (Fleiss 1971); NaN where all of them say the
    same of every case, so that chance alone agrees fully.
    """
    if said.all() or not said.any():
        return np.nan
    rows = [
        (str(judge), str(case), bool(value))
        for case, values in enumerate(said)
        for judge, value in enumerate(values)
    ]
    return float(AnnotationTask(data=rows).pi())
