"""What is asked of a model and what it answers: the contract between benchmarks and answerers."""

import hashlib
import json
import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from mllm.data.conversation import Media, Turn
from mllm.evaluation.inspection import Inspection
from mllm.evaluation.review import Review

STATES = ("valid", "refusal", "invalid", "error")


@dataclass(frozen=True)
class Choices:
    """Ask for the log-probability of each of several continuations.

    Attributes:
      texts: the continuations, each as an assistant would say it.
      ended: whether the end token belongs to a continuation.
      by_token: whether a model of this codebase also tells of each token what
        ``ops.losses.token_measures`` does: ``Reply.extra["by_token"]`` holds, for each text, a list
        of these four numbers for each token. Other answerers ignore it.

    Raises:
      ValueError: there are no texts.
    """

    texts: tuple[str, ...]
    ended: bool = True
    by_token: bool = False

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
      top_k, top_p: sampled tokens are among this many of the likeliest, 0 for all, and among the
        likeliest that hold this probability together, 1 for all.

    Raises:
      ValueError: ``limit`` is below 1, an option of sampling is out of its range, or a text of
        ``stop`` is empty.
    """

    limit: int
    temperature: float = 0.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    echo: int | None = None
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self):
        if self.limit < 1:
            raise ValueError(f"limit: expected 1 token or more, found {self.limit}")
        _check_sampling(self)
        if isinstance(self.stop, str) or not all(self.stop):
            raise ValueError(f"stop: expected a tuple of texts, none empty, found {self.stop!r}")


@dataclass(frozen=True)
class Picture:
    """Ask for a picture, drawn by the model itself.

    Attributes:
      temperature: 0 takes the likeliest code each time; above 0 codes are sampled with ``seed``.
      top_k, top_p: see ``Text``.
      words: what the model says before the picture.
      guidance: g of classifier-free guidance, ``u + g (c - u)``, where c are the logits after the
        prompt and u those after ``other``; 0 and 1 leave c as it is.
      contrast: a of contrastive guidance, ``(1 + a) c - a u``; 0 leaves c as it is.
      other: the conversation that the picture is pushed away from, such as the prompt without its
        examples or without its question.

    Raises:
      ValueError: an option is out of its range, both kinds of guidance are asked for, or
        ``other`` is missing.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    words: str = ""
    guidance: float = 0.0
    contrast: float = 0.0
    other: tuple[Turn, ...] = ()

    def __post_init__(self):
        _check_sampling(self)
        for name in ("guidance", "contrast"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name}: expected 0 or more, found {getattr(self, name)}")
        if self.contrast and self.guidance not in (0, 1):
            raise ValueError(
                f"guidance {self.guidance} and contrast {self.contrast}: expected one of them"
            )
        if self.strength and not self.other:
            raise ValueError("other: expected the conversation to be pushed away from, found none")

    @property
    def strength(self) -> float:
        """s of ``c + s (c - u)``, which is what either guidance comes to."""
        return self.contrast if self.guidance in (0, 1) else self.guidance - 1


def _check_sampling(ask: Text | Picture) -> None:
    if not 0 <= ask.temperature < math.inf:
        raise ValueError(f"temperature: expected 0 or more, found {ask.temperature}")
    if ask.top_k < 0:
        raise ValueError(f"top_k: expected 0 or more, found {ask.top_k}")
    if not 0 < ask.top_p <= 1:
        raise ValueError(f"top_p: expected more than 0 and at most 1, found {ask.top_p}")


Ask = Choices | Text | Picture


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
    ask: Ask
    model: str = "subject"


@dataclass(frozen=True)
class Reply:
    """What a model answered to one request.

    Attributes:
      key: of the request.
      text: the reply without special tokens, white space as generated; None where
        log-probabilities or a picture were asked for.
      ended: whether the reply came to its own end, not to the limit.
      logprobs: summed log-probability of each choice, in nats; None where a reply was asked for
        or the model gave no finite numbers (state "error").
      tokens: number of tokens of each choice.
      state: "valid", "error", or "refusal" where a service itself says that it declines; a
        benchmark that reads a valid reply may find a refusal or no answer.
      extra: what an answerer records besides (token counts, seconds, finish reason, the codes of
        a picture); "again" is True where a service failed and may answer another time.
      media: the picture that was asked for: an image, or codes of a model that cannot draw them.
    """

    key: str
    text: str | None = None
    ended: bool = True
    logprobs: tuple[float, ...] | None = None
    tokens: tuple[int, ...] | None = None
    state: str = "valid"
    extra: Mapping[str, Any] = field(default_factory=dict)
    media: Media | None = None


def described(ask: Ask) -> dict[str, Any]:
    """Return what is asked as JSON values, media as their digests, for keys and files.

    Options that asks did not always have are left out where they change nothing, so that keys and
    files of earlier versions stay what they are.
    """
    if isinstance(ask, Picture):
        return {**vars(ask), "other": [readable(turn) for turn in ask.other]}
    values = asdict(ask)
    later = {"top_k": 0, "top_p": 1.0, "by_token": False}
    return {name: value for name, value in values.items() if value != later.get(name, ...)}


def readable(turn: Turn) -> dict[str, Any]:
    """Return a turn as JSON values, media as their digests."""
    shown = [{part.kind: part.digest} if isinstance(part, Media) else part for part in turn.parts]
    return {"role": turn.role, "parts": shown}


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
      inspections: what else is measured of a model of this codebase.
      reviews: what else is made of the records, whatever answered.
    """

    rounds: Rounds
    conditions: Mapping[str, Any]
    records: Callable[[Sequence[Answered]], list[dict]]
    scoring: Mapping[str, Any] = field(default_factory=dict)
    refuse_long: bool = True
    notes: Sequence[str] = ()
    inspections: Sequence[Inspection] = ()
    reviews: Sequence[Review] = ()


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
