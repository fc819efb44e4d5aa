"""The sounds of training rows, decoded when a batch is made, and those of any rows as arrays.

R rows, I sounds of a row, S samples, N tokens of a sound.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np

from mllm.data.audio import HOP, RATE
from mllm.data.conversation import Example
from mllm.data.packing import round_up
from mllm.data.pictures import media_of, shown_in
from mllm.data.processor import Processor
from mllm.data.rows import empty_media
from mllm.data.sound_views import SoundViews, draw_spans, mix
from mllm.data.tokenized import Tokenized


class Heard(NamedTuple):
    """A sound in a row.

    Attributes:
      slot: index of its first token. tokens: how many it has.
      samples: float32[S]; or float[N, ...], what frozen encoders made of it.
      masks: i32[2, spans, 2] of ``mllm.data.sound_views.draw_spans``; None hides nothing.
    """

    slot: int
    tokens: int
    samples: np.ndarray
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
    most = max([most, *map(len, rows)])
    lengths = [len(one.samples) for row in rows for one in row]
    room = sound_room(max([longest, *lengths]), window)
    laid = empty_media(max(count, len(rows)), most, (room,), np.dtype(np.float32))
    laid["extents"] = laid["extents"][..., :1]
    if spans:
        laid["masks"] = np.zeros((*laid["slots"].shape, 2, spans, 2), np.int32)
    for number, row in enumerate(rows):
        for place, one in enumerate(row):
            laid["values"][number, place, : len(one.samples)] = one.samples
            laid["slots"][number, place], laid["lengths"][number, place] = one.slot, one.tokens
            laid["extents"][number, place] = len(one.samples)
            if one.masks is not None:
                laid["masks"][number, place] = one.masks
    return laid


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


@dataclass(frozen=True)
class Sounds:
    """What the encoder hears of the sounds of a run.

    Attributes:
      processor: decodes them.
      most: sounds of the example that has the most of them. longest: samples of the longest one.
      views: what is heard instead of a sound; None hears the sound itself.
      bins: of the encoder's spectrogram, of which views hide some.
      made: what frozen encoders make of each sound, float[N, ...] by its number, or None. Batches
        then hold it instead of samples, under the name ``made_as``.
    """

    processor: Processor
    most: int
    longest: int
    views: SoundViews | None = None
    bins: int = 0
    made: Mapping[int, np.ndarray] | None = None
    made_as: str = "tokens"

    @classmethod
    def of(
        cls,
        examples: Sequence[Tokenized],
        source: Sequence[Example],
        processor: Processor,
        views: SoundViews | None = None,
        bins: int = 0,
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
        return cls(processor, most, max(lengths.values()), views, bins)

    def all(
        self, examples: Sequence[Tokenized], source: Sequence[Example]
    ) -> Iterator[tuple[int, int, np.ndarray]]:
        """Yield (number, tokens, samples) of each sound of a run, once, in order."""
        seen = set()
        for example in examples:
            for medium, number in example.of_kind("audio"):
                if number not in seen:
                    seen.add(number)
                    tokens = int(example.spans[example.spans[:, 2] == medium, 1][0])
                    yield number, tokens, self._samples(example, medium, source)

    def lay_out(
        self,
        rows: Sequence[Sequence[Tokenized]],
        count: int,
        source: Sequence[Example],
        rng: np.random.Generator,
        others: Sequence[Tokenized] = (),
    ) -> dict[str, np.ndarray]:
        """Return the sounds of packed rows; see ``lay_out_sounds`` and ``lay_out_made``.

        Args:
          count: rows of the batch. source: the examples with their media. rng: of random views.
          others: examples whose sounds may be mixed in.
        """
        heard = [[] for _ in rows]
        for number, row in enumerate(rows):
            for one in shown_in(number, row, "audio"):
                place = one.slots[0], one.lengths[0]
                if self.made is not None:
                    found = self.made[int(one.example.pictures[one.medium])]
                    heard[number].append(Heard(*place, found))
                    continue
                samples = self._samples(one.example, one.medium, source)
                view = (samples, None)
                if self.views is not None:
                    view = self._view(samples, source, rng, others)
                heard[number].append(Heard(*place, *view))
        most = round_up(max(map(len, heard)), self.most)
        if self.made is not None:
            return lay_out_made(heard, self.made_as, self._longest_made, count=count, most=most)
        window, room = self.processor.config.audio.window, {"count": count, "most": most}
        spans = 0 if self.views is None else self.views.spans
        return lay_out_sounds(heard, window, **room, longest=self.longest, spans=spans)

    @cached_property
    def _longest_made(self) -> np.ndarray:
        return max(self.made.values(), key=len)

    def _samples(self, example: Tokenized, medium: int, source: Sequence[Example]) -> np.ndarray:
        read = partial(media_of, source, example, medium)
        return self.processor.heard(int(example.pictures[medium]), read, f"example {example.name}")

    def _view(
        self,
        samples: np.ndarray,
        source: Sequence[Example],
        rng: np.random.Generator,
        others: Sequence[Tokenized],
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return a random view of a sound: its samples, and what is hidden of its spectrogram."""
        views, masks = self.views, None
        if views.spans:
            masks = draw_spans(views, max(len(samples) // HOP, 1), self.bins, rng)
        if rng.random() < views.mixed:
            other = others[rng.integers(len(others))]
            if shown := other.of_kind("audio"):
                medium, _ = shown[rng.integers(len(shown))]
                added = self._samples(other, medium, source)
                samples = mix(samples, added, rng.uniform(0, views.share))
        return samples, masks
