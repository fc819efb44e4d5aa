"""Answerers that bracket a model: they know the answer, the true chances, or nothing; and a model
that is asked about titles alone.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from mllm.benchmarks.msr.benchmark import Benchmark
from mllm.benchmarks.msr.prompts import Prompts
from mllm.benchmarks.msr.rows import User
from mllm.evaluation.request import Answerer, Choices, Reply, Request
from mllm.evaluation.yes_no import shared

SURE = 20.0  # log-odds of an answer that is known


@dataclass(frozen=True)
class Scored:
    """Answer each question about a candidate by a score; an ``Answerer``.

    Attributes:
      identity: JSON values that the scores depend on besides the requests.
      score: returns log p(yes) - log p(no) of a request.
    """

    identity: Mapping[str, Any]
    score: Callable[[Request], float]

    def answer(self, requests: Sequence[Request], done: set[str]) -> Iterator[list[Reply]]:
        """Yield the replies to all requests whose key is not in ``done``."""
        yield [self._reply(request) for request in requests if request.key not in done]

    def _reply(self, request: Request) -> Reply:
        if not isinstance(request.ask, Choices):
            return Reply(request.key, text="")
        texts = request.ask.texts
        logprobs = shared(texts, self.score(request))
        return Reply(request.key, logprobs=logprobs, tokens=(1,) * len(texts))


def oracle() -> Scored:
    """Return the answerer that says yes to the target alone."""
    return Scored({"baseline": "oracle"}, lambda r: SURE if r.tags["label"] == "1" else -SURE)


def constant() -> Scored:
    """Return the answerer that is as sure of every candidate."""
    return Scored({"baseline": "constant"}, lambda request: 0.0)


def guessing(seed: int) -> Scored:
    """Return the answerer that orders candidates at random, the same ones alike."""

    def score(request: Request) -> float:
        return random.Random(f"{seed}:{request.tags['user']}:{request.tags['item']}").gauss()

    return Scored({"baseline": "random", "seed": seed}, score)


def bayes(benchmark: Benchmark) -> Scored:
    """Return the answerer that knows the true chances of generated data, but not the taste: no
    ranking is better on average.
    """
    users = users_of(benchmark)

    @cache
    def expected(split: str, user: str) -> dict[str, float]:
        return benchmark.expected(users(split)[user])

    def score(request: Request) -> float:
        tags = request.tags
        return expected(tags["split"], tags["user"]).get(tags["item"], -SURE)

    return Scored({"baseline": "bayes", "data": benchmark.fingerprint}, score)


def users_of(benchmark: Benchmark) -> Callable[[str], dict[str, User]]:
    """Return a function that gives the users of a split by ID, read once."""
    return cache(lambda split: {user.id: user for user in benchmark.users(split)})


@dataclass(frozen=True)
class Titles:
    """Ask another answerer about the titles of the history and of the candidate alone; an
    ``Answerer``.
    """

    inner: Answerer
    benchmark: Benchmark
    prompts: Prompts

    @property
    def identity(self) -> Mapping[str, Any]:
        """Of the inner answerer, marked."""
        return {"reads": "titles", "of": dict(self.inner.identity)}

    def answer(self, requests: Sequence[Request], done: set[str]) -> Iterator[list[Reply]]:
        """Yield what the inner answerer yields to the changed questions."""
        users = users_of(self.benchmark)
        yield from self.inner.answer([self._changed(r, users) for r in requests], done)

    def _changed(self, request: Request, users: Callable[[str], dict[str, User]]) -> Request:
        if request.tags.get("part") != "candidate":
            return request
        user = users(request.tags["split"])[request.tags["user"]]
        item = self.benchmark.item
        history, candidate = list(map(item, user.history)), item(request.tags["item"])
        return replace(request, turns=self.prompts.about_titles(user.id, history, candidate))
