"""Which class a reply chooses: records of classification."""

from collections.abc import Callable, Iterator, Sequence
from statistics import fmean
from typing import Any

import numpy as np
from scipy.special import log_softmax

from mllm.benchmarks.hear.incontext import PLAIN
from mllm.benchmarks.hear.lexical import Mentions
from mllm.benchmarks.hear.ontology import Ontology
from mllm.benchmarks.hear.prompts import label_text
from mllm.evaluation.metrics import best
from mllm.evaluation.parsing import answer_state
from mllm.evaluation.request import Answered, Reply, Request

READ = ("caption_embedding", "caption_lexical", "two_step")  # tasks that read captions
SHUFFLED = "shuffled"  # the condition of what is read of another clip's caption
LEVELS = ("accuracy", "accuracy_parent", "accuracy_grandparent")
ABOVE = (lambda ontology, name: (), Ontology.parents, Ontology.grandparents)

Record = dict[str, Any]
Scores = dict[str, float]
Similarities = Callable[[Sequence[str], Sequence[str]], np.ndarray]  # of N texts with M, [N, M]


class Judge:
    """Makes records of replies that classify clips.

    A record holds ``scores``, one of each class, higher is likelier, and in ``metrics`` whether the
    highest is right: ``accuracy`` where it is a tag of the clip, ``accuracy_parent`` also where
    they share a parent, ``accuracy_grandparent`` also a grandparent. Tied classes count as a guess
    between them. A caption that names no class is wrong; an error has no scores.
    """

    def __init__(self, ontology: Ontology, rare: Sequence[str]):
        self._classes, self._rare = ontology.leaves, list(rare)
        self._mentions = Mentions(ontology)
        self._lines: dict[str, dict[str, frozenset[str]]] = {level: {} for level in LEVELS}
        for name in ontology:
            line = frozenset((name,))
            for level, above in zip(LEVELS, ABOVE, strict=True):
                line |= frozenset(above(ontology, name))
                self._lines[level][name] = line

    def by_logprobs(self, request: Request, reply: Reply) -> Record:
        """Return the record of log-probabilities of the classes, normalised over them."""
        record = _named(request, reply, request.tags["task"])
        record["caption"] = request.tags.get("caption")
        if reply.logprobs is None:
            return self._scored({**record, "state": "error"}, {})
        scores = zip(request.ask.texts, log_softmax(reply.logprobs).tolist(), strict=True)
        return self._scored({**record, "state": "valid"}, dict(scores))

    def by_words(self, request: Request, reply: Reply) -> Record:
        """Return the record of a caption by the classes that it names: each has score 1."""
        record = self._captioned(request, reply, "caption_lexical")
        named = self._mentions.of(record["caption"] or "")
        return self._scored(record, {name: float(name in named) for name in self._classes})

    def by_meaning(
        self, answered: Sequence[Answered], similarities: Similarities
    ) -> Iterator[Record]:
        """Yield the records of captions by their similarity to each class: "sound of" before both,
        as LTU compares them.
        """
        texts = [label_text((reply.text or "").strip()) for _, reply in answered]
        found = similarities(texts, [label_text(name) for name in self._classes])
        for (request, reply), row in zip(answered, found, strict=True):
            record = self._captioned(request, reply, "caption_embedding")
            yield self._scored(record, dict(zip(self._classes, map(float, row), strict=True)))

    def shuffled(self, records: Sequence[Record], seed: int) -> Iterator[Record]:
        """Yield what clips score by the captions of other clips, each of which is taken once."""
        groups: dict[tuple[str, str], list[Record]] = {}
        for record in records:
            read = record["task"] in READ and record["condition"] == PLAIN
            if read and record["scores"] is not None:
                groups.setdefault((record["task"], record["split"]), []).append(record)
        for group in groups.values():
            order = np.random.default_rng(seed).permutation(len(group))
            for own, other in zip(order, np.roll(order, 1), strict=True) if len(group) > 1 else ():
                taken = {name: group[other][name] for name in ("state", "reply", "caption")}
                taken |= {"condition": SHUFFLED, "from": group[other]["clip"]}
                yield self._scored({**group[own], **taken}, group[other]["scores"])

    def _captioned(self, request: Request, reply: Reply, task: str) -> Record:
        record = {**_named(request, reply, task), "caption": reply.text}
        if reply.text is None or reply.state != "valid":
            return {**record, "state": "error" if reply.state == "valid" else reply.state}
        return {**record, "state": answer_state(reply.text, ended=reply.ended)}

    def _scored(self, record: Record, scores: Scores) -> Record:
        """Return a record with its scores, the class that they choose, and whether it is right."""
        record = {**record, "rare": self._rare}
        if record["state"] == "error":
            return {**record, "scores": None, "top": None, "metrics": {}}
        if record["state"] != "valid":
            scores = dict.fromkeys(scores, 0.0)
        nothing = record["state"] != "valid" or (
            record["task"] == "caption_lexical" and not any(scores.values())
        )
        names = list(scores)
        highest = [] if nothing else [names[place] for place in best(list(scores.values()))]
        metrics = dict.fromkeys(LEVELS, 0.0)
        for level, lines in self._lines.items() if highest else ():
            true = frozenset().union(*(lines[tag] for tag in record["tags"]))
            metrics[level] = fmean(bool(lines[name] & true) for name in highest)
        top = highest[0] if len(highest) == 1 else None
        return {**record, "scores": scores, "top": top, "metrics": metrics}


def _named(request: Request, reply: Reply, task: str) -> Record:
    tags = request.tags
    names = ("clip", "split", "condition", "label", "tags")
    named = {name: tags[name] for name in names} | {"task": task, "reply": reply.text}
    return {"key": request.key, "cluster": request.cluster, **named}
