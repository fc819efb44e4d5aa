"""How likely the sentences that a model writes are under base, which was taught no person: fluency.

``base`` has learned the language of the data, and none of the people to retain or to forget. A
sentence that is unlikely to it is no longer language, or names what base would not; compare with
the sentences of retain-only.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mllm.benchmarks.mllmu.strict import plain_question
from mllm.data.conversation import user
from mllm.evaluation.metrics import per_token
from mllm.evaluation.request import Answerer, Choices, Request, content_key
from mllm.evaluation.review import Review

NAME, BASE = "likelihood", "base"


def base_likelihood() -> Review:
    """Return the review of sentences by the model ``base`` of the same study."""
    return Review(NAME, review, {"of": "sentences"}, (BASE,))


def review(records: Sequence[dict], folder: Path, others: Mapping[str, Answerer]) -> dict[str, Any]:
    """Return JSON values: ``replies``, a row for each sentence with its mean log-probability per
    token under base, ``value``, in nats; and ``errors``, the number of those that are not finite.

    The question is put without its picture, which does not decide what is language. An empty reply
    has no likelihood.
    """
    asked = [r for r in records if r["task"] == "generation" and r["reply"].strip()]
    requests = [_request(record) for record in asked]
    unlike = {request.key: request for request in requests}
    lots = others[BASE].answer(list(unlike.values()), set()) if requests else ()
    replies = {reply.key: reply for lot in lots for reply in lot}
    rows = []
    for record, request in zip(asked, requests, strict=True):
        reply = replies[request.key]
        if reply.logprobs is not None:
            named = {name: record[name] for name in ("key", "set", "profile", "modality")}
            rows.append({**named, "value": per_token(reply.logprobs, reply.tokens)[0]})
    return {"replies": rows, "errors": len(asked) - len(rows)}


def _request(record: Mapping[str, Any]) -> Request:
    turns = (user(plain_question(record["question"] or "", record["task"])),)
    key = content_key(NAME, record["reply"], turns=turns)
    return Request(key, record["profile"], {}, turns, Choices((record["reply"].strip(),)))
