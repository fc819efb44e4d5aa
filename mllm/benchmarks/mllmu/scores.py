"""From raw replies to the scores of results.json, with no model call."""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from mllm.benchmarks.mllmu.metrics import METRICS, PROTOCOLS, accuracy_parsed, chosen_letter
from mllm.evaluation.statistics import cluster_bootstrap
from mllm.registry import lookup

SETS = ("forget", "test", "retain", "celebrity")
STATES = ("valid", "refusal", "invalid", "error")


class Cell(NamedTuple):
    """What one score is about; the order of results.json."""

    set: str
    task: str
    modality: str
    metric: str


class Place(NamedTuple):
    """What identifies a question of a cell in every run, whatever ``key`` is made of."""

    profile: str
    index: int
    question: str


def score_replies(records: Iterable[Mapping], *, protocol: str = "strict") -> list[dict]:
    """Score the records of a protocol.

    Args:
      records: see ``metrics``; also read: set, task, modality, profile, index, state. A later
        record of a question replaces an earlier one, so that a question asked again after an error
        counts once.
      protocol: "strict", or "paper" for the published reading of a chosen letter.

    Returns:
      One dict per set, task, modality and metric, in this order (sets as in ``SETS``, then others):
      set, task, modality, metric; ``value``, the mean over the ``n`` scored questions;
      ``ci95`` by bootstrap over profiles; and the fractions of the questions asked that are
      ``valid``, ``refusal`` and ``invalid``. A record in state "error" is asked and not scored: it
      is not in ``n`` and ``value``, and is 1 - valid - refusal - invalid. For accuracy_parsed a
      reply that states no readable choice is invalid even if it is language. With nothing scored
      ``value`` and ``ci95`` hold None, and so does ``ci95`` where there is a single profile. A
      metric that was measured for no question of its group (null scores) has no entry.

    Raises:
      ValueError: an unknown protocol, task or state, or a group in which only some questions were
        measured.
    """
    lookup(PROTOCOLS, protocol, "protocol")
    scores = []
    for cell, group in _cells(records).items():
        values = _values(group, cell, protocol)
        if values is None:
            continue
        scored = [value for value in values if value is not None]
        profiles = [
            record["profile"]
            for record, value in zip(group, values, strict=True)
            if value is not None
        ]
        states = [_state(record, cell.metric, protocol) for record in group]
        interval = cluster_bootstrap(scored, profiles)
        scores.append(
            {
                **cell._asdict(),
                "value": math.fsum(scored) / len(scored) if scored else None,
                "n": len(scored),
                "ci95": [None if math.isnan(bound) else bound for bound in interval],
                **{state: states.count(state) / len(states) for state in STATES[:3]},
            }
        )
    return scores


def question_values(
    records: Iterable[Mapping], *, protocol: str = "strict"
) -> dict[Cell, dict[Place, float]]:
    """Return the value of each question that was answered without an error, by cell.

    With them, the questions of two runs can be paired (``statistics.paired_difference``). Arguments
    and errors are those of ``score_replies``, whose values are the means of these.
    """
    lookup(PROTOCOLS, protocol, "protocol")
    found = {}
    for cell, group in _cells(records).items():
        values = _values(group, cell, protocol)
        if values is not None:
            pairs = zip(group, values, strict=True)
            found[cell] = {_place(record): value for record, value in pairs if value is not None}
    return found


def _place(record: Mapping) -> Place:
    return Place(record["profile"], record["index"], record["question"])


def _cells(records: Iterable[Mapping]) -> dict[Cell, list[Mapping]]:
    """Return the latest record of each question, sorted, under every metric of its task."""
    latest = {
        (record["set"], record["task"], record["modality"], *_place(record)): record
        for record in records
    }
    groups: dict[Cell, list[Mapping]] = {}
    for question in sorted(latest, key=repr):
        record = latest[question]
        if record["state"] not in STATES:
            raise ValueError(
                f"record {record['key']}: state is {record['state']!r}, expected one of {STATES}"
            )
        for metric in lookup(METRICS, record["task"], f"task of record {record['key']}:"):
            cell = Cell(record["set"], record["task"], record["modality"], metric)
            groups.setdefault(cell, []).append(record)
    tasks = list(METRICS)

    def place(cell: Cell) -> tuple:
        known_set = SETS.index(cell.set) if cell.set in SETS else len(SETS)
        metrics = list(METRICS[cell.task])
        return (
            known_set,
            cell.set,
            tasks.index(cell.task),
            cell.modality,
            metrics.index(cell.metric),
        )

    return {cell: groups[cell] for cell in sorted(groups, key=place)}


def _values(group: list[Mapping], cell: Cell, protocol: str) -> list[float | None] | None:
    """Return a value for each record (None for an error), or None if nothing was measured."""
    values, missing = [], []
    for record in group:
        if record["state"] == "error":
            values.append(None)
            continue
        if cell.metric == "accuracy_parsed":
            values.append(accuracy_parsed(record, protocol))
        else:
            values.append(METRICS[cell.task][cell.metric](record))
        if values[-1] is None:
            missing.append(record["key"])
    answered = sum(record["state"] != "error" for record in group)
    if missing and len(missing) < answered:
        raise ValueError(
            f"{'/'.join(cell)}: {len(missing)} of {answered} records have no score, first "
            f"{missing[0]}; "
            "evaluate these questions again, or mark them 'error'"
        )
    return None if missing or not group else values


def _state(record: Mapping, metric: str, protocol: str) -> str:
    if metric != "accuracy_parsed" or record["state"] != "valid":
        return record["state"]
    return "valid" if chosen_letter(record, protocol) else "invalid"
