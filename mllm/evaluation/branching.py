"""Rows that branch from a tree of prefixes: how they are laid out, read, scored and answered.

R rows, T tokens, S choices of a row, M tokens of all choices of a row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, TypeVar

import jax
import numpy as np

from mllm.checkpoints.loaded import Loaded
from mllm.data.encoded import Encoded
from mllm.data.packing import round_up
from mllm.data.rows import lay_out, lay_out_ids, place_features, place_instructions
from mllm.data.sound_rows import Heard, lay_out_sounds
from mllm.decoding.generate import generate, score_and_generate
from mllm.decoding.prefix import Prefix, prefill
from mllm.decoding.score import measure_choices, score_choices
from mllm.evaluation.ahead import Calls
from mllm.evaluation.request import Text

Item = TypeVar("Item")
Ids = Sequence[int]
Sizes = tuple[int, int, int]

BUCKET = 8  # slots, of short rows


class Replied(NamedTuple):
    """Attributes:
    ids: generated before the end.
    ended: whether the reply came to an end.
    finite: whether the model's numbers are.
    """

    ids: list[int]
    ended: bool
    finite: bool


def padded(count: int, most: int = 0) -> int:
    """Return slots for that many tokens.

    Each width is a program to compile. Rows of one kind therefore have one of few widths: that of
    the longest of them all, three quarters of it, and so on; below 128 slots, half of it. If all
    have a single token, it is 1.

    Args:
      most: tokens of the longest row of the kind, by default ``count``.
    """
    width = _rounded(max(count, most))
    if max(count, most) == 1:
        return 1
    while True:
        less = _rounded(width // 2 if width <= 128 else 3 * width // 4)
        if less < count or less >= width:
            return width
        width = less


def _rounded(count: int) -> int:
    return round_up(count, max(BUCKET, 1 << max(count.bit_length() - 4, 0)))


def fill_rows(
    units: Sequence[Sequence[Item]], size: int, most: int
) -> tuple[list[Item], list[int]]:
    """Return ``size`` units of ``most`` rows each, and which of the rows hold the items, in order.

    The rows that a unit leaves over hold its last item again (those of a missing unit hold another
    unit's first), so that they end when it ends; they are not to be read.
    """
    spare = next(item for unit in units for item in unit)
    rows, read = [], []
    for place in range(size):
        unit = list(units[place]) if place < len(units) else []
        read += range(len(rows), len(rows) + len(unit))
        rows += unit + [unit[-1] if unit else spare] * (most - len(unit))
    return rows, read


@dataclass(frozen=True)
class Part:
    """The tokens of a conversation from ``start`` to ``end``, and the media that stand there."""

    encoded: Encoded
    start: int
    end: int

    @property
    def ids(self) -> tuple[int, ...]:
        return self.encoded.ids[self.start : self.end]

    @property
    def media(self) -> list[int]:
        """Numbers of what it shows, in order."""
        spans = [span for span in self.encoded.spans if self.start <= span.start < self.end]
        return list(dict.fromkeys(span.media for span in spans))

    def of_kind(self, kind: str) -> list[int]:
        """Numbers of the media of a kind, in order."""
        return [number for number in self.media if self.encoded.media[number].kind == kind]

    def heard(self, sounds: Sequence[np.ndarray]) -> list[Heard]:
        """Return its sounds in their places, given their samples in order."""
        kinds = [medium.kind for medium in self.encoded.media]
        spans = [s for s in self.encoded.spans if self.start <= s.start < self.end]
        places = [s for s in spans if kinds[s.media] == "audio"]
        return [
            Heard(span.start - self.start, span.length, samples)
            for span, samples in zip(places, sounds, strict=True)
        ]


def read_level(
    calls: Calls, parts: Sequence[Part], prefix: Prefix | None = None, *, most: int = 0
) -> Prefix:
    """Read parts of conversations that continue a prefix, and return the prefix they end in.

    Args:
      calls: of the model. most: tokens of the longest part of the kind, see ``padded``.
    """
    batch = lay_out_parts(calls, parts, most)
    return calls.run(prefill, calls.place(batch), prefix)[0]


def lay_out_parts(calls: Calls, parts: Sequence[Part], most: int = 0) -> dict:
    """Return parts of conversations as rows, with what they show; arguments of ``read_level``."""
    width = padded(max(len(part.ids) for part in parts), most)
    instructed = calls.loaded.processor.config.instructed and any(part.media for part in parts)
    return (_lay_out_features if instructed else _lay_out_pictures)(calls, parts, width)


def _lay_out_pictures(calls: Calls, parts: Sequence[Part], width: int) -> dict:
    """Return parts of conversations as rows, with the pixels and samples of what they show."""
    loaded = calls.loaded
    shown = [calls.pictures(part.encoded, part.of_kind("image")) for part in parts]
    batch = lay_out(
        [part.ids for part in parts],
        shown,
        image_id=loaded.image_id if any(shown) else None,  # else it is a literal one, if any
        image_tokens=loaded.config.image_tokens,
        width=width,
        patch=loaded.config.vision.patch_size if any(shown) else 1,
    )
    heard = [part.heard(calls.sounds(part.encoded, part.of_kind("audio"))) for part in parts]
    if any(heard):
        found = lay_out_sounds(heard, loaded.processor.config.audio.window)
        batch["media"] = {**batch.get("media", {}), "audio": found}
    return batch


def _lay_out_features(calls: Calls, parts: Sequence[Part], width: int) -> dict:
    """Return parts of conversations as rows, with the features of what they show and the
    instructions under which it is read.
    """
    loaded = calls.loaded
    batch = lay_out_ids([part.ids for part in parts], width)
    shown = [(part.encoded, medium) for part in parts for medium in part.media]
    features = calls.features(shown)
    waiting = iter(features)
    counts = [sum(len(next(waiting)) for _ in part.media) for part in parts]
    token = loaded.image_id, loaded.config.image_tokens
    media = place_features(batch["tokens"], np.concatenate(features), counts, *token)
    under = [loaded.processor.instruction_ids(encoded.media[medium]) for encoded, medium in shown]
    tiles = [ids for ids, those in zip(under, features, strict=True) for _ in those]
    place_instructions(media["image"], tiles, calls.room)
    return {**batch, "media": media}


def reply(
    calls: Calls,
    asked: Sequence[Ids],
    prefix: Prefix | None,
    asks: Sequence[Text],
    *,
    most: int = 0,
    room: int = 0,
) -> list[Replied]:
    """Generate a reply to each row of ids.

    Args:
      asked: ids that continue the prefix, at least one in each row.
      asks: of each row; either all are sampled or none.
      most: tokens of the longest row of the kind, see ``padded``.
      room: for tokens of a reply, by default what the asks need; each room is a program to compile.
    """
    tokens = np.zeros((len(asked), padded(max(map(len, asked)), most)), np.int32)
    for row, ids in zip(tokens, asked, strict=True):
        row[: len(ids)] = ids
    rows = {"prompts": tokens, **_rows_of_replies(asked, asks)}
    options = _options_of_replies(calls.loaded, asks, room)
    found = calls.run(generate, prefix, **calls.place(rows), **options)
    return _replied(calls, len(asked), *found)


def score(
    calls: Calls,
    asked: Sequence[Ids],
    prefix: Prefix | None,
    choices: Sequence[Sequence[Ids]],
    *,
    most: Sizes = (0, 0, 0),
) -> np.ndarray:
    """Return the summed log-probability float64[R, S] of each choice of each row of ids.

    Args:
      asked: ids that continue the prefix, at least one in each row.
      choices: of each row, ids of each choice, at least one in each.
      most: see ``lay_out_choices``.
    """
    batch = calls.place(lay_out_choices(asked, choices, most))
    return _scores(calls, len(asked), calls.run(score_choices, prefix, batch))


def score_by_token(
    calls: Calls,
    asked: Sequence[Ids],
    prefix: Prefix | None,
    choices: Sequence[Sequence[Ids]],
    *,
    most: Sizes = (0, 0, 0),
) -> list[list[np.ndarray]]:
    """Return float64[tokens, 4] of each choice of each row: the ``losses.token_measures`` of its
    tokens. The arguments are those of ``score``.
    """
    batch = calls.place(lay_out_choices(asked, choices, most))
    values = _scores(calls, len(asked), calls.run(measure_choices, prefix, batch))
    ends = [np.cumsum([0, *map(len, row)]) for row in choices]
    return [
        [found[start:end] for start, end in pairwise(places)]
        for found, places in zip(values, ends, strict=True)
    ]


def score_and_reply(
    calls: Calls,
    asked: Sequence[Ids],
    prefix: Prefix | None,
    choices: Sequence[Sequence[Ids]],
    asks: Sequence[Text],
    *,
    most: Sizes = (0, 0, 0),
    room: int = 0,
) -> tuple[np.ndarray, list[Replied]]:
    """Return what ``score`` and ``reply`` return, of rows that are read once, by one program."""
    rows = {"batch": lay_out_choices(asked, choices, most), **_rows_of_replies(asked, asks)}
    options = _options_of_replies(calls.loaded, asks, room)
    values, *found = calls.run(score_and_generate, prefix, **calls.place(rows), **options)
    return _scores(calls, len(asked), values), _replied(calls, len(asked), *found)


def _rows_of_replies(asked: Sequence[Ids], asks: Sequence[Text]) -> dict[str, np.ndarray]:
    """Return the arrays [R] that say how rows are to be replied to."""
    rows = {
        "lengths": np.asarray([len(ids) for ids in asked], np.int32),
        "limits": np.asarray([ask.limit for ask in asks], np.int32),
    }
    if asks[0].temperature > 0:
        rows["temperatures"] = np.asarray([ask.temperature for ask in asks], np.float32)
        rows["seeds"] = np.asarray([ask.seed % 2**32 for ask in asks], np.uint32)
        if any(ask.top_k or ask.top_p < 1 for ask in asks):
            rows["top_k"] = np.asarray([ask.top_k for ask in asks], np.int32)
            rows["top_p"] = np.asarray([ask.top_p for ask in asks], np.float32)
    return rows


def _options_of_replies(loaded: Loaded, asks: Sequence[Text], room: int) -> dict:
    return {
        "max_new_tokens": max(room, *(ask.limit for ask in asks)),
        "ends": loaded.processor.end_ids,
        "barred": loaded.processor.barred_ids,
    }


def _replied(calls: Calls, rows: int, *found: jax.Array) -> list[Replied]:
    ids, ended, finite = (calls.fetch(array)[:rows].tolist() for array in found)
    return list(map(Replied, map(calls.loaded.processor.until_end, ids), ended, finite))


def _scores(calls: Calls, rows: int, values: jax.Array) -> np.ndarray:
    return calls.fetch(values)[:rows].astype(np.float64)


def lay_out_choices(
    asked: Sequence[Ids], choices: Sequence[Sequence[Ids]], most: Sizes = (0, 0, 0)
) -> dict[str, np.ndarray]:
    """Return rows that hold a question and, in the last M slots, all its choices.

    Segment 0 is the question, segment k the k-th choice, -1 padding; positions of each choice go on
    from the question.

    Args:
      most: of all rows of the kind, the most tokens of a question, the most tokens of the choices
        of one, and the most choices of one. Questions have one of the widths of ``padded``; choices
        have one.

    Returns:
      tokens, positions, segments i32[R, T]; targets, sources i32[R, M]: the tokens of choices and
      the places that predict them (T where there is none); answers i32[R, S].
    """
    rows, columns = len(asked), max(most[2], *map(len, choices))
    first = padded(max(map(len, asked)), most[0])  # slot of choices
    scored = padded(max(most[1], *(sum(map(len, row)) for row in choices)))
    width = first + scored
    batch = {
        "tokens": np.zeros((rows, width), np.int32),
        "positions": np.zeros((rows, width), np.int32),
        "segments": np.full((rows, width), -1, np.int32),
        "targets": np.full((rows, scored), width, np.int32),
        "sources": np.zeros((rows, scored), np.int32),
        "answers": np.full((rows, columns), -1, np.int32),
    }
    for r, (question, row) in enumerate(zip(asked, choices, strict=True)):
        length, taken = len(question), 0
        batch["tokens"][r, :length] = question
        batch["positions"][r, :length] = np.arange(length)
        batch["segments"][r, :length] = 0
        for number, choice in enumerate(row):
            mine = slice(taken, taken + len(choice))
            places = first + np.arange(mine.start, mine.stop)
            batch["tokens"][r, places] = choice
            batch["positions"][r, places] = length + np.arange(len(choice))
            batch["segments"][r, places] = number + 1
            batch["targets"][r, mine] = places
            # The first token of a choice is predicted by the last one of the question.
            batch["sources"][r, mine] = [length - 1, *places[:-1]]
            batch["answers"][r, number] = 0
            taken = mine.stop
    return batch
