"""Rows that branch from a tree of prefixes: how they are laid out, read and answered."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np

from mllm.checkpoints.loaded import Loaded
from mllm.data.images import Picture
from mllm.data.packing import round_up
from mllm.data.rows import lay_out
from mllm.decoding.generate import generate
from mllm.decoding.prefix import Prefix, prefill
from mllm.parallel.place import fetch

Item = TypeVar("Item")

BUCKET = 8  # slots, of short rows


def padded(count: int) -> int:
    """Slots for that many tokens: at most an eighth more, so that few programs are compiled."""
    return round_up(count, max(BUCKET, 1 << max(count.bit_length() - 4, 0)))


def alike(rows: Iterable[Sequence[int]]) -> int:
    """Tokens that rows begin with alike, leaving each of them two of its own."""
    rows = list(rows)
    first, last = min(rows), max(rows)  # whatever these share, all between them do
    shared = next(
        (i for i, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]),
        len(first),
    )
    return min(shared, min(map(len, rows)) - 2)


def spread(units: Sequence[Sequence[Item]], size: int, most: int) -> tuple[list[Item], list[int]]:
    """``size`` units of ``most`` rows each, and which of the rows hold the items, in their order.

    The rows of a unit that are left over hold its last item again (those of a missing one another
    unit's), so that they end when it ends; they are not to be read.
    """
    spare = next(item for unit in units for item in unit)
    rows, read = [], []
    for place in range(size):
        unit = list(units[place]) if place < len(units) else []
        read += range(len(rows), len(rows) + len(unit))
        rows += unit + [unit[-1] if unit else spare] * (most - len(unit))
    return rows, read


def read_level(
    loaded: Loaded,
    ids: Sequence[Sequence[int]],
    pictures: Sequence[Sequence[Picture]] | None = None,
    prefix: Prefix | None = None,
):
    """``mllm.decoding.prefix.prefill`` of rows of ids with their pictures."""
    shown = [[]] * len(ids) if pictures is None else pictures
    batch = lay_out(
        ids,
        shown,
        image_id=loaded.image_id,
        image_tokens=loaded.config.image_tokens,
        width=padded(max(map(len, ids))),
        patch=loaded.config.vision.patch_size if any(shown) else 1,
    )
    batch = loaded.place_rows(batch)
    return prefill(loaded.model, loaded.config, loaded.variables, batch, prefix)


def reply(
    loaded: Loaded, asked: Sequence[Sequence[int]], prefix: Prefix | None, max_new_tokens: int
) -> list[tuple[list[int], bool]]:
    """(generated ids before the end, whether it came to an end) of rows of ids behind a prefix."""
    longest = max(map(len, asked))
    tokens = np.zeros((len(asked), 1 if longest == 1 else padded(longest)), np.int32)
    for row, ids in zip(tokens, asked, strict=True):
        row[: len(ids)] = ids
    lengths = np.asarray([len(ids) for ids in asked], np.int32)
    found, ended = generate(
        loaded.model,
        loaded.config,
        loaded.variables,
        prefix,
        **loaded.place_rows({"prompts": tokens, "lengths": lengths}),
        max_new_tokens=max_new_tokens,
        eos_id=loaded.processor.eos_id,
    )
    ids = map(loaded.processor.until_end, fetch(found).tolist())
    return list(zip(ids, fetch(ended).tolist(), strict=True))
