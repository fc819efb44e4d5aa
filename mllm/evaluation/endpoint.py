"""Models that are asked over HTTP, in the format of OpenAI's chat completions."""

import base64
import os
import string
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mllm.data.conversation import Media, Turn, user
from mllm.evaluation.answer_cache import AnswerCache
from mllm.evaluation.parsing import parse_choice
from mllm.evaluation.request import Choices, Picture, Reply, Request, Text, content_key
from mllm.evaluation.web import CallFailed, JsonService, Patience
from mllm.registry import lookup

LETTERED = "Answer with the option's letter from the given choices directly."
LETTER_LIMIT = 16  # tokens of a reply that should be a letter
# Ways to ask for the log-probabilities of choices, which an endpoint does not give.
CHOICE_WAYS = {
    "letters": "list the texts as lettered options and read the letter of the reply",
    "refuse": "call nobody; every such reply is in state error",
}
_FILTERED = ("content_filter", "content_policy_violation")
_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
}


@dataclass(frozen=True)
class EndpointConfig:
    """Say which model to ask, where and how.

    Attributes:
      url: the address up to the version, for example "https://api.openai.com/v1".
      model: its name there.
      key_variable: the environment variable that holds the key; "" where none is needed.
      concurrency: the most calls at once.
      patience: timeouts and retries of a call.
      limit_name: what the service calls the most tokens of a reply; newer models of OpenAI want
        "max_completion_tokens".
      parameters: further fields of a call; a field of ours that is None here is left out.
      prompt_price, completion_price: of a million tokens, in any currency.
      choices: how log-probabilities of choices are asked for, one of ``CHOICE_WAYS``.
    """

    url: str
    model: str
    key_variable: str = "OPENAI_API_KEY"
    concurrency: int = 4
    patience: Patience = field(default_factory=Patience)
    limit_name: str = "max_tokens"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    prompt_price: float = 0.0
    completion_price: float = 0.0
    choices: str = "letters"


@dataclass
class Spent:
    """What the calls of this session came to; answers from the cache cost nothing."""

    calls: int = 0
    errors: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0


