"""From records to scores: the share of questions that are right, by topic and reading."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mllm.benchmarks.photo.records import READINGS
from mllm.evaluation.statistics import cluster_bootstrap, wilson

__all__ = ["ALL", "AXES", "METRICS", "READINGS", "question_values", "scores_of"]

AXES = ("topic", "subtopic", "reading")
ALL = "all"  # on the axes of topics: over all of them
OF_CRITIQUES = ("coverage", "rouge_l", "embedding")
METRICS = (
    "accuracy",
    "accuracy_summed",
    *OF_CRITIQUES,
    *(f"{name}_wrong" for name in OF_CRITIQUES),
)
STATES = ("valid", "refusal", "invalid")

Cell = tuple[str, str, str, str]  # values of the axes, then the metric
Values = dict[tuple[str, str], float]  # cluster and question -> value


def scores_of(records: Sequence[Mapping]) -> list[dict[str, Any]]:
    """Return the scores of results.json.

    Of questions there is ``accuracy`` of each reading, by sub-topic, by topic and over all, and of
    the reading by text ``accuracy_summed``, by log-probabilities that are not divided by tokens. Of
    critiques there are ``coverage``, also by topic, ``rouge_l`` and, where sentences could be
    embedded, ``embedding``; ``_wrong`` is the same by the record of a wrong photograph. An error is
    in no value; it is what is missing from valid, refusal and invalid. Intervals are Wilson's where
    each question is of another source and is right or wrong, else sources are resampled.
    """
    states: dict[tuple[str, ...], list[str]] = {}
    for record in records:
        for place in _places(record):
            states.setdefault(place, []).append(record["state"])
    return [
        {
            **dict(zip((*AXES, "metric"), cell, strict=True)),
            "value": math.fsum(values.values()) / len(values),
            "n": len(values),
            "ci95": interval(list(values.values()), [cluster for cluster, _ in values]),
            **{state: _rate(states[cell[:-1]], state) for state in STATES},
        }
        for cell, values in question_values(records).items()
    ]


def question_values(records: Sequence[Mapping], protocol: str = "") -> dict[Cell, Values]:
    """Return the value of each question, or critique, in each cell, so that methods can be compared
    question by question.
    """
    found: dict[Cell, Values] = {}
    for record in records:
        named = record["cluster"], record.get("question", record["photo"])
        for cell, value in _values(record):
            found.setdefault(cell, {})[named] = value
    return {cell: found[cell] for cell in sorted(found, key=_order)}


def _values(record: Mapping) -> Iterator[tuple[Cell, float]]:
    for place in _places(record):
        topic = place[0]
        if record["reading"] != "critique" or topic == ALL:
            yield from ((((*place, name)), value) for name, value in record["metrics"].items())
            continue
        for suffix in ("", "_wrong"):
            if topic in record[f"topics{suffix}"]:
                yield (*place, f"coverage{suffix}"), float(record[f"topics{suffix}"][topic])


def _places(record: Mapping) -> list[tuple[str, str, str]]:
    """Return the values of the axes that a record counts for."""
    reading = record["reading"]
    if reading == "critique":
        topics = dict.fromkeys((*record["topics"], *record["topics_wrong"]))
        return [(ALL, ALL, reading), *((topic, ALL, reading) for topic in topics)]
    topic, subtopic = record["topic"], record["subtopic"]
    return [(ALL, ALL, reading), (topic, ALL, reading), (topic, subtopic, reading)]


def _order(cell: Cell) -> tuple:
    topic, subtopic, reading, metric = cell
    places = READINGS.index(reading), METRICS.index(metric)
    return topic != ALL, topic, subtopic != ALL, subtopic, *places


def interval(values: Sequence[float], clusters: Sequence[str]) -> list[float | None]:
    """Return the 95% interval [low, high] of a mean; [None, None] of a single source's values."""
    if set(values) <= {0.0, 1.0} and len(set(clusters)) == len(values):
        return list(wilson(sum(values), len(values)))
    ends = cluster_bootstrap(values, clusters)
    return [None if math.isnan(end) else end for end in ends]


def _rate(states: Sequence[str], state: str) -> float:
    return sum(found == state for found in states) / len(states)
