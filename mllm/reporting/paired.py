"""Paired comparisons of checkpoints: the same questions, resampled by cluster.

Two checkpoints answer the same questions, so their difference varies much less than either score.
The bootstrap is that of ``mllm.evaluation``, the scores are those of the benchmark.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from mllm.evaluation.crossed import crossed_means
from mllm.evaluation.statistics import PairedDifference, bootstrap_means, paired_difference
from mllm.files import read_jsonl
from mllm.reporting.layout import Answers, Cell, Layout
from mllm.reporting.runs import Run

RESAMPLES = 2000
# Below six clusters not even a sign test on unanimous differences reaches p = 0.05 (2 / 2**5).
MINIMUM_CLUSTERS = 6
_AGREEMENT = 1e-6


def read_answers(run: Run, layout: Layout) -> Mapping[Cell, Answers]:
    """Score each reply of a run and return them for the cells that agree with results.json.

    A cell whose mean or count differs from results.json (a reply file cut short, or scored by
    other rules) is left out, so that it is never compared under another definition; and so is
    every cell of a file that cannot be scored.

    Raises:
      ValueError: a line is not JSON.
    """
    if layout.question_values is None:
        return {}
    records = read_jsonl(run.records_path)
    try:
        answers = layout.question_values(records, run.asked_by)
    except (KeyError, TypeError, ValueError):
        return {}
    agreeing = {}
    for score in run.scores:
        cell = layout.cell(score)
        found = answers.get(cell)
        if not found or len(found) != score["n"] or score["value"] is None:
            continue
        if abs(np.mean(list(found.values())) - score["value"]) < _AGREEMENT:
            agreeing[cell] = found
    return agreeing


def mean_over_seeds(answers: Sequence[Answers | None]) -> Answers | None:
    """Return the mean over the seeds of each question; None where the seeds answered other
    questions, or the answers of one are unknown.
    """
    if not answers or any(one is None or one.keys() != answers[0].keys() for one in answers):
        return None
    return {key: float(np.mean([one[key] for one in answers])) for key in answers[0]}


def enough(answers: Answers | None) -> bool:
    """Return whether the answers are of at least MINIMUM_CLUSTERS clusters."""
    return len({place[0] for place in answers or ()}) >= MINIMUM_CLUSTERS


def resample(answers: Answers | None) -> np.ndarray | None:
    """Return bootstrap means of one checkpoint over draws of clusters, float64[RESAMPLES].

    The draws depend on the clusters alone, so the samples of checkpoints that answered the same
    questions may be subtracted from each other. None where the answers are unknown or of too few
    clusters.
    """
    return resample_seeds({0: answers})


def resample_seeds(answers: Mapping[int, Answers | None]) -> np.ndarray | None:
    """Return bootstrap means of the checkpoints of several seeds, float64[RESAMPLES]: over draws of
    clusters and, where there are several, of seeds.

    The draws depend on the clusters and on the seeds alone. None where the answers of a seed are
    unknown, of other questions than those of the others, or of too few clusters.

    Args:
      answers: of each seed.
    """
    first = next(iter(answers.values()), None)
    if not enough(first) or mean_over_seeds([*answers.values()]) is None:
        return None
    clusters, seed = [place[0] for place in first], _seed(first)
    if len(answers) == 1:
        return bootstrap_means(list(first.values()), clusters, samples=RESAMPLES, seed=seed)
    values = [[one[place] for place in first] for one in answers.values()]
    return crossed_means(values, clusters, [*answers], samples=RESAMPLES, seed=seed)


def difference(first: Answers, second: Answers) -> PairedDifference:
    """Compare two checkpoints that answered the same questions, ``first - second``."""
    return paired_difference(
        list(first.values()),
        [second[place] for place in first],
        [place[0] for place in first],
        samples=RESAMPLES,
        seed=_seed(first),
    )


def _seed(answers: Answers) -> int:
    """Return a seed that follows from the clusters: sets of others are drawn independently."""
    return zlib.crc32("\n".join(sorted({str(place[0]) for place in answers})).encode())
