"""The sounds of training rows, decoded when a batch is made, and those of any rows as arrays.

R rows, I sounds of a row, S samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from mllm.data.audio import HOP, RATE
from mllm.data.conversation import Example
from mllm.data.packing import round_up
from mllm.data.pictures import media_of, shown_in
from mllm.data.processor import Processor
from mllm.data.rows import empty_media
from mllm.data.tokenized import Tokenized


class Heard(NamedTuple):
    """A sound in a row.

    Attributes:
      slot: index of its first token. tokens: how many it has. samples: float32[S].
    """

    slot: int
    tokens: int
    samples: np.ndarray


def sound_room(samples: int, window: int) -> int:
    """Return the room for sounds of at most ``samples`` samples: whole seconds, or the window.

    Two frames of silence follow the longest sound, as far as an encoder sees beyond its end; so
    what it makes of a sound does not depend on the room.
    """
    return min(round_up(samples + 2 * HOP, RATE), window)


def lay_out_sounds(
    rows: Sequence[Sequence[Heard]], window: int, *, count: int = 0, most: int = 0, longest: int = 0
) -> dict[str, np.ndarray]:
    """Return the sounds of rows as arrays.

    Args:
      window: samples of the longest sound that the model hears.
      count, most, longest: rows, sounds of a row and samples of a sound that there is room for at
        least.

    Returns:
      values float32[R, I, S], followed by silence; slots, lengths i32[R, I], the first token and
      the number of tokens of each (-1 and 0: none); extents i32[R, I, 1], real samples of each.
    """
    most = max([most, *map(len, rows)])
    lengths = [len(one.samples) for row in rows for one in row]
    room = sound_room(max([longest, *lengths]), window)
    laid = empty_media(max(count, len(rows)), most, (room,), np.dtype(np.float32))
    laid["extents"] = laid["extents"][..., :1]
    for number, row in enumerate(rows):
        for place, one in enumerate(row):
            laid["values"][number, place, : len(one.samples)] = one.samples
            laid["slots"][number, place], laid["lengths"][number, place] = one.slot, one.tokens
            laid["extents"][number, place] = len(one.samples)
    return laid


@dataclass(frozen=True)
class Sounds:
    """What the encoder hears of the sounds of a run.

    Attributes:
      processor: decodes them.
      most: sounds of the example that has the most of them. longest: samples of the longest one.
    """

    processor: Processor
    most: int
    longest: int

    @classmethod
    def of(
        cls, examples: Sequence[Tokenized], source: Sequence[Example], processor: Processor
    ) -> "Sounds | None":
        """Find how much room the sounds of a run take; None if there are none."""
        most = max((len(example.of_kind("audio")) for example in examples), default=0)
        if not most:
            return None
        lengths = {}
        for example in examples:
            for medium, number in example.of_kind("audio"):
                if number not in lengths:
                    where = f"example {example.name}"
                    lengths[number] = processor.samples(media_of(source, example, medium), where)
        return cls(processor, most, max(lengths.values()))

    def lay_out(
        self, rows: Sequence[Sequence[Tokenized]], count: int, source: Sequence[Example]
    ) -> dict[str, np.ndarray]:
        """Return the sounds of packed rows; see ``lay_out_sounds``.

        Args:
          count: rows of the batch. source: the examples with their media.
        """
        heard = [[] for _ in rows]
        for number, row in enumerate(rows):
            for one in shown_in(number, row, "audio"):
                name, where = one.example.pictures[one.medium], f"example {one.example.name}"
                read = partial(media_of, source, one.example, one.medium)
                samples = self.processor.heard(int(name), read, where)
                heard[number].append(Heard(one.slots[0], one.lengths[0], samples))
        most = round_up(max(map(len, heard)), self.most)
        window = self.processor.config.audio.window
        return lay_out_sounds(heard, window, count=count, most=most, longest=self.longest)