class Endpoint:
    """Answer requests by an HTTP endpoint; an ``Answerer``.

    Every answer is kept in ``cache`` by its content: address, model, parameters and conversation. A
    question that was answered there is not asked again. A call that fails for good gives a reply in
    state "error" with the reason in ``extra["reason"]`` and ``extra["again"]`` True: the next
    session asks it again.

    A ``Choices`` request is put as lettered options under the last turn (unless its texts are the
    letters themselves, which the conversation then explains). Its reply has the text, ``logprobs``
    None and ``extra["chosen"]``, the number of the chosen option or None: endpoints in general give
    no log-probabilities, and none is made up. ``EndpointConfig.choices="refuse"`` asks nothing.

    ``extra`` of a reply: prompt_tokens, completion_tokens (None where the service does not count),
    cost, seconds, finish_reason, and ``served``, the model that the service says it ran, where it
    does: an alias stands for another version one day.

    Args:
      config: which model, where and how.
      cache: the file of answers.
      replay: answer from the cache only; errors of the last session are replayed as errors.
      sleep: waits for a number of seconds; a test passes its own.

    Raises:
      ValueError: the variable of the key is not set, or a value of ``config`` does not fit.
    """

    def __init__(
        self,
        config: EndpointConfig,
        cache: Path,
        *,
        replay: bool = False,
        sleep: Callable[[float], object] | None = None,
    ):
        lookup(CHOICE_WAYS, config.choices, "way to ask for choices")
        if config.concurrency < 1:
            raise ValueError(f"concurrency is {config.concurrency}, expected at least 1")
        self._config, self._replay = config, replay
        self._cache = AnswerCache(cache)
        self._lock = threading.Lock()
        self.spent = Spent()
        self._service: JsonService | None = None
        if not replay:
            self._service = JsonService(
                f"{config.url.rstrip('/')}/chat/completions",
                key=_key(config.key_variable),
                patience=config.patience,
                connections=config.concurrency,
                sleep=sleep,
            )

    @property
    def identity(self) -> Mapping[str, Any]:
        """What a reply depends on: address, model and parameters."""
        c = self._config
        return {
            "endpoint": c.url,
            "model": c.model,
            "limit_name": c.limit_name,
            "parameters": dict(c.parameters),
            "choices": c.choices,
        }

    def answer(self, requests: Sequence[Request], done: set[str]) -> Iterator[list[Reply]]:
        """Yield the replies to all requests whose key is not in ``done``, in their order.

        Raises:
          ValueError: a conversation that an endpoint cannot be sent; with ``replay``, a request
            that the cache does not hold. The message names the request; no call was made.
        """
        same: dict[str, list[Request]] = {}
        for request in requests:
            if request.key not in done:
                same.setdefault(self._content(request), []).append(request)
        if self._service is not None:
            self._service.resume()
        with ThreadPoolExecutor(self._config.concurrency) as pool:
            asked = [pool.submit(self._ask, key, group[0]) for key, group in same.items()]
            try:
                for future, group in zip(asked, same.values(), strict=True):
                    reply = future.result()
                    yield [replace(reply, key=request.key) for request in group]
            finally:  # nobody waits any more, possibly because a person wants to stop
                for future in asked:
                    future.cancel()
                if self._service is not None:
                    self._service.stop()

    def _content(self, request: Request) -> str:
        """Return the key of the request in the cache, after a check that it can be asked."""
        for turn in request.turns:
            if turn.role == "raw":
                raise ValueError(
                    f"request {request.key}: an endpoint takes no raw prompt; ask by turns"
                )
            for media in turn.media:
                _media_type(media, request.key)
        if isinstance(request.ask, Picture):
            raise ValueError(
                f"request {request.key}: an endpoint draws no pictures; ask a model of a family "
                "that does"
            )
        if isinstance(request.ask, Choices) and len(request.ask.texts) > len(_LETTERS):
            raise ValueError(
                f"request {request.key}: {len(request.ask.texts)} choices, "
                f"expected at most {len(_LETTERS)}"
            )
        if isinstance(request.ask, Text) and request.ask.echo is not None:
            raise ValueError(
                f"request {request.key}: an endpoint has no tokens and cannot echo the prompt; "
                "evaluate this protocol with a model of this codebase"
            )
        turns, parameters = self._asked(request)
        key = content_key(self._config.url, self._config.model, parameters, turns=turns)
        if self._replay and not self._refused(request) and self._cache.get(key) is None:
            raise ValueError(
                f"request {request.key}: {self._cache.path} holds no answer of "
                f"{self._config.model} to it (content {key}); ask the endpoint first"
            )
        return key

    def _asked(self, request: Request) -> tuple[tuple[Turn, ...], dict[str, Any]]:
        """Return the conversation that is sent, and the other fields of the call."""
        ask, turns = request.ask, request.turns
        if isinstance(ask, Choices):
            turns, ask = _lettered(turns, ask), Text(LETTER_LIMIT)
        fields = {self._config.limit_name: ask.limit, "temperature": ask.temperature}
        if ask.temperature > 0:
            fields["seed"] = ask.seed
        if ask.stop:
            fields["stop"] = list(ask.stop)
        fields |= self._config.parameters
        return turns, {name: value for name, value in fields.items() if value is not None}

    def _refused(self, request: Request) -> bool:
        return isinstance(request.ask, Choices) and self._config.choices == "refuse"

    def _ask(self, key: str, request: Request) -> Reply:
        if self._refused(request):
            reason = (
                "an endpoint gives no log-probabilities of choices; ask for a text, "
                "or set choices to 'letters'"
            )
            return Reply(request.key, state="error", extra={"reason": reason})
        record = self._cache.get(key)
        if record is None or (record["state"] == "error" and not self._replay):
            record = self._call(key, request)
            self._cache.put(record)
        return self._reply(record, request)

    def _call(self, key: str, request: Request) -> dict[str, Any]:
        turns, parameters = self._asked(request)
        body = {"model": self._config.model, "messages": list(map(_message, turns)), **parameters}
        record = {"key": key, "model": self._config.model}
        begin = time.monotonic()
        try:
            record |= self._service.post(body, _answer)
        except CallFailed as failure:
            state = "refusal" if failure.code in _FILTERED else "error"
            record |= {"text": "", "ended": True, "state": state, "reason": str(failure)}
        record["seconds"] = round(time.monotonic() - begin, 3)
        with self._lock:
            self.spent.calls += 1
            self.spent.errors += record["state"] == "error"
            self.spent.prompt_tokens += record.get("prompt_tokens") or 0
            self.spent.completion_tokens += record.get("completion_tokens") or 0
            self.spent.cost += self._cost(record)
        return record

    def _cost(self, record: Mapping[str, Any]) -> float:
        prompt = (record.get("prompt_tokens") or 0) * self._config.prompt_price
        completion = (record.get("completion_tokens") or 0) * self._config.completion_price
        return (prompt + completion) / 1e6

    def _reply(self, record: Mapping[str, Any], request: Request) -> Reply:
        known = ("key", "model", "text", "ended", "state")
        # Sorted as in the cache, so that a replayed run writes the same bytes.
        extra = {name: record[name] for name in sorted(set(record) - set(known))}
        extra["cost"] = self._cost(record)
        if record["state"] == "error":
            return Reply(request.key, state="error", extra={**extra, "again": True})
        if isinstance(request.ask, Choices):
            options = dict(zip(_LETTERS, map(str.strip, request.ask.texts), strict=False))
            letter = parse_choice(record["text"], options)
            extra["chosen"] = None if letter is None else _LETTERS.index(letter)
        return Reply(
            request.key,
            text=record["text"],
            ended=record["ended"],
            state=record["state"],
            extra=extra,
        )


