"""Pictures that a model draws: its codes are decoded in batches, and what prompts share is read
once.

A prompt ends where a picture begins (``Processor.drawing``), so each step chooses one code of it.
Prompts of a family continue its root. A prompt that is drawn several times is read once. With
guidance, rows are pairs of a prompt and the one that it is pushed away from; what the two begin
with alike is read once if it is long.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np

from mllm.checkpoints.loaded import Loaded
from mllm.data.conversation import Media, Turn, codes, image
from mllm.data.encoded import Encoded, require_fit
from mllm.data.packing import round_up
from mllm.decoding.generate import generate
from mllm.decoding.prefix import Prefix
from mllm.decoding.sampling import Pattern
from mllm.evaluation.ahead import Calls
from mllm.evaluation.branching import Part, fill_rows, padded, read_level
from mllm.evaluation.codec import Codec
from mllm.evaluation.groups import group_size, in_groups
from mllm.evaluation.request import Picture, Reply, Request
from mllm.evaluation.tree import LEAST, Asked, Family, Prompt, Signature, common
from mllm.parallel.mesh import mesh_of
from mllm.parallel.place import fetch
from mllm.parallel.rules import row_devices


@dataclass(frozen=True)
class Drawing(Asked):
    """A picture that is asked of a prompt.

    Attributes:
      length: codes of a picture.
      other: the prompt that it is pushed away from, None without guidance.
    """

    length: int = 0
    other: Encoded | None = None

    @property
    def room(self) -> int:
        return self.length

    @property
    def size(self) -> int:
        return self.length

    @property
    def signature(self) -> Signature:
        return ("picture", int(self.ask.temperature > 0), int(self.other is not None))


class Row(NamedTuple):
    """One picture to be drawn."""

    prompt: Prompt
    asked: Drawing

    @property
    def ids(self) -> tuple[int, ...]:
        return self.prompt.encoded.ids


def in_codes(requests: Sequence[Request], codec: Codec | None) -> list[Request]:
    """Return requests in which codes take the place of images; without a codec, as they are."""
    if codec is None:
        return list(requests)
    asks = [request.ask for request in requests]
    others = [ask.other if isinstance(ask, Picture) else () for ask in asks]
    read = codec.turns([*(request.turns for request in requests), *others])
    turns, others = read[: len(requests)], read[len(requests) :]
    asks = [replace(a, other=o) if o else a for a, o in zip(asks, others, strict=True)]
    return [
        replace(request, turns=said, ask=ask)
        for request, said, ask in zip(requests, turns, asks, strict=True)
    ]


def drawn_prompts(
    requests: Sequence[Request],
    loaded: Loaded,
    encode: Callable[[tuple[Turn, ...], str, str], Encoded],
    refuse_long: bool,
) -> list[Prompt]:
    """Return the distinct prompts of the requests for pictures, with every picture asked of each.

    Args:
      encode: returns the prompt of (turns, words before the picture, name in messages).
      refuse_long: see ``runner.LocalModel``.

    Raises:
      ValueError: the model draws no pictures, or a prompt does not fit.
    """
    requests = [request for request in requests if isinstance(request.ask, Picture)]
    if not requests:
        return []
    tokens, limit = loaded.processor.config.codes, loaded.config.decoder.max_positions
    length = 0 if tokens is None else tokens.length  # without any, encoding refuses
    encoded: dict[tuple[int, ...], Encoded] = {}
    asks: dict[tuple[int, ...], dict[Picture, Drawing]] = {}
    for request in requests:
        ask, where = request.ask, f"{request.cluster}, request {request.key}"
        prompt = encode(request.turns, ask.words, where)
        other = encode(ask.other, ask.words, f"{where}, other") if ask.strength else None
        for one in (prompt, other):
            if one is not None and refuse_long:
                require_fit(one, limit, where, reply=length)
        encoded.setdefault(prompt.content, prompt)
        known = asks.setdefault(prompt.content, {})
        keys = known[ask].keys if ask in known else ()
        known[ask] = Drawing(ask, (*keys, request.key), length=length, other=other)
    return [
        Prompt(prompt, tuple(sorted(asks[content].values(), key=lambda asked: asked.signature)))
        for content, prompt in encoded.items()
    ]


@dataclass
class Drawer:
    """Draws the pictures of one family.

    Attributes:
      codec: makes images of codes; without one, the codes themselves are the replies.
      done: keys that are answered. rows: pictures that are drawn together, 0 for as many as memory
        holds.
    """

    loaded: Loaded
    codec: Codec | None
    family: Family
    done: set[str]
    rows: int = 0

    def replies(self) -> Iterator[list[Reply]]:
        """Yield the missing replies, a group at a time."""
        root = None
        if self.family.root:
            first = self.family.units[0].first.encoded
            root = read_level(Calls(self.loaded), [Part(first, 0, self.family.root)])
        prompts = [prompt for unit in self.family.units for prompt in unit.prompts]
        prompts.sort(key=lambda prompt: prompt.length)
        for kind in sorted({s for prompt in prompts for s in prompt.kind}):
            units = [
                [Row(prompt, asked) for asked in prompt.asks if asked.signature == kind]
                for prompt in prompts
            ]
            units = [unit for unit in units if unit]
            if kind[-1]:
                units = [[row] for unit in units for row in unit]
                draw = partial(self._guided, units)
            else:
                draw = partial(self._plain, units, root)
            yield from in_groups(units, self._units_at_once(units), draw)

    def _units_at_once(self, units: Sequence[Sequence[Row]]) -> int:
        asked = units[0][0].asked
        rows = max(map(len, units)) * (1 if asked.other is None else 2)
        if self.rows:
            return max(1, self.rows // rows)
        slots = max(_longest(row) for unit in units for row in unit) + asked.length
        return group_size(self.loaded, rows * slots, rows)

    def _plain(
        self,
        like: Sequence[Sequence[Row]],
        root: Prefix | None,
        group: Sequence[Sequence[Row]],
        size: int,
    ) -> Iterator[list[Reply]]:
        """Draw the pictures of a group of prompts.

        Args:
          like: all prompts of the kind. root: what they continue. size: prompts of a group.
        """
        if self._answered(group):
            return
        size = size if root is None else round_up(size, root.lengths.shape[0])
        most = max(map(len, like))
        longest = max(len(unit[0].ids) for unit in like) - self.family.root
        shown = any(unit[0].prompt.media_end > self.family.root for unit in like)
        prefix, start = root, self.family.root
        if (most > 1 or shown) and longest > 1:
            filled = [*group, *[group[-1]] * (size - len(group))]
            ends = [(unit[0].prompt.encoded, len(unit[0].ids) - 1) for unit in filled]
            parts = [Part(encoded, start, end) for encoded, end in ends]
            prefix, start = read_level(Calls(self.loaded), parts, root, most=longest - 1), -1
            size, longest = prefix.lengths.shape[0], 1
        rows, read = fill_rows(group, size, most)
        asked = [row.ids[start:] for row in rows]
        yield self._replies(rows, read, asked, prefix, longest)

    def _guided(
        self, like: Sequence[Sequence[Row]], group: Sequence[Sequence[Row]], size: int
    ) -> Iterator[list[Reply]]:
        """Draw the pictures of a group of prompts, each of which is pushed away from another."""
        if self._answered(group):
            return
        size = round_up(size, row_devices(mesh_of(self.loaded.variables)))
        rows, read = fill_rows(group, size, 1)
        kin = [row for unit in like for row in unit]
        shown = any(row.prompt.encoded.spans or row.asked.other.spans for row in kin)
        prefix, starts = None, [0] * len(rows)
        longest = max(map(_longest, kin))
        if not shown and min(map(_alike, kin)) >= LEAST:
            starts = list(map(_alike, rows))
            parts = [Part(r.prompt.encoded, 0, end) for r, end in zip(rows, starts, strict=True)]
            prefix = read_level(Calls(self.loaded), parts, most=max(map(_alike, kin)))
            longest = max(_longest(row) - _alike(row) for row in kin)
        pairs = [(row.prompt.encoded, row.asked.other) for row in rows]
        ends = [(one, start) for pair, start in zip(pairs, starts, strict=True) for one in pair]
        if shown:
            ends = [(one, len(one.ids) - 1) for one, _ in ends]
            parts = [Part(one, 0, end) for one, end in ends]
            prefix, longest = read_level(Calls(self.loaded), parts, most=longest - 1), 1
        asked = [one.ids[start:] for one, start in ends]
        yield self._replies(rows, read, asked, prefix, longest)

    def _answered(self, group: Sequence[Sequence[Row]]) -> bool:
        return all(set(row.asked.keys) <= self.done for unit in group for row in unit)

    def _replies(
        self,
        rows: Sequence[Row],
        read: Sequence[int],
        asked: Sequence[Sequence[int]],
        prefix: Prefix | None,
        longest: int,
    ) -> list[Reply]:
        """Return the missing replies of rows.

        Args:
          read: rows that hold a picture. asked: ids of each row, or of each one's pair, that
            continue the prefix.
        """
        found = draw(self.loaded, asked, prefix, [row.asked.ask for row in rows], most=longest)
        missing = [place for place in read if not set(rows[place].asked.keys) <= self.done]
        pictures = self._pictures([found[place][0] for place in missing])
        replies = []
        for place, picture in zip(missing, pictures, strict=True):
            row, (numbers, finite) = rows[place], found[place]
            encoded, other = row.prompt.encoded, row.asked.other
            extra = {
                "prompt_tokens": len(encoded.ids),
                "media_tokens": encoded.media_tokens,
                "reply_tokens": len(numbers),
                **({} if other is None else {"other_tokens": len(other.ids)}),
                "codes": numbers,
            }
            reply = Reply("", state="valid" if finite else "error", extra=extra)
            reply = replace(reply, media=picture if finite else None)
            replies += [replace(reply, key=key) for key in row.asked.keys if key not in self.done]
        return replies

    def _pictures(self, drawn: Sequence[list[int]]) -> list[Media]:
        """Return what was drawn, as images if there is a codec."""
        if self.codec is None or not drawn:
            return list(map(codes, drawn))
        return list(map(image, self.codec.decode(drawn)))


def draw(
    loaded: Loaded,
    asked: Sequence[Sequence[int]],
    prefix: Prefix | None,
    asks: Sequence[Picture],
    *,
    most: int = 0,
) -> list[tuple[list[int], bool]]:
    """Draw a picture after each row of ids.

    Args:
      asked: ids that continue the prefix, at least one in each row; two rows for each ask, of the
        prompt and of its other one, if pictures are guided.
      asks: of each picture; either all are sampled or none.
      most: tokens of the longest row of the kind, see ``branching.padded``.

    Returns:
      (numbers of its codes, whether the model's numbers are finite) of each picture.
    """
    times = len(asked) // len(asks)
    longest = max(map(len, asked))
    tokens = np.zeros((len(asked), 1 if longest == 1 else padded(longest, most)), np.int32)
    for row, ids in zip(tokens, asked, strict=True):
        row[: len(ids)] = ids
    rows = {"prompts": tokens, "lengths": np.asarray([len(ids) for ids in asked], np.int32)}
    if asks[0].temperature > 0:
        rows["temperatures"] = _each(asks, "temperature", np.float32, times)
        rows["seeds"] = np.repeat([ask.seed % 2**32 for ask in asks], times).astype(np.uint32)
        rows["top_k"] = _each(asks, "top_k", np.int32, times)
        rows["top_p"] = _each(asks, "top_p", np.float32, times)
    if times == 2:
        rows["guidance"] = _each(asks, "strength", np.float32, times)
    processor = loaded.processor
    first = processor.code_range[0]
    found = generate(
        loaded.model,
        loaded.config,
        loaded.variables,
        prefix,
        **loaded.place_rows(rows),
        max_new_tokens=processor.config.codes.length,
        ends=(processor.token_id(processor.config.codes.end),),
        allowed=Pattern((processor.code_range,) * processor.config.codes.length),
    )
    ids, _, finite = (fetch(array)[: len(asked)] for array in found)
    finite = finite.reshape(-1, times).all(axis=1).tolist()
    return list(zip((ids[::times] - first).tolist(), finite, strict=True))


def _each(asks: Sequence[Picture], name: str, dtype, times: int) -> np.ndarray:
    return np.repeat([getattr(ask, name) for ask in asks], times).astype(dtype)


def _alike(row: Row) -> int:
    """Return how many tokens a prompt and its other one begin with alike, without the last."""
    one, other = row.prompt.encoded.content, row.asked.other.content
    return min(common(one, other), len(one) - 1, len(other) - 1)


def _longest(row: Row) -> int:
    """Return the tokens of a prompt, or of its other one if that is longer."""
    other = row.asked.other
    return max(len(row.ids), 0 if other is None else len(other.ids))
