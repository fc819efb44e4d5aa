"""What brackets a model: right answers from the ontology, and answers that follow no sound."""

import random
from collections import Counter
from collections.abc import Sequence
from functools import cached_property

from mllm.benchmarks.hear.entries import entries_of, heard
from mllm.benchmarks.hear.incontext import Benchmark
from mllm.benchmarks.hear.lexical import Mentions
from mllm.benchmarks.hear.ontology import Ontology
from mllm.benchmarks.hear.prompts import NO, YES, caption_of
from mllm.evaluation.baselines import Fixed
from mllm.evaluation.request import Request

Answer = str | tuple[str, ...]
NOTHING = "A sound."  # a caption that names nothing


def oracle(benchmark: Benchmark) -> Fixed:
    """Return the baseline that reasons by the ontology from what a request shows.

    That is the tags of the sound that is played, the label that is named, or the concepts that a
    caption names. It does not look at the right answer.
    """
    ontology = benchmark.ontology
    mentions = Mentions(ontology)

    def reply(request: Request) -> Answer:
        return answer(request, _shown(request, mentions), ontology)

    return Fixed("oracle", reply)


def always_yes(benchmark: Benchmark) -> Fixed:
    """Return the baseline that says yes to every question and finds every class equally likely."""

    def reply(request: Request) -> Answer:
        if request.tags["task"] == "caption":
            return NOTHING
        return tuple(benchmark.ontology.leaves) if _classifies(request) else YES

    return Fixed("always_yes", reply)


def guessing(benchmark: Benchmark, seed: int) -> Fixed:
    """Return the baseline that draws each answer; what it draws depends on the request alone."""

    def reply(request: Request) -> Answer:
        rng = random.Random(f"{seed}:{request.key}")
        if "relation" in request.tags:
            return rng.choice((YES, NO))
        return answer(request, (rng.choice(benchmark.ontology.leaves),), benchmark.ontology)

    return Fixed(f"random {seed}", reply)


def prior(benchmark: Benchmark) -> Fixed:
    """Return the baseline that takes every clip for one of the label that is the most frequent in
    training, the first in the alphabet of those that are equally frequent.
    """
    commonest = _Commonest(benchmark)

    def reply(request: Request) -> Answer:
        return answer(request, (commonest.label,), benchmark.ontology)

    return Fixed("prior", reply)


class _Commonest:
    """Counts the labels of training when the first answer is wanted."""

    def __init__(self, benchmark: Benchmark):
        self._benchmark = benchmark

    @cached_property
    def label(self) -> str:
        entries = entries_of(self._benchmark.clips("train"), self._benchmark.ontology)
        counts = Counter(entry.label for entry in entries if entry.label is not None)
        return min(counts, key=lambda name: (-counts[name], name))


def answer(request: Request, tags: Sequence[str], ontology: Ontology) -> Answer:
    """Return what is right of a clip that has these tags."""
    if request.tags["task"] == "caption":
        return caption_of(tags)
    if _classifies(request):
        return tuple(tag for tag in tags if tag in request.ask.texts) or request.ask.texts
    return YES if request.tags["concept"] in heard(tags, ontology) else NO


def _classifies(request: Request) -> bool:
    return request.tags["task"] in ("direct", "two_step")


def _shown(request: Request, mentions: Mentions) -> Sequence[str]:
    """Return the tags that follow from what a request shows."""
    tags = request.tags
    if "caption" in tags:
        return mentions.of(tags["caption"])
    if tags["condition"] == "T":
        return (tags["label"],)
    return tags.get("heard_tags", tags["tags"])
