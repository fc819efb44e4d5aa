"""From replies to records, one for each question and reading.

Readings: "text" takes the option whose text has the highest log-probability a token; "letter" the
option whose letter has; "rotation" is right where the letter is, in all four orders of the options;
"generated" reads the letter of a reply; "critique" is a text about the whole photograph.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from mllm.benchmarks.photo.album import Album
from mllm.benchmarks.photo.coverage import coverage, covered
from mllm.benchmarks.photo.prompts import LETTERS, option_at, place_of, rotated, whole
from mllm.benchmarks.photo.row import Critique
from mllm.evaluation.metrics import best, per_token, rouge, share_of_best
from mllm.evaluation.parsing import answer_state, parse_choice
from mllm.evaluation.request import Answered, Reply, Request

READINGS = ("text", "letter", "rotation", "generated", "critique")

Record = dict[str, Any]
Similarity = Callable[[Sequence[str], Sequence[str]], np.ndarray]  # of texts, pair by pair


def records_of(
    answered: Iterable[Answered], album: Album, similarity: Similarity | None = None
) -> list[Record]:
    """Return a record for each question and reading, then one for each critique.

    Args:
      album: the photographs, from which critiques are read, and the name of each one's ``other``.
      similarity: of sentence embeddings; None leaves their metric out.
    """
    answered = list(answered)
    asked = [pair for pair in answered if pair[0].tags["reading"] != "critique"]
    turned: dict[str, list[Answered]] = {}
    for pair in asked:
        if pair[0].tags["reading"] == "letter":
            turned.setdefault(pair[0].tags["question"], []).append(pair)
    found = [_by_option(*pair) for pair in asked if not pair[0].tags["order"]]
    found += [_rotation(pairs) for pairs in turned.values() if len(pairs) == len(LETTERS)]
    described = [pair for pair in answered if pair[0].tags["reading"] == "critique"]
    found += _critiques(described, album, similarity)
    return [{**record, "other": album.other(record["photo"]).id} for record in found]


def _named(request: Request) -> Record:
    tags = request.tags
    names = ("photo", "question", "topic", "subtopic", "reading", "attribute", "options", "right")
    named = {name: tags[name] for name in names}
    return {"key": request.key, "cluster": request.cluster, **named}


def _by_option(request: Request, reply: Reply) -> Record:
    """Return the record of one reading of a question, with the options in its own order."""
    read = _generated if request.tags["reading"] == "generated" else _likeliest
    return {**_named(request), **read(request, reply)}


def _likeliest(request: Request, reply: Reply) -> Record:
    """Return what log-probabilities choose, in the order of the question's options."""
    tags = request.tags
    found = {"reply": None, "logprobs": None, "per_token": None, "chosen": None, "metrics": {}}
    if reply.logprobs is None:
        return {**found, "state": "error" if reply.state == "valid" else reply.state}
    places = range(len(LETTERS))
    if tags["reading"] == "letter":
        places = [place_of(option, tags["order"]) for option in places]
    summed = [reply.logprobs[place] for place in places]
    means = per_token(summed, [reply.tokens[place] for place in places])
    highest = best(means)
    metrics = {"accuracy": share_of_best(means, tags["right"])}
    if tags["reading"] == "text":
        metrics["accuracy_summed"] = share_of_best(summed, tags["right"])
    chosen = highest[0] if len(highest) == 1 else None
    read = {"logprobs": summed, "per_token": means, "chosen": chosen}
    return {**found, **read, "state": "valid", "metrics": metrics}


def _generated(request: Request, reply: Reply) -> Record:
    """Return what a reply chooses by the strict rule; one that states no option is wrong."""
    found = {"reply": reply.text, "logprobs": None, "chosen": None}
    if reply.text is None or reply.state != "valid":
        return {**found, "state": "error" if reply.state == "valid" else reply.state, "metrics": {}}
    tags = request.tags
    listed = rotated(tags["options"], tags["order"])
    letter = parse_choice(reply.text, dict(zip(LETTERS, listed, strict=True)))
    state = answer_state(reply.text, ended=reply.ended)
    if letter is None:
        state = "refusal" if state == "refusal" else "invalid"
        return {**found, "state": state, "metrics": {"accuracy": 0.0}}
    chosen = option_at(LETTERS.index(letter), tags["order"])
    right = float(chosen == tags["right"])
    return {**found, "chosen": chosen, "state": "valid", "metrics": {"accuracy": right}}


def _rotation(pairs: Sequence[Answered]) -> Record:
    """Return the record of a question over all orders of its options, right if all of them are."""
    pairs = sorted(pairs, key=lambda pair: pair[0].tags["order"])
    each = [_likeliest(*pair) for pair in pairs]
    valid = all(one["state"] == "valid" for one in each)
    return {
        **_named(pairs[0][0]),
        "reading": "rotation",
        "keys": [request.key for request, _ in pairs],
        "reply": None,
        "logprobs": [one["logprobs"] for one in each],
        "chosen": [one["chosen"] for one in each],
        "state": next((one["state"] for one in each if one["state"] != "valid"), "valid"),
        "metrics": {"accuracy": min(r["metrics"]["accuracy"] for r in each)} if valid else {},
    }


def _critiques(
    answered: Sequence[Answered], album: Album, similarity: Similarity | None
) -> list[Record]:
    parts: dict[str, list[Answered]] = {}
    for pair in answered:
        parts.setdefault(pair[0].tags["photo"], []).append(pair)
    found = [_critique(pairs, *album.critiques(photo)) for photo, pairs in parts.items()]
    said = [record for record in found if record["metrics"]]
    for suffix in ("", "_wrong") if similarity and said else ():
        references = [record[f"reference{suffix}"] for record in said]
        values = similarity([record["reply"] for record in said], references)
        for record, value in zip(said, values, strict=True):
            record["metrics"][f"embedding{suffix}"] = float(value)
    return found


def _critique(pairs: Sequence[Answered], right: Critique, wrong: Critique) -> Record:
    """Return the record of a critique, judged by its own and by a wrong photograph's."""
    request = pairs[0][0]
    named = {
        "key": request.key,
        "keys": [request.key for request, _ in pairs],
        "cluster": request.cluster,
        "photo": request.tags["photo"],
        "reading": "critique",
        "reference": whole(right),
        "reference_wrong": whole(wrong),
        "parts": {request.tags["part"]: reply.text for request, reply in pairs},
    }
    if failed := [r for _, r in pairs if r.text is None or r.state != "valid"]:
        state = "error" if failed[0].state == "valid" else failed[0].state
        empty = {"reply": None, "topics": {}, "topics_wrong": {}, "metrics": {}}
        return {**named, **empty, "state": state}
    said = " ".join(reply.text.strip() for _, reply in pairs)
    topics, metrics = {}, {}
    for suffix, critique in (("", right), ("_wrong", wrong)):
        topics[suffix] = covered(said, critique.statements)
        metrics[f"coverage{suffix}"] = coverage(topics[suffix])
        metrics[f"rouge_l{suffix}"] = rouge(whole(critique), said)["rougeL"]
    return {
        **named,
        "reply": said,
        "topics": topics[""],
        "topics_wrong": topics["_wrong"],
        "state": answer_state(said, ended=all(reply.ended for _, reply in pairs)),
        "metrics": metrics,
    }
