"""One model of this codebase as an answerer: it asks in batches and computes once what prompts
share.

A family's root is read once; then, group by group, the media of its units; then, kind by kind,
their prompts (``mllm.evaluation.tree``). A prompt is read by the program that scores all its
choices and writes a reply to it. If several replies are asked for, it is read once, and they branch
from it.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

from mllm.checkpoints.loaded import Loaded
from mllm.data import conversation
from mllm.data.chat_template import SWITCH
from mllm.data.conversation import Turn
from mllm.data.encoded import Encoded, require_fit
from mllm.data.packing import round_up
from mllm.decoding.prefix import Prefix
from mllm.evaluation.ahead import Calls, compiled_ahead
from mllm.evaluation.branching import (
    Part,
    fill_rows,
    read_level,
    reply,
    score,
    score_and_reply,
    score_by_token,
)
from mllm.evaluation.codec import Codec, codec_of
from mllm.evaluation.drawing import Drawer, drawn_prompts, in_codes
from mllm.evaluation.groups import group_size, in_groups
from mllm.evaluation.looking import Features, features_of
from mllm.evaluation.replied import measured_reply, scored_reply, text_reply
from mllm.evaluation.request import Choices, Picture, Reply, Request, Text
from mllm.evaluation.tree import (
    Asked,
    Family,
    Prompt,
    Rooms,
    Unit,
    answered_together,
    grow,
)


@dataclass(frozen=True)
class LocalModel:
    """An answerer over a loaded model.

    Attributes:
      loaded: the model. Its system prompt goes before every conversation.
      weights: names the form of the weights in ``identity``, "" for the weights as saved.
      rows: questions that are run together, 0 for as many as memory holds; changes no reply.
      refuse_long: whether a conversation that exceeds the model's positions is an error; otherwise
        it is run beyond them.
      ahead: whether programs are compiled in threads before they are called.
      folder: of the features of pictures, which an instructed model looks at once; None keeps them
        in memory alone.
    """

    loaded: Loaded
    weights: str = ""
    rows: int = 0
    refuse_long: bool = True
    ahead: bool = True
    folder: Path | None = None

    @cached_property
    def codec(self) -> Codec | None:
        """Makes codes of images and images of codes; None if the model reads images themselves."""
        return codec_of(self.loaded)

    @cached_property
    def features(self) -> Features | None:
        """What the encoders make of pictures; None if the model reads them under no instruction."""
        if not self.loaded.processor.config.instructed:
            return None
        return features_of(self.loaded, self.loaded.processor, self.folder)

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
        rooms = Rooms(written)
        askers = [
            _Asker(self, family, done, rooms)
            for family in grow(written)
            if any(not unit.keys <= done for unit in family.units)
        ]

        def plan(calls: Calls) -> None:
            for asker in askers:
                for _ in asker.replies(calls):
                    pass

        calls = Calls(self.loaded, self.features, self._instruction_room(written))
        with compiled_ahead(calls, plan if self.ahead and askers else None) as calls:
            for asker in askers:
                yield from asker.replies(calls)
        for family in grow(drawn):
            if any(not unit.keys <= done for unit in family.units):
                yield from Drawer(self.loaded, self.codec, family, done, self.rows).replies()

    def prompt(self, request: Request) -> Encoded:
        """Return the conversation of a request as the model reads it."""
        return self._encoder.prompt(request.turns, f"{request.cluster}, request {request.key}")

    @cached_property
    def _encoder(self) -> "_Encoder":
        return _Encoder(self.loaded)

    def _instruction_room(self, prompts: Sequence[Prompt]) -> int:
        """Return the room for the longest instruction under which prompts show something."""
        shown = [medium for prompt in prompts for medium in prompt.encoded.media]
        distinct = {medium.instruction: medium for medium in shown if medium.instruction}
        ids = map(self.loaded.processor.instruction_ids, distinct.values())
        return max(map(len, ids), default=0)

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
    """Asks one family: its root, then groups of units or of prompts without media.

    ``rooms`` are those of all prompts, of other families too.
    """

    def __init__(self, model: LocalModel, family: Family, done: set[str], rooms: Rooms):
        self.loaded, self.rows = model.loaded, model.rows
        self.family, self.done, self.rooms = family, done, rooms
        # Here, before anything is in memory but the weights, so that they follow from the requests.
        self.shown = [(units, self._units_at_once(units)) for units in family.shown]
        self.plain = [(prompts, self._prompts_at_once(prompts)) for prompts in family.plain]
        self.calls, self.root = Calls(model.loaded), None

    def replies(self, calls: Calls) -> Iterator[list[Reply]]:
        """Yield the missing replies, for one program and one group of prompts of a kind at a
        time.
        """
        return copy(self)._replies(calls)

    def _replies(self, calls: Calls) -> Iterator[list[Reply]]:
        self.calls = calls
        if self.family.root:
            part = Part(self.family.units[0].first.encoded, 0, self.family.root)
            self.root = read_level(calls, [part])
        for units, size in self.shown:
            yield from in_groups(units, size, partial(self._units, units))
        for prompts, size in self.plain:
            yield from in_groups(prompts, size, partial(self._plain, prompts))

    def _prompts_at_once(self, prompts: Sequence[Prompt]) -> int:
        slots = max(map(self.rooms.slots, prompts)) - self.family.root
        return self.rows or group_size(self.loaded, slots)

    def _units_at_once(self, units: Sequence[Unit]) -> int:
        rows = max(unit.rows for unit in units)
        if self.rows:
            return max(1, self.rows // rows)
        shared = max(unit.end for unit in units) - self.family.root
        own = max(self.rooms.slots(prompt) - unit.end for unit in units for prompt in unit.prompts)
        return group_size(self.loaded, shared + rows * own, rows)

    def _units(self, like: Sequence[Unit], group: Sequence[Unit], size: int) -> Iterator[list]:
        """Read the media of a group of units, then ask their prompts."""
        if all(unit.keys <= self.done for unit in group):
            return
        root = self.family.root
        units = [*group, *[group[-1]] * (self._filled(size) - len(group))]
        parts = [Part(unit.first.encoded, root, unit.end) for unit in units]
        most = max(unit.end for unit in like) - root
        prefix = read_level(self.calls, parts, self.root, most=most)
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
        if len(answered_together(kind)) > 1 and min(own) > 1:
            # All of a prompt but its last token, with which each of its replies begins.
            begun = [replace(part, end=part.end - 1) for part in parts]
            prefix = read_level(self.calls, begun, prefix, most=longest - 1)
            parts = [replace(part, start=part.end - 1) for part in parts]
            own, longest = [1] * len(kin), 1
        ids = [part.ids for part in parts]
        for scored, written in answered_together(kind):
            numbers = [*scored, *written]
            if all(set(prompts[r].asks[n].keys) <= self.done for r in read for n in numbers):
                continue
            choices = [prompt.choices(scored) for prompt in kin]
            most = longest, max(sum(map(len, c)) for c in choices), max(map(len, choices))
            found = self._answered(prompts, ids, prefix, scored, written, most)
            yield [
                replace(reply, key=key)
                for number, replies in zip(numbers, found, strict=True)
                for row in read
                for key in prompts[row].asks[number].keys
                if key not in self.done
                for reply in [replies[row]]
            ]

    def _answered(
        self,
        prompts: Sequence[Prompt],
        ids: Sequence[Sequence[int]],
        prefix: Prefix | None,
        scored: Sequence[int],
        written: Sequence[int],
        most: tuple[int, int, int],
    ) -> list[list[Reply]]:
        """Return the replies, without their keys, of all rows to each ask of one program.

        Args:
          scored, written: numbers of the asks for choices, and of the ask for a text, if any.
        """
        calls, values, texts = self.calls, None, []
        choices = [prompt.choices(scored) for prompt in prompts]
        asks = [prompt.asks[n].ask for n in written for prompt in prompts]
        room = max((self.rooms.of(prompts[0], ask) for ask in asks), default=0)
        by_token = any(prompts[0].asks[number].ask.by_token for number in scored)
        make = measured_reply if by_token else scored_reply
        if by_token:
            values = score_by_token(calls, ids, prefix, choices, most=most)
        elif not written:
            values = score(calls, ids, prefix, choices, most=most)
        elif not scored:
            texts = reply(calls, ids, prefix, asks, most=most[0], room=room)
        else:
            values, texts = score_and_reply(calls, ids, prefix, choices, asks, most=most, room=room)
        found, first = [], [0] * len(prompts)
        for number in scored:
            asked = [prompt.asks[number] for prompt in prompts]
            after = [start + len(ask.choices) for start, ask in zip(first, asked, strict=True)]
            rows = zip(prompts, asked, values, first, after, strict=True)
            found.append([make(p, ask, row[start:stop]) for p, ask, row, start, stop in rows])
            first = after
        for number in written:
            rows = zip(prompts, texts, strict=True)
            found.append(
                [text_reply(p, p.asks[number], *text, self.loaded.processor) for p, text in rows]
            )
        return found

    def _start(self, prompt: Prompt) -> int:
        """Return how many tokens of a prompt are read before it."""
        return max(prompt.media_end, self.family.root)
