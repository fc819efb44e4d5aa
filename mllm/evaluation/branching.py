"""Rows that branch from a tree of prefixes: how they are laid out, read, scored and answered.

R rows, T tokens, S choices of a row, M tokens of all choices of a row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from mllm.checkpoints.loaded import Loaded
from mllm.data.encoded import Encoded
from mllm.data.packing import round_up
from mllm.data.rows import lay_out
from mllm.decoding.generate import generate
from mllm.decoding.prefix import Prefix, prefill
from mllm.decoding.score import score_choices
from mllm.evaluation.request import Text
from mllm.parallel.place import fetch

Item = TypeVar("Item")
Ids = Sequence[int]

BUCKET = 8  # slots, of short rows


def padded(count: int, most: int = 0) -> int:
    """Return slots for that many tokens.

    Each width is a program to compile. Rows of one kind therefore have one of few widths: that of
    the longest of them all, three quarters of it, and so on; below 128 slots, half of it.

    Args:
      most: tokens of the longest row of the kind, by default ``count``.
    """
    width = _rounded(max(count, most))
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
    def media(self) -> list:
        spans = [span for span in self.encoded.spans if self.start <= span.start < self.end]
        return [self.encoded.media[number] for number in dict.fromkeys(s.media for s in spans)]


def read_level(
    loaded: Loaded, parts: Sequence[Part], prefix: Prefix | None = None, *, most: int = 0
) -> Prefix:
    """Read parts of conversations that continue a prefix, and return the prefix they end in.

    Args:
      most: tokens of the longest part of the kind, see ``padded``.
    """
    shown = [[loaded.processor.prepare(media) for media in part.media] for part in parts]
    rows = [part.ids for part in parts]
    batch = lay_out(
        rows,
        shown,
        image_id=loaded.image_id if any(shown) else None,  # else it is a literal one, if any
        image_tokens=loaded.config.image_tokens,
        width=padded(max(map(len, rows)), most),
        patch=loaded.config.vision.patch_size if any(shown) else 1,
    )
    batch = loaded.place_rows(batch)
    return prefill(loaded.model, loaded.config, loaded.variables, batch, prefix)[0]


def reply(
    loaded: Loaded,
    asked: Sequence[Ids],
    prefix: Prefix | None,
    asks: Sequence[Text],
    *,
    most: int = 0,
) -> list[tuple[list[int], bool, bool]]:
    """Generate a reply to each row of ids.

    Args:
      asked: ids that continue the prefix, at least one in each row.
      asks: of each row; limits are equal, and either all are sampled or none.
      most: tokens of the longest row of the kind, see ``padded``.

    Returns:
      (generated ids before the end, whether the reply came to an end, whether the model's numbers
      are finite) of each row.
    """
    longest = max(map(len, asked))
    tokens = np.zeros((len(asked), 1 if longest == 1 else padded(longest, most)), np.int32)
    for row, ids in zip(tokens, asked, strict=True):
        row[: len(ids)] = ids
    rows = {"prompts": tokens, "lengths": np.asarray([len(ids) for ids in asked], np.int32)}
    if asks[0].temperature > 0:
        rows["temperatures"] = np.asarray([ask.temperature for ask in asks], np.float32)
        rows["seeds"] = np.asarray([ask.seed % 2**32 for ask in asks], np.uint32)
        if any(ask.top_k or ask.top_p < 1 for ask in asks):
            rows["top_k"] = np.asarray([ask.top_k for ask in asks], np.int32)
            rows["top_p"] = np.asarray([ask.top_p for ask in asks], np.float32)
    found = generate(
        loaded.model,
        loaded.config,
        loaded.variables,
        prefix,
        **loaded.place_rows(rows),
        max_new_tokens=asks[0].limit,
        ends=loaded.processor.end_ids,
        barred=loaded.processor.barred_ids,
    )
    ids, ended, finite = (fetch(array)[: len(asked)].tolist() for array in found)
    return list(zip(map(loaded.processor.until_end, ids), ended, finite, strict=True))


def score(
    loaded: Loaded,
    asked: Sequence[Ids],
    prefix: Prefix | None,
    choices: Sequence[Sequence[Ids]],
    *,
    most: tuple[int, int] = (0, 0),
) -> np.ndarray:
    """Return the summed log-probability float64[R, S] of each choice of each row of ids.

    Args:
      asked: ids that continue the prefix, at least one in each row.
      choices: of each row, ids of each choice, at least one in each.
      most: tokens of the longest row of the kind, and tokens of all its choices; see ``padded``.
    """
    batch = loaded.place_rows(lay_out_choices(asked, choices, most))
    values = score_choices(loaded.model, loaded.config, loaded.variables, prefix, batch)
    return fetch(values)[: len(asked)].astype(np.float64)


def lay_out_choices(
    asked: Sequence[Ids], choices: Sequence[Sequence[Ids]], most: tuple[int, int] = (0, 0)
) -> dict[str, np.ndarray]:
    """Return rows that hold a question and all its choices.

    Segment 0 is the question, segment k the k-th choice, -1 padding; positions of each choice go on
    from the question.

    Returns:
      tokens, positions, segments i32[R, T]; targets, sources i32[R, M]: the tokens of choices and
      the places that predict them (T where there is none); answers i32[R, S].
    """
    rows, columns = len(asked), max(map(len, choices))
    totals = [sum(map(len, row)) for row in choices]
    longest = max(len(ids) + total for ids, total in zip(asked, totals, strict=True))
    width, scored = padded(longest, most[0]), padded(max(totals), most[1])
    batch = {
        "tokens": np.zeros((rows, width), np.int32),
        "positions": np.zeros((rows, width), np.int32),
        "segments": np.full((rows, width), -1, np.int32),
        "targets": np.full((rows, scored), width, np.int32),
        "sources": np.zeros((rows, scored), np.int32),
        "answers": np.full((rows, columns), -1, np.int32),
    }
    for r, (question, row) in enumerate(zip(asked, choices, strict=True)):
        start, taken = len(question), 0
        batch["tokens"][r, :start] = question
        batch["positions"][r, :start] = np.arange(start)
        batch["segments"][r, :start] = 0
        for number, choice in enumerate(row):
            places = np.arange(start, start + len(choice))
            batch["tokens"][r, places] = choice
            batch["positions"][r, places] = len(question) + np.arange(len(choice))
            batch["segments"][r, places] = number + 1
            # The first token of a choice is predicted by the last one of the question.
            sources = np.where(places == start, len(question) - 1, places - 1)
            batch["targets"][r, taken : taken + len(choice)] = places
            batch["sources"][r, taken : taken + len(choice)] = sources
            batch["answers"][r, number] = 0
            start, taken = start + len(choice), taken + len(choice)
    return batch
