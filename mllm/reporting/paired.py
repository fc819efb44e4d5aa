"""Paired comparisons of checkpoints: the same questions, resampled by profile.

Two checkpoints answer the same questions about the same people, so their difference varies much
less than either score. The scores and the bootstrap are those of ``mllm.evaluation``.
"""

from __future__ import annotations

import zlib

import numpy as np

from mllm.evaluation.scores import Cell, Place, question_values
from mllm.evaluation.statistics import PairedDifference, bootstrap_means, paired_difference
from mllm.files import read_jsonl
from mllm.reporting.collect import Run

RESAMPLES = 2000
# Below six profiles not even a sign test on unanimous differences reaches p = 0.05 (2 / 2**5).
MINIMUM_PROFILES = 6
_AGREEMENT = 1e-6

Answers = dict[Place, float]  # question of a cell -> score of its answer


def read_answers(run: Run) -> dict[Cell, Answers]:
    """Scores each reply of a run and returns them for the cells that agree with results.json.

    A cell whose mean or count differs from results.json (a reply file cut short, or scored by
    other rules) is left out, so that it is never compared under another definition; and so is
    every cell of a file that cannot be scored. Raises ValueError for a line that is not JSON.
    """
    records = read_jsonl(run.replies_path)
    try:
        answers = question_values(records, protocol=run.protocol)
    except (KeyError, TypeError, ValueError):
        return {}
    agreeing = {}
    for score in run.scores:
        cell = Cell(score["set"], score["task"], score["modality"], score["metric"])
        found = answers.get(cell)
        if not found or len(found) != score["n"] or score["value"] is None:
            continue
        if abs(np.mean(list(found.values())) - score["value"]) < _AGREEMENT:
            agreeing[cell] = found
    return agreeing


def mean_over_seeds(answers: list[Answers]) -> Answers | None:
    """Averages each question over the seeds; None where the seeds answered other questions."""
    if not answers or any(other.keys() != answers[0].keys() for other in answers):
        return None
    return {key: float(np.mean([one[key] for one in answers])) for key in answers[0]}


def enough(answers: Answers | None) -> bool:
    """Tells whether at least MINIMUM_PROFILES people stand behind the answers."""
    return len({place.profile for place in answers or ()}) >= MINIMUM_PROFILES


def resample(answers: Answers | None) -> np.ndarray | None:
    """Bootstraps the mean score of one checkpoint over draws of profiles.

    The draws depend on the profiles alone, so the samples of checkpoints that answered the same
    questions may be subtracted from each other. Returns float64[RESAMPLES], or None where the
    answers are unknown or of too few people.
    """
    if not enough(answers):
        return None
    profiles = [place.profile for place in answers]
    values = list(answers.values())
    return bootstrap_means(values, profiles, samples=RESAMPLES, seed=_seed(answers))


def difference(first: Answers, second: Answers) -> PairedDifference:
    """Compares two checkpoints that answered the same questions, ``first - second``."""
    return paired_difference(
        list(first.values()),
        [second[place] for place in first],
        [place.profile for place in first],
        samples=RESAMPLES,
        seed=_seed(first),
    )


def _seed(answers: Answers) -> int:
    """Returns a seed of the profiles' own: sets of other people are drawn independently."""
    return zlib.crc32("\n".join(sorted({place.profile for place in answers})).encode())
