"""How trials of unlearning methods are compared: on validation people, by the report's distance."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mllm.benchmarks.mllmu.distance import FORGET, METRIC, TASK, UTILITY_SETS, distances
from mllm.studies.trials import Criterion, Scores

DISTANCE, LOST = "distance to retain-only", "utility lost"
RULE = (
    "Vanilla was taught the validation people too, every trial forgot them, and retain-only never "
    "saw them. They stand in no other table; the people to retain and the public figures do. Read "
    "was multiple choice by option text, averaged over both modalities. Chosen is "
    "the trial with the smallest distance to retain-only: the difference in accuracy on the "
    "validation people, plus the accuracy on retain and celebrity that is lost from vanilla. Of "
    "equal trials, the one that loses least is chosen."
)


def reads(score: Mapping[str, Any]) -> bool:
    """Return whether a score is of multiple choice by option text."""
    return score["task"] == TASK and score["metric"] == METRIC


def measure(scores: Scores, anchors: Mapping[str, Scores]) -> dict[str, float]:
    """Return what a trial is chosen by, and the accuracies that it follows from.

    Args:
      scores: of the trial, as ``reads`` selects them.
      anchors: those of vanilla and retain_only, by name.

    Raises:
      ValueError: a set was not measured.
    """
    forget, goal = accuracy(scores, (FORGET,)), accuracy(anchors["retain_only"], (FORGET,))
    utility, before = (accuracy(some, UTILITY_SETS) for some in (scores, anchors["vanilla"]))
    _, lost, total = distances(forget, goal, utility, before)
    return {
        DISTANCE: float(total),
        LOST: float(lost),
        "accuracy on validation people": forget,
        "accuracy on retain, celebrity": utility,
    }


def accuracy(scores: Scores, sets: Sequence[str]) -> float:
    """Return the mean over sets and modalities.

    Raises:
      ValueError: one of the sets was not measured.
    """
    values = [score["value"] for score in scores if score["set"] in sets]
    measured = {score["set"] for score in scores if score["value"] is not None}
    if missing := [name for name in sets if name not in measured]:
        raise ValueError(
            f"a trial has no {METRIC} on {', '.join(missing)}; tuning needs config.evaluation."
            "protocol='strict' and no limit that leaves a set empty"
        )
    return float(np.mean([value for value in values if value is not None]))


CRITERION = Criterion(
    rule=RULE,
    # Nothing else is asked, measured or judged: the choice would not read it.
    settings={
        "tuning": True,
        "evaluation.asks": "options",
        "evaluation.measures": False,
        "evaluation.gradients": False,
        "evaluation.likelihood": False,
        "evaluation.judges": "",
    },
    anchors=("vanilla", "retain_only"),
    reads=reads,
    measure=measure,
    decides=(DISTANCE, LOST),
)
