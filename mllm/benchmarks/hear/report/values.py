"""The value of each question, so that methods can be compared question by question."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mllm.benchmarks.hear import classified, probed
from mllm.benchmarks.hear.classes import LEVELS
from mllm.benchmarks.hear.gaps import differences

Cell = tuple[str, str, str, str]  # task, relation, condition, metric
Place = tuple[str, ...]  # cluster, then what names the question


def question_values(
    records: Sequence[Mapping[str, Any]], protocol: str = ""
) -> dict[Cell, dict[Place, float]]:
    """Return the values of questions by cell: accuracy of relation questions, its differences
    between conditions, and accuracy on every level of the classes.
    """
    found: dict[Cell, dict[Place, float]] = {}
    for cell, place, value in (*_relations(records), *_gaps(records), *_classes(records)):
        found.setdefault(cell, {})[place] = value
    return found


def _relations(records: Sequence[Mapping]) -> Iterator[tuple[Cell, Place, float]]:
    for (task, relation, condition), asked in probed.cells_of(records).items():
        known = [record for record in asked if record["state"] != "error"]
        for record, cluster in zip(known, probed.clusters_of(known), strict=True):
            cell = task, relation, condition, "accuracy"
            yield cell, _place(cluster, record), record["metrics"]["accuracy"]


def _gaps(records: Sequence[Mapping]) -> Iterator[tuple[Cell, Place, float]]:
    for cell, (values, asked) in differences(records).items():
        for value, record in zip(values, asked, strict=True):
            yield cell, _place(record["cluster"], record), value


def _place(cluster: str, record: Mapping) -> Place:
    return cluster, *probed.question(record), str(record["yes"])


def _classes(records: Sequence[Mapping]) -> Iterator[tuple[Cell, Place, float]]:
    for (task, condition), asked in classified.cells_of(records).items():
        for record in asked:
            kind = "rare" if record["label"] in record["rare"] else "common"
            for name in ("all", kind) if record["metrics"] else ():
                for level in LEVELS:
                    place = record["cluster"], record["clip"]
                    yield (task, name, condition, level), place, record["metrics"][level]
