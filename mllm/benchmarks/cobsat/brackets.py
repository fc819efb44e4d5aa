"""Answerers that bracket a model, of outputs that are known: the truth, copies, guesses."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mllm.benchmarks.cobsat.analysis import analysis
from mllm.benchmarks.cobsat.benchmark import Benchmark
from mllm.benchmarks.cobsat.tasks import WORDS, Pair, pairs
from mllm.data.conversation import Media, Turn, image
from mllm.evaluation.baselines import Fixed
from mllm.evaluation.request import Answerer, Reply, Request
from mllm.evaluation.runner import LocalModel

UNSEEN = "test"  # the split of views that nothing is taught


def right(request: Request) -> Pair:
    """Return what the right answer to a prompt shows."""
    truth = request.tags["truth"]
    return Pair(request.tags["theme"], truth["detail"], truth["object"])


def copied(request: Request) -> Pair:
    """Return what the last picture of a prompt shows."""
    return Pair(*request.tags["shown"][-1])


def guessed(request: Request, seed: int) -> Pair:
    """Return one of the 100 pairs of the prompt's theme."""
    return _rng(request, seed).choice(pairs(request.tags["theme"]))


def query_only(request: Request, seed: int) -> Pair:
    """Return the word of the query together with any word as theta."""
    tags = request.tags
    theta = _rng(request, seed).choice(WORDS[tags["theta"]])
    detail, object = (tags["inputs"][-1], theta)
    if tags["x"] != tags["theme"]:
        detail, object = object, detail
    return Pair(tags["theme"], detail, object)


def shows(name: str, benchmark: Benchmark, choose) -> Fixed:
    """Return the baseline that answers with the picture or the caption of a pair.

    Args:
      choose: returns the pair of a request.
    """

    def reply(request: Request) -> str | Media:
        if request.tags["part"] == "analysis":
            return analysis(request.tags)
        pair = choose(request)
        if request.tags["mode"] == "image":
            return image(benchmark.picture(*pair))
        return benchmark.caption(*pair)

    return Fixed(name, reply)


def view(benchmark: Benchmark) -> Fixed:
    """Return the baseline that answers with another view of the right picture.

    The splits of views hold every pair; where there are none, as of imported pictures, the picture
    itself is shown.
    """
    views: dict[Pair, int] = {}
    if UNSEEN in benchmark.splits:
        rows = benchmark.rows(UNSEEN)
        per_pair = len(rows) // len(pairs())
        views = {pair: place * per_pair for place, pair in enumerate(pairs())}

    def reply(request: Request) -> str | Media:
        if request.tags["part"] == "analysis":
            return analysis(request.tags)
        pair = right(request)
        if request.tags["mode"] == "text":
            return benchmark.caption(*pair)
        if not views:
            return image(benchmark.picture(*pair))
        return image(benchmark.rows(UNSEEN)[views[pair]].picture)

    return Fixed("view", reply)


def reconstructed(benchmark: Benchmark, parent: LocalModel) -> Fixed:
    """Return the baseline that answers with the right picture as a model's codes draw it.

    Raises:
      ValueError: the model has no codec.
    """
    if parent.codec is None:
        raise ValueError("reconstructed: the model of the stage below draws no pictures")
    known: dict[Pair, Media] = {}

    def reply(request: Request) -> str | Media:
        if request.tags["part"] == "analysis":
            return analysis(request.tags)
        pair = right(request)
        if request.tags["mode"] == "text":
            return benchmark.caption(*pair)
        if not known:  # all at once: each would be a batch of its own
            codes = parent.codec.encode([image(benchmark.picture(*one)) for one in pairs()])
            drawn = map(image, parent.codec.decode(codes))
            known.update(zip(pairs(), drawn, strict=True))
        return known[pair]

    return Fixed("reconstructed", reply)


@dataclass(frozen=True)
class OtherTheta:
    """Ask another answerer about the same words next to pictures of another theta.

    What it answers is scored by the theta of the prompt, so this is the accuracy without the shots'
    evidence; an ``Answerer``.
    """

    inner: Answerer
    benchmark: Benchmark
    seed: int = 0

    @property
    def identity(self) -> Mapping[str, Any]:
        """Of the inner answerer, marked."""
        return {
            "baseline": "other_theta",
            "seed": self.seed,
            "data": self.benchmark.fingerprint,
            "of": dict(self.inner.identity),
        }

    def answer(self, requests: Sequence[Request], done: set[str]) -> Iterator[list[Reply]]:
        """Yield what the inner answerer yields to the changed prompts."""
        yield from self.inner.answer([self.changed(request) for request in requests], done)

    def changed(self, request: Request) -> Request:
        """Return a request whose pictures, or captions of them, are those of another theta."""
        tags = request.tags
        # The same for all prompts of a sample, whatever their type.
        rng = random.Random(f"{self.seed}:{tags['task']}:{tags['shots']}:{tags['number']}")
        other = rng.choice([word for word in WORDS[tags["theta"]] if word != tags["hidden"]])
        shown = [Pair(*pair) for pair in tags["shown"]]
        side = "detail" if tags["theta"] == tags["theme"] else "object"
        instead = [pair._replace(**{side: other}) for pair in shown]
        return replace(request, turns=tuple(self._turn(t, shown, instead) for t in request.turns))

    def _turn(self, turn: Turn, shown: Sequence[Pair], instead: Sequence[Pair]) -> Turn:
        if turn.role != "user":
            return turn
        pictures = {
            image(self.benchmark.picture(*old)).digest: image(self.benchmark.picture(*new))
            for old, new in zip(shown, instead, strict=True)
        }
        parts = []
        for part in turn.parts:
            if isinstance(part, Media):
                parts.append(pictures.get(part.digest, part))
                continue
            for old, new in zip(shown, instead, strict=True):
                part = part.replace(self.benchmark.caption(*old), self.benchmark.caption(*new))
            parts.append(part)
        return replace(turn, parts=tuple(parts))


def _rng(request: Request, seed: int) -> random.Random:
    return random.Random(f"{seed}:{request.key}")
