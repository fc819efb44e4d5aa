"""Differences between conditions on the same questions, and between runs in one condition."""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from mllm.benchmarks.hear.probed import ALL, TASKS, Answers, Named, Record, clusters_of, question
from mllm.benchmarks.hear.relations import RELATIONS
from mllm.evaluation.statistics import PairedDifference, paired_difference

PAIRS = (("T", "A"), ("C", "A"), ("AT", "A"))
METRICS = ("gap", "gap_recognised")

Place = tuple[str, str, str, str]  # task, relation, condition, metric


class Gap(NamedTuple):
    """The accuracy in one condition less that in another, on the same questions.

    Attributes:
      relation: of ``RELATIONS``, or "all". condition: such as "T-A".
      metric: "gap", or "gap_recognised" of the clips alone whose label is recognised in A.
      n: number of questions.
    """

    task: str
    relation: str
    condition: str
    metric: str
    difference: float
    low: float
    high: float
    p_value: float
    n: int


def gaps(records: Sequence[Record], by: str = "clip") -> list[Gap]:
    """Return all differences between conditions.

    Args:
      by: what intervals resample: "clip", which is the base signal of a clip, or "label".

    Raises:
      ValueError: another word.
    """
    if by not in ("clip", "label"):
        raise ValueError(f"by is {by!r}, expected 'clip' or 'label'")
    found = []
    for (*place, metric), (values, asked) in differences(records).items():
        clusters = [record["cluster" if by == "clip" else "label"] for record in asked]
        tested = paired_difference(values, np.zeros(len(values)), clusters)
        found.append(Gap(*place, metric, *tested, len(values)))
    return found


def differences(records: Sequence[Record]) -> dict[Place, tuple[list[float], list[Record]]]:
    """Return the differences in accuracy between conditions, question by question, with the records
    of the first condition; by task, relation, conditions such as "T-A", and metric.
    """
    answers, answered = Answers(records), _by_condition(records)
    found = {}
    for task, relation, (first, second) in product(TASKS, (ALL, *RELATIONS), PAIRS):
        a, b = answered.get((task, first), {}), answered.get((task, second), {})
        both = [a[n] for n in b if n in a and relation in (ALL, a[n]["relation"])]
        known = [record for record in both if answers.recognised(record, "A")]
        for metric, chosen in zip(METRICS, (both, known), strict=True):
            if chosen:
                values = [_accuracy(record) - _accuracy(b[question(record)]) for record in chosen]
                found[task, relation, f"{first}-{second}", metric] = values, chosen
    return found


def paired(
    records: Sequence[Record], before: Sequence[Record], condition: str, task: str = TASKS[0]
) -> dict[str, PairedDifference]:
    """Return, by relation, the accuracy of a run less that of another one in a condition.

    Of a model before and after it was taught, in T, it shows what of the text was forgotten.

    Args:
      records, before: of two runs that were asked the same.
    """
    a, b = (_by_condition(run).get((task, condition), {}) for run in (records, before))
    found = {}
    for relation in (ALL, *RELATIONS):
        both = [a[n] for n in b if n in a and relation in (ALL, a[n]["relation"])]
        if both:
            ours, theirs = map(_accuracy, both), (_accuracy(b[question(one)]) for one in both)
            found[relation] = paired_difference([*ours], [*theirs], clusters_of(both))
    return found


def _by_condition(records: Sequence[Record]) -> dict[tuple[str, str], dict[Named, Record]]:
    found: dict[tuple[str, str], dict[Named, Record]] = {}
    for record in records:
        if record["task"] in TASKS and record["state"] != "error":
            place = record["task"], record["condition"]
            found.setdefault(place, {})[question(record)] = record
    return found


def _accuracy(record: Record) -> float:
    return record["metrics"]["accuracy"]
