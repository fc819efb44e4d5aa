"""From replies to records, one for each candidate of a user, and from records to scores.

Candidates are brought together by the user's id, never by their place among the records.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mllm.benchmarks.msr.metrics import user_metrics
from mllm.evaluation.request import Reply, Request
from mllm.evaluation.statistics import cluster_bootstrap
from mllm.evaluation.yes_no import log_odds

AXES = ("target", "history")
ALL = "all"
TARGETS = ("warm", "cold", ALL)
# Numbers of items in the history that are scored together, by the last of each.
_ENDS = (0, 3, 6, 10, 20)
HISTORIES = ("0", "1-3", "4-6", "7-10", "11-20", "21+", ALL)
KS = (3, 5, 10)
METRICS = ("auc_pooled", "auc_user", *(f"{name}@{k}" for k in KS for name in ("hr", "mrr", "ndcg")))
STATES = ("valid", "refusal", "invalid")

Record = dict[str, Any]
Cell = tuple[str, str]  # values of the axes
Values = dict[tuple[str, str], float]  # cluster and user -> value


def records_of(answered: Iterable[tuple[Request, Reply]]) -> list[Record]:
    """Return a record for each candidate of each user, in the order in which they were asked.

    Requests without the tag "label", such as those for summaries, have no record. ``score`` is
    log p(yes) - log p(no) by ``mllm.evaluation.yes_no``; None where the reply is an error.
    """
    return [_record(*pair) for pair in answered if "label" in pair[0].tags]


def _record(request: Request, reply: Reply) -> Record:
    tags, score = request.tags, None
    if reply.logprobs is not None:
        found = log_odds(request.ask.texts, reply.logprobs)
        score = found if math.isfinite(found) else None
    return {
        "key": request.key,
        "cluster": request.cluster,
        **{name: tags[name] for name in ("user", "item", "label", "cold", "history")},
        "score": score,
        "logprobs": reply.logprobs,
        "state": "error" if score is None and reply.state == "valid" else reply.state,
    }


def scores_of(records: Sequence[Mapping]) -> list[dict[str, Any]]:
    """Return the scores of results.json.

    Cells are the users whose target is warm, cold or either, and, of all of these, the users with a
    history of some length. Metrics are those of ``mllm.benchmarks.msr.metrics``; intervals resample
    users. A user with a candidate that has no score is left out, and is missing from ``valid``.

    Raises:
      ValueError: the records are not one for each candidate; see ``users_of``.
    """
    found = []
    for (target, history), users in cells_of(records).items():
        rates = {state: _rate(users, state) for state in STATES}
        for metric, values in values_of(users).items():
            found.append(
                {
                    "target": target,
                    "history": history,
                    "metric": metric,
                    "value": math.fsum(values.values()) / len(values) if values else None,
                    "n": len(values),
                    "ci95": interval(values),
                    **rates,
                }
            )
    return found


def question_values(
    records: Sequence[Mapping], protocol: str = ""
) -> dict[tuple[str, str, str], Values]:
    """Return the value of each user in each cell (target, history, metric), so that methods can be
    compared user by user.

    Raises:
      ValueError: see ``users_of``.
    """
    return {
        (*cell, metric): values
        for cell, users in cells_of(records).items()
        for metric, values in values_of(users).items()
    }


def cells_of(records: Sequence[Mapping]) -> dict[Cell, list[list[Mapping]]]:
    """Return the records of each user, as ``users_of`` has them, by cell.

    Raises:
      ValueError: see ``users_of``.
    """
    cells: dict[Cell, list[list[Mapping]]] = {}
    for rows in users_of(records).values():
        first = rows[0]
        for cell in (
            (ALL, ALL),
            (first["cold"], ALL),
            (ALL, length_group(int(first["history"]))),
        ):
            cells.setdefault(cell, []).append(rows)
    return {cell: cells[cell] for cell in sorted(cells, key=_place)}


def values_of(users: Sequence[Sequence[Mapping]]) -> dict[str, Values]:
    """Return the value of each user by metric, without users who have a candidate without a score.

    The mean of a metric's values is its score, for the pooled AUC too
    (``mllm.benchmarks.msr.metrics.pooled_values``).
    """
    scored = [rows for rows in users if all(row["score"] is not None for row in rows)]
    if not scored:
        return {name: {} for name in METRICS}
    scores = np.array([[row["score"] for row in rows] for rows in scored])
    places = [(rows[0]["cluster"], rows[0]["user"]) for rows in scored]
    found = user_metrics(scores, np.zeros(len(scored), int), KS)
    return {name: dict(zip(places, found[name].tolist(), strict=True)) for name in METRICS}


def users_of(records: Sequence[Mapping]) -> dict[str, list[Mapping]]:
    """Return the records of each user, in the order of ids, the one of the target first.

    Raises:
      ValueError: a user has no target or several, an item twice, fewer candidates than the others,
        or is described in two ways; the message names the user.
    """
    found: dict[str, list[Mapping]] = {}
    for record in records:
        found.setdefault(record["user"], []).append(record)
    sizes = Counter(len(rows) for rows in found.values())
    size = max(sizes, key=lambda count: (sizes[count], count), default=0)
    for user, rows in found.items():
        items = Counter(row["item"] for row in rows)
        if twice := [item for item, count in items.items() if count > 1]:
            raise ValueError(f"user {user!r}: item {twice[0]!r} has {items[twice[0]]} records")
        targets = sum(row["label"] == "1" for row in rows)
        if targets != 1 or any(row["label"] not in ("0", "1") for row in rows):
            raise ValueError(
                f"user {user!r}: {targets} of {len(rows)} candidates have label '1'; expected one, "
                "and '0' for all others"
            )
        if len(rows) != size:
            raise ValueError(
                f"user {user!r}: {len(rows)} candidates have a record, but {size} of other users; "
                "ask all of them, or the same number of each user"
            )
        for name in ("cluster", "cold", "history"):
            if len(values := {row[name] for row in rows}) > 1:
                raise ValueError(f"user {user!r}: {name} is {sorted(values)}; expected one value")
    return {
        user: sorted(rows, key=lambda row: (row["label"] != "1", row["item"]))
        for user, rows in sorted(found.items())
    }


def length_group(items: int) -> str:
    """Return the value of the axis "history" for a number of items."""
    return next((name for end, name in zip(_ENDS, HISTORIES, strict=False) if items <= end), "21+")


def interval(values: Values) -> list[float | None]:
    """Return the 95% interval [low, high] of the mean over users; [None, None] of a single one.

    All metrics lie between 0 and 1. The linear form of the pooled AUC can leave that range where
    users are few, so both ends are cut off there.
    """
    ends = cluster_bootstrap(list(values.values()), [cluster for cluster, _ in values])
    return [None if math.isnan(end) else min(max(end, 0.0), 1.0) for end in ends]


def _place(cell: Cell) -> tuple[bool, int, int]:
    target, history = cell
    return history != ALL, TARGETS.index(target), HISTORIES.index(history)


def _rate(users: Sequence[Sequence[Mapping]], state: str) -> float:
    """Return the share of users whose candidates are all valid, or one of them in another state."""
    quantify = all if state == "valid" else any
    return sum(quantify(row["state"] == state for row in rows) for rows in users) / len(users)
