"""From records to the scores of results.json.

In tasks that ask relation questions, ``relation`` is one of relations.RELATIONS or "all", and
``condition`` is one of T, A, AT, C and R, or a difference such as "T-A". In tasks that classify
clips, ``relation`` says which classes count: "all", "rare" or "common", and ``condition`` is the
variant of the prompt, or "shuffled" where captions of other clips are read.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mllm.benchmarks.hear import classified, probed
from mllm.benchmarks.hear.gaps import METRICS as OF_GAPS
from mllm.benchmarks.hear.gaps import differences
from mllm.benchmarks.hear.probed import ALL, Answers, Found
from mllm.benchmarks.hear.relations import RELATIONS
from mllm.evaluation.statistics import mean_interval

__all__ = ["ALL", "AXES", "METRICS", "TASKS", "scores_of"]

AXES = ("task", "relation", "condition")
TASKS = (*probed.TASKS, *classified.TASKS)
METRICS = tuple(dict.fromkeys((*probed.METRICS, *OF_GAPS, *classified.METRICS)))
STATES = ("valid", "refusal", "invalid")


def scores_of(records: Sequence[Mapping]) -> list[dict[str, Any]]:
    """Return the scores of all cells.

    An error is in no value; it is what is missing from valid, refusal and invalid. ``n`` is the
    number of questions or clips. Intervals resample base signals, and of answers to text labels.
    """
    return [*_of_relations(records), *_of_gaps(records), *_of_classes(records)]


def _of_relations(records: Sequence[Mapping]) -> Iterator[dict[str, Any]]:
    answers, cells = Answers(records), probed.cells_of(records)
    for cell in sorted(cells, key=_order):
        for found in answers.metrics(cell, cells[cell]):
            yield _row(cell, found, cells[cell])


def _of_gaps(records: Sequence[Mapping]) -> Iterator[dict[str, Any]]:
    for (*place, metric), (values, asked) in differences(records).items():
        interval = mean_interval(values, [record["cluster"] for record in asked])
        yield _row(place, (metric, float(np.mean(values)), len(values), interval), asked)


def _of_classes(records: Sequence[Mapping]) -> Iterator[dict[str, Any]]:
    for (task, condition), asked in classified.cells_of(records).items():
        found = classified.classified(records, task, condition)
        for name in classified.SETS if found else ():
            if len(found.columns(name)) and (name == ALL or found.rare.any()):
                for one in found.metrics(name):
                    yield _row((task, name, condition), one, asked)


def _row(place: Sequence[str], found: Found, asked: Sequence[Mapping]) -> dict[str, Any]:
    metric, value, count, interval = found
    return {
        **dict(zip(AXES, place, strict=True)),
        "metric": metric,
        "value": value,
        "n": count,
        "ci95": interval,
        **{state: sum(r["state"] == state for r in asked) / len(asked) for state in STATES},
    }


def _order(cell: tuple[str, str, str]) -> tuple[int, int, str]:
    task, relation, condition = cell
    return TASKS.index(task), (ALL, *RELATIONS).index(relation), condition
