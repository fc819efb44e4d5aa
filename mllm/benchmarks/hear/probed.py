"""Scores of the relation questions: how often they are right, and how biased the answers are."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mllm.benchmarks.hear.relations import WORDS
from mllm.evaluation.detection import balanced_accuracy, d_prime, roc_auc
from mllm.evaluation.statistics import mean_interval, resampled_weights, statistic_interval

ALL = "all"
TASKS = ("relations", "relations_generated")
METRICS = (
    "accuracy",
    "balanced_accuracy",
    "yes_rate",
    "d_prime",
    "auc",
    "consistency",
    "accuracy_recognised",
    "unchanged",
)

Record = Mapping[str, Any]
Cell = tuple[str, str, str]  # task, relation, condition
Found = tuple[str, float, int, list[float | None]]  # metric, value, number, interval
Named = tuple[str, str, str, str]  # task and question: clip, relation, term


def cells_of(records: Sequence[Record]) -> dict[Cell, list[Record]]:
    """Return the relation questions by task, relation and condition, errors too; also those of all
    relations together.
    """
    found: dict[Cell, list[Record]] = {}
    for record in records:
        if record["task"] in TASKS:
            for relation in (ALL, record["relation"]):
                found.setdefault((record["task"], relation, record["condition"]), []).append(record)
    return found


def question(record: Record) -> Named:
    """Return what names a question in every condition of a task."""
    return record["task"], record["clip"], record["relation"], record["term"]


class Answers:
    """The answers of one run to relation questions, without errors."""

    def __init__(self, records: Sequence[Record]):
        found = [r for r in records if r["task"] in TASKS and r["state"] != "error"]
        self.heard = {question(r): r for r in found if r["condition"] == "A"}
        self._recognised = {
            (r["task"], r["condition"], r["clip"])
            for r in found
            if r["relation"] == "label" and r["yes"] and r["said"] and r["condition"] != "R"
        }

    def recognised(self, record: Record, condition: str) -> bool:
        """Return whether a condition calls the clip of a question by its label."""
        return (record["task"], condition, record["clip"]) in self._recognised

    def metrics(self, cell: Cell, records: Sequence[Record]) -> Iterator[Found]:
        """Yield the metrics of a cell.

        Intervals resample base signals. In T all clips of a label get the same answer, so labels
        are resampled.
        """
        _, relation, condition = cell
        records = [record for record in records if record["state"] != "error"]
        yield from _shares("accuracy", records, _accuracy)
        yield from _shares("yes_rate", records, lambda record: record["share"])
        yield from _sensitivity(records)
        if condition == "R":
            same = [r for r in records if question(r) in self.heard]
            yield from _shares("unchanged", same, self._unchanged)
            return
        known = [r for r in records if self.recognised(r, "A")]
        yield from _shares("accuracy_recognised", known, _accuracy)
        if relation in WORDS:
            right = [r for r in records if r["yes"] and self.recognised(r, condition)]
            yield from _shares("consistency", right, lambda record: record["share"])

    def _unchanged(self, record: Record) -> float:
        return float(record["said"] == self.heard[question(record)]["said"])


def clusters_of(records: Sequence[Record]) -> list[str]:
    """Return what each question is a sample of."""
    return [r["label"] if r["condition"] == "T" else r["cluster"] for r in records]


def _accuracy(record: Record) -> float:
    return record["metrics"]["accuracy"]


def _shares(
    name: str, records: Sequence[Record], value: Callable[[Record], float]
) -> Iterator[Found]:
    if records:
        values = [value(record) for record in records]
        interval = mean_interval(values, clusters_of(records))
        yield name, float(np.mean(values)), len(values), interval


def _sensitivity(records: Sequence[Record]) -> Iterator[Found]:
    """Yield what a bias to "yes" does not change; nothing where only one answer is right."""
    gold = [record["yes"] for record in records]
    if len(set(gold)) < 2:
        return
    right, said = [_accuracy(r) for r in records], [r["share"] for r in records]
    weights = resampled_weights(clusters_of(records))
    values = {
        "balanced_accuracy": balanced_accuracy(right, gold, weights),
        "d_prime": d_prime(said, gold, weights),
    }
    if all(record["odds"] is not None for record in records):
        values["auc"] = roc_auc([record["odds"] for record in records], gold, weights)
    for name, found in values.items():
        value, interval = statistic_interval(found)
        yield name, value, len(records), interval