_LETTERS = string.ascii_uppercase


def _key(variable: str) -> str:
    if not variable:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ValueError(
            f"the environment variable {variable} is not set: put the key of the endpoint there, "
            "name another in key_variable, or set that to '' where no key is needed"
        )
    return key


def _lettered(turns: tuple[Turn, ...], ask: Choices) -> tuple[Turn, ...]:
    texts = [text.strip() for text in ask.texts]
    if texts == list(_LETTERS[: len(texts)]):
        return turns
    options = [f"{letter}. {text}" for letter, text in zip(_LETTERS, texts, strict=False)]
    listed = "\n".join([*options, LETTERED])
    if turns and turns[-1].role == "user":
        return (*turns[:-1], user(*turns[-1].parts, f"\n{listed}"))
    return (*turns, user(listed))


def _message(turn: Turn) -> dict[str, Any]:
    """Return a turn as a message; media stand where they stand in the turn."""
    if not turn.media:
        return {"role": turn.role, "content": turn.text}
    content = []
    for part in turn.parts:
        if isinstance(part, Media):
            data = base64.b64encode(part.data).decode("ascii")
            url = f"data:{_media_type(part, '')};base64,{data}"
            content.append({"type": "image_url", "image_url": {"url": url}})
        elif part:
            content.append({"type": "text", "text": part})
    return {"role": turn.role, "content": content}


def _media_type(media: Media, key: str) -> str:
    if media.kind == "image":
        for signature, name in _SIGNATURES.items():
            if media.data.startswith(signature):
                return name
    raise ValueError(
        f"request {key}: an endpoint takes PNG, JPEG, GIF and WebP pictures, found "
        f"{media.kind} that begins with {media.data[:8]!r}"
    )


def _answer(value: dict) -> dict[str, Any]:
    """Read a chat completion.

    Raises:
      ValueError: it is not one.
    """
    try:
        choice = value["choices"][0]
        message, reason = choice["message"], choice.get("finish_reason")
        text, refusal = message.get("content"), message.get("refusal")
        usage = value.get("usage") or {}
        counts = {name: usage.get(name) for name in ("prompt_tokens", "completion_tokens")}
        served = {"served": value["model"]} if isinstance(value.get("model"), str) else {}
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"no chat completion ({type(error).__name__}: {error})") from None
    if isinstance(text, list):  # some services give parts
        text = "".join(part.get("text") or "" for part in text if isinstance(part, dict))
    if not isinstance(text, str | None) or not isinstance(refusal, str | None):
        raise ValueError(f"content is {type(text).__name__}, expected text")
    refused = bool(refusal) or reason in _FILTERED
    return {
        "text": text or refusal or "",
        "ended": reason != "length",
        "state": "refusal" if refused else "valid",
        "finish_reason": reason,
        **served,
        **{name: count if isinstance(count, int) else None for name, count in counts.items()},
    }
