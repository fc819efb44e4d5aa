"""What is asked of a model and what it answers: the contract between benchmarks and answerers."""

import hashlib
import json
import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from mllm.data.conversation import Media, Turn

STATES = ("valid", "refusal", "invalid", "error")


@dataclass(frozen=True)
class Choices:
    """Ask for the log-probability of each of several continuations.

    Attributes:
      texts: the continuations, each as an assistant would say it.
      ended: whether the end token belongs to a continuation.

    Raises:
      ValueError: there are no texts.
    """

    texts: tuple[str, ...]
    ended: bool = True

    def __post_init__(self):
        if not self.texts:
            raise ValueError("choices: expected at least one text, found none")


@dataclass(frozen=True)
class Text:
    """Ask for a reply.

    Attributes:
      limit: the most tokens of the reply.
      temperature: 0 decodes greedily; above 0 the reply is sampled with ``seed``.
      stop: texts, or names of special tokens, at which a reply ends; the reply does not hold them.
      echo: for protocols that read an answer out of prompt and reply decoded as one text: the
        number of tokens left out at the start of that text, which is then ``Reply.extra["echo"]``.
        None asks for no such text; an answerer that has no tokens cannot give one.

    Raises:
      ValueError: ``limit`` is below 1, ``temperature`` is negative or infinite, or a text of
        ``stop`` is empty.
    """

    limit: int
    temperature: float = 0.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    echo: int | None = None

    def __post_init__(self):
        if self.limit < 1:
            raise ValueError(f"limit: expected 1 token or more, found {self.limit}")
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"temperature: expected 0 or more, found {self.temperature}")
        if isinstance(self.stop, str) or not all(self.stop):
            raise ValueError(f"stop: expected a tuple of texts, none empty, found {self.stop!r}")


@dataclass(frozen=True)
class Request:
    """One question to one model.

    Attributes:
      key: names the request in its benchmark; replies on disk are found by it, so it follows from
        the content (``content_key``).
      cluster: what the question is a sample of; intervals resample clusters.
      tags: the request's value on each axis of the results, and whatever else scores read.
      turns: the conversation that the reply continues.
      ask: what is wanted.
      model: which of several models answers: "subject" is the one that is evaluated; a benchmark
        may also ask, for example, a "judge".
    """

    key: str
    cluster: str
    tags: Mapping[str, Any]
    turns: tuple[Turn, ...]
    ask: Choices | Text
    model: str = "subject"


@dataclass(frozen=True)
class Reply:
    """What a model answered to one request.

    Attributes:
      key: of the request.
      text: the reply without special tokens, white space as generated; None where
        log-probabilities were asked for.
      ended: whether the reply came to its own end, not to the limit.
      logprobs: summed log-probability of each choice, in nats; None where a reply was asked for
        or the model gave no finite numbers (state "error").
      tokens: number of tokens of each choice.
      state: "valid", "error", or "refusal" where a service itself says that it declines; a
        benchmark that reads a valid reply may find a refusal or no answer.
      extra: what an answerer records besides (token counts, seconds, finish reason); "again" is
        True where a service failed and may answer another time.
    """

    key: str
    text: str | None = None
    ended: bool = True
    logprobs: tuple[float, ...] | None = None
    tokens: tuple[int, ...] | None = None
    state: str = "valid"
    extra: Mapping[str, Any] = field(default_factory=dict)


def content_key(*content: Any, turns: Sequence[Turn] = ()) -> str:
    """Return 24 hex digits that name JSON values and conversations by their content."""
    said = [
        [turn.role, [part.digest if isinstance(part, Media) else [part] for part in turn.parts]]
        for turn in turns
    ]
    text = json.dumps([content, said], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


class Answerer(Protocol):
    """Anything that answers requests: a model of this codebase, an endpoint, a baseline."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """JSON values that must be equal for stored replies to be used again."""
        ...

    def answer(self, requests: Sequence[Request], done: set[str]) -> Iterator[list[Reply]]:
        """Yield the replies to all requests whose key is not in ``done``, some at a time.

        ``requests`` holds the answered ones too, so that a resumed run computes in the shapes of an
        uninterrupted one.
        """
        ...


Rounds = Generator[list[Request], list[Reply], None]
Answered = tuple[Request, Reply]


@dataclass(frozen=True)
class Questions:
    """What a protocol asks of one model, and what it makes of the replies.

    Attributes:
      rounds: lists of requests; each may follow from the replies to those before it.
      conditions: JSON values that must be equal for stored replies to be used again.
      records: makes of the requests with their replies the rows that are scored, one per question.
      scoring: JSON values that ``records`` and scores depend on besides the replies.
      refuse_long: whether a conversation that exceeds a model's positions is an error; otherwise it
        is run beyond them.
      notes: lines for whoever runs the evaluation, such as which questions are left out.
    """

    rounds: Rounds
    conditions: Mapping[str, Any]
    records: Callable[[Sequence[Answered]], list[dict]]
    scoring: Mapping[str, Any] = field(default_factory=dict)
    refuse_long: bool = True
    notes: Sequence[str] = ()


class Benchmark(Protocol):
    """What a benchmark offers to studies, evaluation and reporting; its folder implements it."""

    @property
    def fingerprint(self) -> str:
        """sha256 over the content of its data."""
        ...

    @property
    def info(self) -> Mapping[str, Any]:
        """Licences, citation and versions."""
        ...

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes of its scores, in the order of results.json."""
        ...

    def examples(self, split: str) -> Sequence:
        """Return the examples of a split; they are read when they are asked for."""
        ...
