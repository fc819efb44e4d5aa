"""The sounds of training rows, decoded when a batch is made.

N tokens of a sound, F frames of its spectrogram.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from mllm.data.audio import HOP
from mllm.data.conversation import Example
from mllm.data.packing import round_up
from mllm.data.pictures import media_of, shown_in
from mllm.data.processor import Processor
from mllm.data.sound_rows import (
    Heard,
    Spectrum,
    lay_out_made,
    lay_out_sounds,
    lay_out_spectra,
)
from mllm.data.sound_views import SoundViews, draw_spans, mix
from mllm.data.tokenized import Tokenized


@dataclass(frozen=True)
class Sounds:
    """What the encoder hears of the sounds of a run.

    Attributes:
      processor: decodes them.
      most: sounds of the example that has the most of them. longest: samples of the longest one.
      views: what is heard instead of a sound; None hears the sound itself.
      bins: of the encoder's spectrogram, of which views hide some.
      spectra: of each sound by its number, or None. Batches then hold them instead of samples.
      made: what frozen encoders make of each sound, float[N, ...] by its number, or None. Batches
        then hold it instead of samples, under the name ``made_as``.
    """

    processor: Processor
    most: int
    longest: int
    views: SoundViews | None = None
    bins: int = 0
    spectra: Mapping[int, Spectrum] | None = None
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
                if self.spectra is not None:
                    found = self.spectra[int(one.example.pictures[one.medium])]
                    masks = None if self.views is None else self._drawn(found.samples, rng)[0]
                    heard[number].append(Heard(*place, found, masks))
                    continue
                samples = self._samples(one.example, one.medium, source)
                view = (samples, None)
                if self.views is not None:
                    view = self._view(samples, source, rng, others)
                heard[number].append(Heard(*place, *view))
        most = round_up(max(map(len, heard)), self.most)
        if self.made is not None:
            return lay_out_made(heard, self.made_as, self._longest_made, count=count, most=most)
        room = {
            "count": count,
            "most": most,
            "spans": 0 if self.views is None else self.views.spans,
        }
        if self.spectra is not None:
            shape = next(iter(self.spectra.values())).values.shape
            return lay_out_spectra(heard, shape, **room)
        return lay_out_sounds(
            heard, self.processor.config.audio.window, **room, longest=self.longest
        )

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
        masks, mixed = self._drawn(len(samples), rng)
        if mixed:
            other = others[rng.integers(len(others))]
            if shown := other.of_kind("audio"):
                medium, _ = shown[rng.integers(len(shown))]
                added = self._samples(other, medium, source)
                samples = mix(samples, added, rng.uniform(0, self.views.share))
        return samples, masks

    def _drawn(self, samples: int, rng: np.random.Generator) -> tuple[np.ndarray | None, bool]:
        """Return what is hidden of a sound of so many samples, and whether another is mixed in."""
        masks = None
        if self.views.spans:
            masks = draw_spans(self.views, max(samples // HOP, 1), self.bins, rng)
        return masks, rng.random() < self.views.mixed
