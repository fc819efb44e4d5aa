"""From replies to records, one for each request, and from records to scores."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from statistics import fmean, stdev
from typing import Any

from mllm.benchmarks.scale.item import Item
from mllm.benchmarks.scale.scorers import Scored, score, score_by_logprob
from mllm.evaluation.number_metrics import yes_no_rates
from mllm.evaluation.request import Reply, Request
from mllm.evaluation.statistics import mean_interval

AXES = ("suite", "format", "capability")
ALL = "all"  # on an axis: over all of its values
STATES = ("valid", "refusal", "invalid")

Record = dict[str, Any]


def records_of(
    answered: Iterable[tuple[Request, Reply]], find: Callable[[str], Item]
) -> list[Record]:
    """Return a record for each request: what was asked and answered, and what that is worth.

    Args:
      find: returns the item of an id.
    """
    return [_record(request, reply, find(request.tags["item"])) for request, reply in answered]


def _record(request: Request, reply: Reply, item: Item) -> Record:
    tags = request.tags
    scored = _scored(request, reply, item)
    names = (*AXES, "item", "form", "variant", "kind", "question", "answers", "options")
    return {
        "key": request.key,
        **{name: tags[name] for name in names},
        "reply": reply.text,
        "logprobs": reply.logprobs,
        "ended": reply.ended,
        "parsed": scored.parsed,
        "state": scored.state,
        "value": scored.value,
        "plain": scored.plain,
        "metrics": dict(scored.metrics),
    }


def _scored(request: Request, reply: Reply, item: Item) -> Scored:
    options = request.tags["options"] or None
    if reply.logprobs is not None:
        return score_by_logprob(item, reply.logprobs, reply.tokens, options=options)
    # A service gives no log-probabilities: it is shown the options with letters, and says one.
    return score(item, reply.text, options=options, ended=reply.ended, state=reply.state)


def headline(records: Sequence[Mapping]) -> list[Mapping]:
    """Return the records that the score of an item is of: options by log-probability where they
    were measured, parsed replies elsewhere.
    """
    measured = {record["item"] for record in records if record["form"] == "options"}
    return [r for r in records if r["form"] != "letter" or r["item"] not in measured]


def parsed(records: Sequence[Mapping]) -> list[Mapping]:
    """Return the records of replies."""
    return [record for record in records if record["form"] != "options"]


def scores_of(records: Sequence[Mapping]) -> list[dict[str, Any]]:
    """Return the scores of results.json.

    Metrics of a cell: ``score`` is the mean value of its items in the default wording, with the
    interval of Wilson where all values are 0 or 1 and by bootstrap elsewhere; ``parsed`` is the
    same of replies alone; ``wordings_mean`` and ``wordings_sd`` are over the variants. What a kind
    of item measures besides follows under its own name (``cer``, ``iou``, ``tau`` …), and so do
    precision, recall, f1 and yes_rate of yes-or-no items. The value "all" on an axis is over all of
    its values. Errors are not scored; they are what is missing from valid, refusal and invalid.
    """
    found = []
    for place, group in _cells(records).items():
        first = [record for record in group if record["variant"] == 0]
        found.append(_score(place, "score", headline(first)))
        found.append(_score(place, "parsed", parsed(first)))
        found += _wordings(place, headline(group))
        found += _measures(place, parsed(first))
        found += _yes_no(place, first)
    return found


def _cells(records: Sequence[Mapping]) -> dict[tuple[str, ...], list[Mapping]]:
    """Return the records of each cell, then those of all cells along each axis."""
    cells: dict[tuple[str, ...], list[Mapping]] = {}
    for record in records:
        place = tuple(record[axis] for axis in AXES)
        for kept in product((True, False), repeat=len(AXES)):
            merged = tuple(value if keep else ALL for value, keep in zip(place, kept, strict=True))
            cells.setdefault(merged, []).append(record)
    return dict(sorted(cells.items()))


def _score(place: tuple[str, ...], metric: str, group: Sequence[Mapping]) -> dict[str, Any]:
    scored = [record for record in group if record["value"] is not None]
    values = [record["value"] for record in scored]
    return _entry(place, metric, values, [record["item"] for record in scored], group)


def _measures(place: tuple[str, ...], group: Sequence[Mapping]) -> list[dict[str, Any]]:
    """Return a score for each metric that the kinds of the items measure."""
    names = sorted({name for record in group for name in record["metrics"]} - {"accuracy", "exact"})
    found = []
    for name in names:
        measured = [record for record in group if name in record["metrics"]]
        values = [record["metrics"][name] for record in measured]
        found.append(_entry(place, name, values, [r["item"] for r in measured], measured))
    return found


def _yes_no(place: tuple[str, ...], group: Sequence[Mapping]) -> list[dict[str, Any]]:
    """Return precision, recall, F1 and yes-rate of the yes-or-no items; "yes" is positive."""
    asked = [r for r in group if r["kind"] == "yes_no"]
    scored = [r for r in asked if r["value"] is not None]
    if not scored:
        return []
    said = [None if r["parsed"] is None else r["parsed"] == "yes" for r in scored]
    rates = yes_no_rates([r["answers"][0] == "yes" for r in scored], said)
    states = {state: _rate(asked, state) for state in STATES}
    return [
        {
            **_named(place),
            "metric": name,
            "value": None if math.isnan(rates[name]) else rates[name],
            "n": len(scored),
            "ci95": [None, None],
        }
        | states
        for name in ("precision", "recall", "f1", "yes_rate")
    ]


def _wordings(place: tuple[str, ...], group: Sequence[Mapping]) -> list[dict[str, Any]]:
    """Return mean and standard deviation of the score over wordings and orders of options."""
    variants = sorted({record["variant"] for record in group})
    means = []
    for variant in variants:
        values = [r["value"] for r in group if r["variant"] == variant and r["value"] is not None]
        means += [fmean(values)] if values else []
    if len(means) < 2:
        return []
    spread = {"wordings_mean": fmean(means), "wordings_sd": stdev(means)}
    rates = {state: _rate(group, state) for state in STATES}
    return [
        {**_named(place), "metric": name, "value": value, "n": len(means), "ci95": [None, None]}
        | rates
        for name, value in spread.items()
    ]


def _entry(place, metric, values, clusters, group) -> dict[str, Any]:
    return {
        **_named(place),
        "metric": metric,
        "value": math.fsum(values) / len(values) if values else None,
        "n": len(values),
        "ci95": mean_interval(values, clusters),
        **{state: _rate(group, state) for state in STATES},
    }


def _named(place: tuple[str, ...]) -> dict[str, str]:
    return dict(zip(AXES, place, strict=True))


def _rate(group: Sequence[Mapping], state: str) -> float:
    return sum(record["state"] == state for record in group) / len(group) if group else 0.0
