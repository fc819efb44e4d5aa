"""One model of this codebase as an answerer: it asks in batches and computes once what prompts
share.

A family's root is read once; then, group by group, the media of its units; then, kind by kind,
their prompts (``mllm.evaluation.tree``). A prompt with one ask is read in the same program as its
ask. A prompt with several is read once, and they branch from it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from mllm.checkpoints.loaded import Loaded
from mllm.data import conversation
from mllm.data.chat_template import SWITCH
from mllm.data.conversation import Turn
from mllm.data.encoded import Encoded, require_fit
from mllm.data.packing import round_up
from mllm.data.processor import Processor
from mllm.decoding.prefix import Prefix
from mllm.evaluation.branching import Part, fill_rows, read_level, reply, score
from mllm.evaluation.codec import Codec, codec_of
from mllm.evaluation.drawing import Drawer, drawn_prompts, in_codes
from mllm.evaluation.groups import group_size, in_groups
from mllm.evaluation.request import Choices, Picture, Reply, Request, Text
from mllm.evaluation.tree import Asked, Family, Prompt, Unit, grow


@dataclass(frozen=True)
class LocalModel:
    """An answerer over a loaded model.

    Attributes:
      loaded: the model. Its system prompt goes before every conversation.
      weights: names the form of the weights in ``identity``, "" for the weights as saved.
      rows: questions that are run together, 0 for as many as memory holds; changes no reply.
      refuse_long: whether a conversation that exceeds the model's positions is an error; otherwise
        it is run beyond them.
    """

    loaded: Loaded
    weights: str = ""
    rows: int = 0
    refuse_long: bool = True

    @cached_property
    def codec(self) -> Codec | None:
        """Makes codes of images and images of codes; None if the model reads images themselves."""
        return codec_of(self.loaded)

    @property
    def identity(self) -> Mapping[str, str | None]:
        """What replies depend on besides the requests."""
        kv = self.loaded.config.decoder.kv_form
        return {
            "weights": self.weights,
            **({"kv": kv} if kv else {}),
            "processor": self.loaded.processor.digest,
            "system_prompt": self.loaded.system_prompt,
        }

    def answer(self, requests: Sequence[Request], done: set[str]) -> Iterator[list[Reply]]:
        """Yield the replies to all requests whose key is not in ``done``, some at a time.

        Groups are formed of all requests, so that a resumed run computes in the same shapes, and to
        the same bits, as an uninterrupted one.

        Raises:
          ValueError: a conversation cannot be encoded or does not fit; nothing is asked then.
        """
        requests = in_codes(requests, self.codec)
        written = self._prompts([one for one in requests if not isinstance(one.ask, Picture)])
        encode = _Encoder(self.loaded).drawing
        drawn = drawn_prompts(requests, self.loaded, encode, self.refuse_long)
        for family in grow(written):
            if any(not unit.keys <= done for unit in family.units):
                yield from _Asker(self, family, done).replies()
        for family in grow(drawn):
            if any(not unit.keys <= done for unit in family.units):
                yield from Drawer(self.loaded, self.codec, family, done, self.rows).replies()

    def _prompts(self, requests: Sequence[Request]) -> list[Prompt]:
        """Return the distinct prompts of requests with everything that is asked of each."""
        encoder = _Encoder(self.loaded)
        encoded: dict[tuple[int, ...], Encoded] = {}
        asks: dict[tuple[int, ...], dict[Choices | Text, Asked]] = {}
        limit = self.loaded.config.decoder.max_positions
        for request in requests:
            where = f"{request.cluster}, request {request.key}"
            prompt = encoder.prompt(request.turns, where)
            encoded.setdefault(prompt.content, prompt)
            known = asks.setdefault(prompt.content, {})
            found = known.get(request.ask)
            if found is None:
                found = Asked(request.ask, (), encoder.choices(request, where))
                if self.refuse_long:
                    require_fit(prompt, limit, where, reply=found.room)
            known[request.ask] = Asked(request.ask, (*found.keys, request.key), found.choices)
        return [
            Prompt(prompt, tuple(sorted(asks[content].values(), key=lambda a: a.signature)))
            for content, prompt in encoded.items()
        ]


class _Encoder:
    """Ids of prompts and choices, each encoded once."""

    def __init__(self, loaded: Loaded):
        self.processor, self.system = loaded.processor, loaded.system_prompt
        self._prompts: dict[tuple[Turn, ...], Encoded] = {}
        self._answers: dict[tuple[str, bool], tuple[int, ...]] = {}

    def prompt(self, turns: tuple[Turn, ...], where: str) -> Encoded:
        """Return the conversation up to the place where the reply begins.

        Raises:
          ValueError: it cannot be encoded, or ends with a medium.
        """
        if turns not in self._prompts:
            whole = with_system(turns, self.system)
            encoded = self.processor.encode(whole, generate=True, where=where)
            if self.system and not self._prompts:
                self._require_effect(turns, encoded, where)
            if encoded.content[-1] < 0:
                raise ValueError(f"{where}: ends with a medium; put text after it")
            self._prompts[turns] = encoded
        return self._prompts[turns]

    def _require_effect(self, turns: tuple[Turn, ...], encoded: Encoded, where: str) -> None:
        """Raise ValueError if the chat format leaves the system prompt out."""
        try:
            without = self.processor.encode(turns, generate=True, where=where)
        except ValueError:  # the template asks for a system turn
            return
        if without.ids == encoded.ids:
            raise ValueError(
                f"{where}: the chat template writes no system turns, so the system prompt "
                f"{self.system!r} changes nothing; {SWITCH}"
            )

    def drawing(self, turns: tuple[Turn, ...], words: str, where: str) -> Encoded:
        """Return the conversation up to the place where a picture begins; see ``prompt``."""
        return self.processor.drawing(with_system(turns, self.system), words, where)

    def choices(self, request: Request, where: str) -> tuple[tuple[int, ...], ...]:
        """Return the ids of each choice of a request, none where a reply is asked for.

        Raises:
          ValueError: a choice has no token.
        """
        if isinstance(request.ask, Text):
            return ()
        found = tuple(self._choice(request, text, where) for text in request.ask.texts)
        if not all(found):
            texts = list(request.ask.texts)
            raise ValueError(f"{where}: choices {texts!r}: each must have at least one token")
        return found

    def _choice(self, request: Request, text: str, where: str) -> tuple[int, ...]:
        ended = request.ask.ended
        if request.turns[0].role == "raw":  # the text before it decides how it is cut into tokens
            whole = *with_system(request.turns, self.system), conversation.assistant(text)
            encoded = self.processor.encode(whole, ended=ended, where=where)
            return encoded.ids[encoded.supervised[-1][0] :] if encoded.supervised else ()
        if (text, ended) not in self._answers:
            self._answers[text, ended] = tuple(self.processor.answer(text, ended=ended))
        return self._answers[text, ended]


def with_system(turns: tuple[Turn, ...], system: str | None) -> tuple[Turn, ...]:
    """Return the conversation with a system prompt before everything else."""
    if not system:
        return turns
    first, *rest = turns
    if first.role == "raw":
        return replace(first, parts=(f"{system} ", *first.parts)), *rest
    if first.role == "system":
        return Turn("system", (f"{system}\n", *first.parts)), *rest
    return conversation.system(system), *turns


class _Asker:
    """Asks one family: its root, then groups of units or of prompts without media."""

    def __init__(self, model: LocalModel, family: Family, done: set[str]):
        self.loaded, self.rows = model.loaded, model.rows
        self.family, self.done = family, done
        self.root: Prefix | None = None

    def replies(self) -> Iterator[list[Reply]]:
        """Yield the missing replies, for one ask of one kind of prompts in a group at a time."""
        if self.family.root:
            part = Part(self.family.units[0].first.encoded, 0, self.family.root)
            self.root = read_level(self.loaded, [part])
        for units in self.family.shown:
            yield from in_groups(units, self._units_at_once(units), partial(self._units, units))
        for prompts in self.family.plain:
            slots = max(map(_slots, prompts)) - self.family.root
            size = self.rows or group_size(self.loaded, slots)
            yield from in_groups(prompts, size, partial(self._plain, prompts))

    def _units_at_once(self, units: Sequence[Unit]) -> int:
        rows = max(unit.rows for unit in units)
        if self.rows:
            return max(1, self.rows // rows)
        shared = max(unit.end for unit in units) - self.family.root
        own = max(_slots(prompt) - unit.end for unit in units for prompt in unit.prompts)
        return group_size(self.loaded, shared + rows * own, rows)

    def _units(self, like: Sequence[Unit], group: Sequence[Unit], size: int) -> Iterator[list]:
        """Read the media of a group of units, then ask their prompts."""
        if all(unit.keys <= self.done for unit in group):
            return
        root = self.family.root
        units = [*group, *[group[-1]] * (self._filled(size) - len(group))]
        parts = [Part(unit.first.encoded, root, unit.end) for unit in units]
        most = max(unit.end for unit in like) - root
        prefix = read_level(self.loaded, parts, self.root, most=most)
        for kind in sorted({prompt.kind for unit in group for prompt in unit.prompts}):
            prompts = [unit.of(kind) for unit in group]
            rows = max(len(unit.of(kind)) for unit in like)
            kin = [prompt for unit in like for prompt in unit.of(kind)]
            yield from self._ask(kin, prompts, prefix.lengths.shape[0], rows, prefix)

    def _plain(self, like: Sequence[Prompt], group: Sequence[Prompt], size: int) -> Iterator[list]:
        """Ask a group of prompts without media."""
        prompts = [[prompt] for prompt in group]
        yield from self._ask(like, prompts, self._filled(size), 1, self.root)

    def _filled(self, size: int) -> int:
        """Return the size with which rows continue the nodes of the root evenly."""
        return size if self.root is None else round_up(size, self.root.lengths.shape[0])

    def _ask(
        self,
        kin: Sequence[Prompt],
        units: Sequence[Sequence[Prompt]],
        size: int,
        rows: int,
        prefix: Prefix | None,
    ) -> Iterator[list[Reply]]:
        """Ask prompts of one kind, which continue the nodes of the prefix unit by unit.

        Args:
          kin: all prompts of the kind, those of other groups too.
          rows: of a unit.
        """
        if all(prompt.keys <= self.done for unit in units for prompt in unit):
            return
        prompts, read = fill_rows(units, size, rows)
        parts = [Part(prompt.encoded, self._start(prompt), prompt.length) for prompt in prompts]
        own = [prompt.length - self._start(prompt) for prompt in kin]
        longest, kind = max(own), prompts[0].kind
        if len(kind) > 1 and min(own) > 1:
            # All of a prompt but its last token, with which each of its asks begins.
            begun = [replace(part, end=part.end - 1) for part in parts]
            prefix = read_level(self.loaded, begun, prefix, most=longest - 1)
            parts = [replace(part, start=part.end - 1) for part in parts]
            own, longest = [1] * len(kin), 1
        asked = [part.ids for part in parts]
        for number, signature in enumerate(kind):
            asks = [prompt.asks[number] for prompt in prompts]
            if all(set(asks[row].keys) <= self.done for row in read):
                continue
            if signature[0] == "choices":
                sizes = [prompt.asks[number].size for prompt in kin]
                most = max(map(sum, zip(own, sizes, strict=True))), max(sizes)
                choices = [ask.choices for ask in asks]
                found = score(self.loaded, asked, prefix, choices, most=most)
                replies = [_scored(prompts[row], asks[row], found[row]) for row in read]
            else:
                texts = [ask.ask for ask in asks]
                found = reply(self.loaded, asked, prefix, texts, most=longest)
                processor = self.loaded.processor
                replies = [
                    _replied(prompts[row], asks[row], *found[row], processor) for row in read
                ]
            yield [
                replace(reply, key=key)
                for row, reply in zip(read, replies, strict=True)
                for key in asks[row].keys
                if key not in self.done
            ]

    def _start(self, prompt: Prompt) -> int:
        """Return how many tokens of a prompt are read before it."""
        return max(prompt.media_end, self.family.root)


def _scored(prompt: Prompt, asked: Asked, values: np.ndarray) -> Reply:
    """Return the reply, without its key, of scores float64[S] of a row."""
    values = values[: len(asked.choices)]
    finite = bool(np.isfinite(values).all())
    return Reply(
        key="",
        logprobs=tuple(values.tolist()) if finite else None,
        tokens=tuple(map(len, asked.choices)),
        state="valid" if finite else "error",
        extra=_counts(prompt),
    )


def _replied(
    prompt: Prompt,
    asked: Asked,
    ids: list[int],
    ended: bool,
    finite: bool,
    processor: Processor,
) -> Reply:
    """Return the reply, without its key, of generated ids."""
    decode, stop = processor.tokenizer.decode, (*processor.config.stop, *asked.ask.stop)
    before = processor.until(ids, stop)
    text, stopped = cut_at(decode(before, skip_special_tokens=True), stop)
    stopped = stopped or len(before) < len(ids)
    extra = {**_counts(prompt), "reply_tokens": len(ids)}
    if asked.ask.echo is not None:
        whole = [*prompt.encoded.ids, *ids][asked.ask.echo :]
        extra["echo"] = decode(whole, skip_special_tokens=True)
    return Reply(
        key="",
        text=text,
        ended=ended or stopped,
        state="valid" if finite else "error",
        extra=extra,
    )


def cut_at(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """Return the text before the first of the stop texts, and whether there was one."""
    places = [text.find(mark) for mark in stop if mark in text]
    return (text[: min(places)], True) if places else (text, False)


def _slots(prompt: Prompt) -> int:
    """Return how many slots a prompt and its longest ask take."""
    return prompt.length + max(asked.size for asked in prompt.asks)


def _counts(prompt: Prompt) -> dict[str, int]:
    """Return what a prompt costs."""
    encoded = prompt.encoded
    return {"prompt_tokens": len(encoded.ids), "media_tokens": encoded.media_tokens}
