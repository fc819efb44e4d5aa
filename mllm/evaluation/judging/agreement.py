"""How far judges agree beyond chance.

N cases, R draws. Cases are those of which every compared judge says yes or no.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

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
    kappa, interval = statistic_interval(cohen_kappas(_drawn(said, [clusters[p] for p in both])))
    return Agreement(len(both), agreed, kappa, interval)


def _drawn(said: np.ndarray, clusters: Sequence[Hashable]) -> np.ndarray:
    """Return float64[1 + R, 2, 2], how often the verdicts bool[N, 2] of two judges fall together,
    in the cases as they are and then with clusters drawn again.
    """
    numbers = {name: number for number, name in enumerate(dict.fromkeys(clusters))}
    counts = np.zeros((len(numbers), 2, 2))
    places = [numbers[name] for name in clusters]
    np.add.at(counts, (places, said[:, 0].astype(int), said[:, 1].astype(int)), 1)
    return np.tensordot(resampled_weights(range(len(numbers))), counts, axes=1)


def cohen_kappas(counts: np.ndarray) -> np.ndarray:
    """Return Cohen's kappa float64[...] of tables float[..., 2, 2] that count how often verdicts
    of two judges fall together (Cohen 1960); NaN where chance alone agrees fully.
    """
    total = counts.sum((-2, -1))
    agreed = (counts[..., 0, 0] + counts[..., 1, 1]) / total
    first, second = counts.sum(-1), counts.sum(-2)
    chance = (first * second).sum(-1) / total**2
    below = 1 - chance
    return np.divide(agreed - chance, below, out=np.full(total.shape, np.nan), where=below > 1e-12)


def fleiss_kappa(said: np.ndarray) -> float:
    """Return Fleiss' kappa of judges, bool[N, judges] (Fleiss 1971); NaN where all of them say the
    same of every case, so that chance alone agrees fully.
    """
    from nltk.metrics.agreement import AnnotationTask  # only here: it takes seconds to import

    if said.all() or not said.any():
        return np.nan
    rows = [
        (str(judge), str(case), bool(value))
        for case, values in enumerate(said)
        for judge, value in enumerate(values)
    ]
    return float(AnnotationTask(data=rows).pi())
