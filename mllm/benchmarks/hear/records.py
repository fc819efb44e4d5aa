"""From replies to records: one for each relation question, one for each choice of a class."""

from collections.abc import Iterable, Sequence
from typing import Any

from mllm.benchmarks.hear.classes import Judge, Record, Similarities
from mllm.benchmarks.hear.ontology import Ontology
from mllm.evaluation.parsing import answer_state
from mllm.evaluation.request import Answered, Reply, Request
from mllm.evaluation.yes_no import log_odds, says_yes


def records_of(
    answered: Iterable[Answered],
    ontology: Ontology,
    rare: Sequence[str] = (),
    similarities: Similarities | None = None,
    *,
    seed: int = 0,
) -> list[Record]:
    """Return the records of all replies.

    Args:
      rare: leaves whose scores are also reported by themselves.
      similarities: of sentence embeddings; None leaves ``caption_embedding`` out.
      seed: of the permutation of captions in the condition "shuffled".
    """
    asked: dict[str, list[Answered]] = {}
    for pair in answered:
        asked.setdefault(pair[0].tags["task"], []).append(pair)
    judge, captions = Judge(ontology, rare), asked.get("caption", [])
    found = [_odds(*pair) for pair in asked.get("relations", ())]
    found += [_said(*pair) for pair in asked.get("relations_generated", ())]
    classified = [judge.by_logprobs(*pair) for pair in asked.get("direct", ())]
    classified += [judge.by_logprobs(*pair) for pair in asked.get("two_step", ())]
    classified += [judge.by_words(*pair) for pair in captions]
    if similarities is not None and captions:
        classified += judge.by_meaning(captions, similarities)
    return [*found, *classified, *judge.shuffled(classified, seed)]


def _odds(request: Request, reply: Reply) -> Record:
    """Return the record of a relation question by log p(yes) - log p(no); 0 is a guess.

    ``share`` is what counts as "yes": 0.5 of a guess.
    """
    record = {**_named(request), "reply": None, "odds": None, "said": None, "metrics": {}}
    if reply.logprobs is None:
        return {**record, "state": "error"}
    odds = log_odds(request.ask.texts, reply.logprobs)
    said = None if odds == 0 else odds > 0
    share = 0.5 if said is None else float(said)
    metrics = {"accuracy": share if record["yes"] else 1 - share}
    record |= {"odds": odds, "said": said, "share": share}
    return {**record, "state": "valid", "metrics": metrics}


def _said(request: Request, reply: Reply) -> Record:
    """Return the record of a relation question by a generated reply; one that says neither yes nor
    no is wrong, and no yes.
    """
    record = {**_named(request), "reply": reply.text, "odds": None, "said": None, "metrics": {}}
    if reply.text is None or reply.state != "valid":
        return {**record, "state": "error" if reply.state == "valid" else reply.state}
    said = says_yes(reply.text)
    if said is None:
        refused = answer_state(reply.text, ended=reply.ended) == "refusal"
        state = "refusal" if refused else "invalid"
        return {**record, "share": 0.0, "state": state, "metrics": {"accuracy": 0.0}}
    record |= {"said": said, "share": float(said)}
    return {**record, "state": "valid", "metrics": {"accuracy": float(said == record["yes"])}}


def _named(request: Request) -> dict[str, Any]:
    return {"key": request.key, "cluster": request.cluster, **request.tags}
