"""Answerers that bracket a model: they know the answer, guess it, or are shown no picture or
another one.
"""

import random
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mllm.data.conversation import Media, Part, Turn
from mllm.evaluation.request import Answerer, Choices, Picture, Reply, Request

UNCHOSEN = -100.0  # log-probability that a baseline gives to each choice it does not make


@dataclass(frozen=True)
class Fixed:
    """Answer each request by a function of it; an ``Answerer``.

    Attributes:
      name: of the baseline.
      reply: returns the answer of a request. To ``Choices`` it is one of the texts or several of
        them, which get log-probability 0, all others ``UNCHOSEN``; to ``Picture`` it is a medium.
    """

    name: str
    reply: Callable[[Request], str | tuple[str, ...] | Media]

    @property
    def identity(self) -> Mapping[str, Any]:
        """The name: a baseline depends on the requests alone."""
        return {"baseline": self.name}

    def answer(self, requests: Sequence[Request], done: set[str]) -> Iterator[list[Reply]]:
        """Yield the replies to all requests whose key is not in ``done``.

        Raises:
          ValueError: the answer is none of the choices, or no medium where one is asked for.
        """
        yield [
            _as_reply(request, self.reply(request), self.name)
            for request in requests
            if request.key not in done
        ]


def oracle(gold: Callable[[Request], str | Media]) -> Fixed:
    """Return the baseline that gives the right answer, which ``gold`` knows."""
    return Fixed("oracle", gold)


def random_choice(candidates: Callable[[Request], Sequence[str | Media]], seed: int = 0) -> Fixed:
    """Return the baseline that draws one of the candidates of a request uniformly.

    What it draws depends on the seed and the key of the request alone, not on the order.
    """

    def reply(request: Request) -> str:
        return random.Random(f"{seed}:{request.key}").choice(list(candidates(request)))

    return Fixed("random", reply)


def majority(
    answers: Iterable[tuple[Hashable, str]], group: Callable[[Request], Hashable]
) -> Fixed:
    """Return the baseline that gives the most frequent answer of the request's group.

    Ties go to the first in the order of the alphabet. To ``Choices`` it gives the one that is the
    most frequent answer among them. A group without answers takes those of all groups.

    Args:
      answers: group and answer of each training example.
      group: of a request.

    Raises:
      ValueError: there is no answer.
    """
    counts: dict[Hashable, Counter] = {}
    everything: Counter = Counter()
    for name, text in answers:
        counts.setdefault(name, Counter())[text] += 1
        everything[text] += 1
    if not everything:
        raise ValueError("majority: no answers to count; pass those of the training split")

    def reply(request: Request) -> str:
        counted = counts.get(group(request), everything)
        offered = request.ask.texts if isinstance(request.ask, Choices) else counted
        return min(offered, key=lambda text: (-counted[text], text))

    return Fixed("majority", reply)


@dataclass(frozen=True)
class Blind:
    """Ask another answerer without showing it any media; an ``Answerer``."""

    inner: Answerer

    @property
    def identity(self) -> Mapping[str, Any]:
        """Of the inner answerer, marked as blind."""
        return {"baseline": "blind", "of": dict(self.inner.identity)}

    def answer(self, requests: Sequence[Request], done: set[str]) -> Iterator[list[Reply]]:
        """Yield what the inner answerer yields to the conversations without their media."""
        yield from self.inner.answer([_without_media(request) for request in requests], done)


@dataclass(frozen=True)
class Replaced:
    """Show another answerer other media than those of the requests; an ``Answerer``.

    Attributes:
      shown: returns what takes the place of a medium of a request.
      name: says in ``identity`` what is shown instead.
    """

    inner: Answerer
    shown: Callable[[Request, Media], Media]
    name: str

    @property
    def identity(self) -> Mapping[str, Any]:
        """Of the inner answerer, with the name of what it is shown."""
        return {"baseline": self.name, "of": dict(self.inner.identity)}

    def answer(self, requests: Sequence[Request], done: set[str]) -> Iterator[list[Reply]]:
        """Yield what the inner answerer yields to the conversations with other media."""
        yield from self.inner.answer([self._replaced(request) for request in requests], done)

    def _replaced(self, request: Request) -> Request:
        def part_of(part: str | Media) -> str | Media:
            return self.shown(request, part) if isinstance(part, Media) else part

        return _with_turns(request, lambda turn: tuple(map(part_of, turn.parts)))


def _without_media(request: Request) -> Request:
    return _with_turns(request, lambda turn: (turn.text,))


def _with_turns(request: Request, parts: Callable[[Turn], tuple[Part, ...]]) -> Request:
    """Return a request in all of whose turns stand other parts."""

    def changed(turns: Sequence[Turn]) -> tuple[Turn, ...]:
        return tuple(replace(turn, parts=parts(turn)) for turn in turns)

    ask = request.ask
    if isinstance(ask, Picture):
        ask = replace(ask, other=changed(ask.other))
    return replace(request, turns=changed(request.turns), ask=ask)


def _as_reply(request: Request, answer: str | tuple[str, ...] | Media, name: str) -> Reply:
    if isinstance(request.ask, Picture) != isinstance(answer, Media):
        wanted = "a medium" if isinstance(request.ask, Picture) else "a text"
        raise ValueError(
            f"request {request.key}: {name} answers with {type(answer).__name__}, expected {wanted}"
        )
    if isinstance(answer, Media):
        return Reply(request.key, media=answer)
    if not isinstance(request.ask, Choices):
        return Reply(request.key, text=answer)
    chosen, texts = (answer,) if isinstance(answer, str) else answer, request.ask.texts
    if not chosen or not {*chosen} <= {*texts}:
        raise ValueError(
            f"request {request.key}: {name} answers {answer!r}, expected one of {texts}"
        )
    logprobs = tuple(0.0 if text in chosen else UNCHOSEN for text in texts)
    return Reply(request.key, logprobs=logprobs, tokens=(1,) * len(texts))
