"""Differences between conditions on the same questions."""

from collections.abc import Sequence
from itertools import product

from mllm.benchmarks.hear.probed import ALL, TASKS, Answers, Named, Record, question
from mllm.benchmarks.hear.relations import RELATIONS

PAIRS = (("T", "A"), ("C", "A"), ("AT", "A"))
METRICS = ("gap", "gap_recognised")

Place = tuple[str, str, str, str]  # task, relation, condition, metric


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


def _by_condition(records: Sequence[Record]) -> dict[tuple[str, str], dict[Named, Record]]:
    found: dict[tuple[str, str], dict[Named, Record]] = {}
    for record in records:
        if record["task"] in TASKS and record["state"] != "error":
            place = record["task"], record["condition"]
            found.setdefault(place, {})[question(record)] = record
    return found


def _accuracy(record: Record) -> float:
    return record["metrics"]["accuracy"]
