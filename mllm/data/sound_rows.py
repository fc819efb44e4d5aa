"""The sounds of rows as arrays.

R rows, I sounds of a row, S samples, F frames, N tokens of a sound.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mllm.data.audio import HOP, RATE
from mllm.data.packing import round_up
from mllm.data.rows import empty_media


class Spectrum(NamedTuple):
    """The spectrogram of a sound, in the room for the longest one of a run.

    Attributes:
      values: float32[F, bins]. frames: that are real. samples: of the sound.
    """

    values: np.ndarray
    frames: int
    samples: int


class Heard(NamedTuple):
    """A sound in a row.

    Attributes:
      slot: index of its first token. tokens: how many it has.
      samples: float32[S]; or its ``Spectrum``; or float[N, ...], what frozen encoders made of it.
      masks: i32[2, spans, 2] of ``mllm.data.sound_views.draw_spans``; None hides nothing.
    """

    slot: int
    tokens: int
    samples: np.ndarray | Spectrum
    masks: np.ndarray | None = None


def sound_room(samples: int, window: int) -> int:
    """Return the room for sounds of at most ``samples`` samples: whole seconds, or the window.

    Two frames of silence follow the longest sound, as far as an encoder sees beyond its end; so
    what it makes of a sound does not depend on the room.
    """
    return min(round_up(samples + 2 * HOP, RATE), window)


def lay_out_sounds(
    rows: Sequence[Sequence[Heard]],
    window: int,
    *,
    count: int = 0,
    most: int = 0,
    longest: int = 0,
    spans: int = 0,
) -> dict[str, np.ndarray]:
    """Return the sounds of rows as arrays.

    Args:
      window: samples of the longest sound that the model hears.
      count, most, longest: rows, sounds of a row and samples of a sound that there is room for at
        least.
      spans: that are hidden of each sound, see ``Heard``.

    Returns:
      values float32[R, I, S], followed by silence; slots, lengths i32[R, I], the first token and
      the number of tokens of each (-1 and 0: none); extents i32[R, I, 1], real samples of each;
      masks i32[R, I, 2, spans, 2] if there are spans.
    """
    lengths = [len(one.samples) for row in rows for one in row]
    room = sound_room(max([longest, *lengths]), window)
    laid = _empty(rows, (room,), count, most, spans)
    for number, row in enumerate(rows):
        for place, one in enumerate(row):
            laid["values"][number, place, : len(one.samples)] = one.samples
            laid["extents"][number, place] = len(one.samples)
            _put(laid, number, place, one)
    return laid


def lay_out_spectra(
    rows: Sequence[Sequence[Heard]],
    shape: tuple[int, ...],
    *,
    count: int = 0,
    most: int = 0,
    spans: int = 0,
) -> dict[str, np.ndarray]:
    """Return the spectrograms of rows as arrays, values float32[R, I, F, bins]; extents i32[R, I,
    1] are real frames, and the rest is that of ``lay_out_sounds``.

    Args:
      shape: (F, bins) of each spectrogram.
    """
    laid = _empty(rows, shape, count, most, spans)
    for number, row in enumerate(rows):
        for place, one in enumerate(row):
            laid["values"][number, place], laid["extents"][number, place], _ = one.samples
            _put(laid, number, place, one)
    return laid


def _empty(rows, shape: tuple[int, ...], count: int, most: int, spans: int) -> dict:
    """Return the arrays of rows without sounds."""
    most = max([most, *map(len, rows)])
    laid = empty_media(max(count, len(rows)), most, shape, np.dtype(np.float32))
    laid["extents"] = laid["extents"][..., :1]
    if spans:
        laid["masks"] = np.zeros((*laid["slots"].shape, 2, spans, 2), np.int32)
    return laid


def _put(laid: dict[str, np.ndarray], row: int, place: int, one: Heard) -> None:
    """Note where a sound stands in its row, and what is hidden of it."""
    laid["slots"][row, place], laid["lengths"][row, place] = one.slot, one.tokens
    if one.masks is not None:
        laid["masks"][row, place] = one.masks


def lay_out_made(
    rows: Sequence[Sequence[Heard]], name: str, like: np.ndarray, *, count: int = 0, most: int = 0
) -> dict[str, np.ndarray]:
    """Return what frozen encoders made of the sounds of rows as arrays.

    Args:
      name: under which a batch holds it. like: what was made of the sound with the most tokens.
      count, most: rows, and sounds of a row, that there is room for at least.

    Returns:
      name float[R, I, N, ...]; slots, lengths i32[R, I] as of ``lay_out_sounds``.
    """
    most = max([most, *map(len, rows)])
    laid = empty_media(max(count, len(rows)), most, like.shape, like.dtype)
    del laid["extents"]
    for number, row in enumerate(rows):
        for place, one in enumerate(row):
            laid["values"][number, place, : len(one.samples)] = one.samples
            laid["slots"][number, place], laid["lengths"][number, place] = one.slot, one.tokens
    laid[name] = laid.pop("values")
    return laid
