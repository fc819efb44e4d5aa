"""From replies to records, one for each prompt and mode, and from records to scores.

The sides of a pair are the detail and the object; of these, the textual side is the one that the
prompt's words give (x), and the visual side the one that its pictures share (theta).
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import product
from typing import Any

from mllm.benchmarks.cobsat.judge import (
    CLIP,
    LIKELIEST,
    READERS,
    RULES,
    SIDES,
    Judged,
    exact_words,
    read_numbers,
    vocabulary,
    word_of,
)
from mllm.benchmarks.cobsat.protocol import JUDGE, named, output_of
from mllm.evaluation.kept_media import named as media_name
from mllm.evaluation.request import Reply, Request
from mllm.evaluation.statistics import mean_interval

AXES = ("task", "shots", "prompt", "mode")
ALL, OBJECTS, DETAILS = "all", "all-I", "all-II"  # over all values; over the tasks of an inference
MERGED = (ALL, OBJECTS, DETAILS)
METRICS = ("overall", "detail", "object", "textual", "visual")
# By which rule outputs of a mode are scored: the first that was applied.
HEADLINE = {"image": ("taught", "numbers", *CLIP), "text": ("words",)}
STATES = ("valid", "refusal", "invalid")

Record = dict[str, Any]


def records_of(answered: Iterable[tuple[Request, Reply]]) -> list[Record]:
    """Return a record for each prompt and mode, in the order in which they were asked."""
    answered = list(answered)
    judged = {
        _judged_key(request.tags): reply
        for request, reply in answered
        if request.tags["part"] == JUDGE
    }
    applied = {form for *_, form in judged} | {"words"}
    rules = {mode: headline(mode, applied) for mode in HEADLINE}
    return [
        _record(request, reply, judged, rules[request.tags["mode"]])
        for request, reply in answered
        if request.tags["part"] == "answer"
    ]


def headline(mode: str, applied: Collection[str]) -> str:
    """Return the rule that outputs of a mode are scored by, of those that were applied."""
    return next((rule for rule in HEADLINE[mode] if rule in applied), HEADLINE[mode][0])


def _judged_key(tags: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(tags[name] for name in ("output", "words", "form"))


def _record(request: Request, reply: Reply, replies: Mapping[tuple, Reply], rule: str) -> Record:
    tags = request.tags
    theme, output = tags["theme"], output_of(request, reply)
    judged = _judged(theme, output, replies)
    found = judged.get(rule)
    return {
        "key": request.key,
        "cluster": request.cluster,
        **{name: value for name, value in tags.items() if name not in ("part", "analysis")},
        "text": reply.text,
        "analysis": tags.get("analysis"),
        "picture": None if reply.media is None else media_name(reply.media),
        "ended": reply.ended,
        "state": _state(output, found),
        "judged": judged,
        "rule": rule,
        "metrics": metrics(tags, found),
    }


def _judged(theme: str, output, replies: Mapping[tuple, Reply]) -> dict[str, Judged]:
    """Return what each rule that was applied says that an output shows."""
    if output is None:
        return {}
    found: dict[str, Judged] = (
        {} if not isinstance(output, str) else {"words": exact_words(theme, output)}
    )
    for side in SIDES:
        at = named(output), vocabulary(theme, side)
        for form in LIKELIEST:
            if (reply := replies.get((*at, form))) is not None:
                number = None if reply.logprobs is None else read_numbers(reply.logprobs)
                found.setdefault(form, {})[side] = word_of(theme, side, number)
        if (reply := replies.get((*at, "reply"))) is not None:
            for rule, read in READERS.items():
                number = None if reply.text is None else read(reply.text)
                found.setdefault(rule, {})[side] = word_of(theme, side, number)
    return {rule: found[rule] for rule in RULES if rule in found}


def _state(output, found: Judged | None) -> str:
    if output is None:
        return "error"
    return "valid" if found is not None and None not in found.values() else "invalid"


def metrics(tags: Mapping[str, Any], found: Judged | None) -> dict[str, int | None]:
    """Return which sides of a prompt's answer are right; what is missing is wrong.

    Args:
      tags: of the prompt. found: what its output shows by some rule; None if it shows nothing.
    """
    right = {side: int(found is not None and found[side] == tags["truth"][side]) for side in SIDES}
    textual = "detail" if tags["x"] == tags["theme"] else "object"
    visual = "object" if textual == "detail" else "detail"
    return {
        "overall": right["detail"] * right["object"],
        **right,
        "textual": right[textual],
        "visual": right[visual],
    }


def scores_of(records: Sequence[Mapping]) -> list[dict[str, Any]]:
    """Return the scores of results.json.

    Each is the share of prompts that are right, out of all that were asked: an output that is
    missing or shows nothing is wrong, and what was not asked has no score. ``overall`` to
    ``visual`` are by the rule of ``HEADLINE``; ``overall_<rule>``, of several tasks together, is by
    each rule that was applied. Where the judge was not asked, pictures have no score at all.
    Intervals are Wilson's where every prompt is of another sample, else samples are resampled.
    """
    rules = {
        mode: [r for r in RULES if any(r in x["judged"] for x in records if x["mode"] == mode)]
        for mode in HEADLINE
    }
    found = []
    for place, group in _cells(records).items():
        applied = rules[place[-1]]
        if headline(place[-1], applied) in applied:
            for name in METRICS:
                found.append(_entry(place, name, [r["metrics"][name] for r in group], group))
        for rule in applied if place[0] in MERGED else ():
            values = [metrics(r, r["judged"].get(rule))["overall"] for r in group]
            found.append(_entry(place, f"overall_{rule}", values, group))
    return found


def _cells(records: Sequence[Mapping]) -> dict[tuple[str, ...], list[Mapping]]:
    """Return the records of each cell, those of all tasks, and of these those of all shots."""
    cells: dict[tuple[str, ...], list[Mapping]] = {}
    for record in records:
        shots, prompt, mode = record["shots"], record["prompt"], record["mode"]
        merged = ALL, DETAILS if record["theta"] == record["theme"] else OBJECTS
        cells.setdefault((record["task"], shots, prompt, mode), []).append(record)
        for tasks, number in product(merged, (shots, ALL)):
            cells.setdefault((tasks, number, prompt, mode), []).append(record)
    return cells


def _entry(place, metric: str, values: Sequence[int], group: Sequence[Mapping]) -> dict[str, Any]:
    return {
        **dict(zip(AXES, place, strict=True)),
        "metric": metric,
        "value": math.fsum(values) / len(values),
        "n": len(values),
        "ci95": mean_interval(values, [record["cluster"] for record in group]),
        **{state: sum(r["state"] == state for r in group) / len(group) for state in STATES},
    }
