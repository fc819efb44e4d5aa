"""The part of a processor that turns sounds into the samples that a model hears."""

from collections.abc import Callable
from functools import cached_property

import numpy as np

from mllm.data import audio
from mllm.data.blocks import show_sounds, special
from mllm.data.cache import Cache
from mllm.data.conversation import Media
from mllm.data.encoded import TokenRun, content_number
from mllm.data.picture_tiles import Layout, PictureTiles

KEPT = 256 * 2**20  # bytes of decoded sounds kept at hand: more than an hour


class SoundSamples(PictureTiles):
    """How sounds are decoded and written, besides pictures."""

    def layout(self, media: Media, where: str = "medium") -> Layout:
        """Return how a medium is written: how many tokens a sound takes follows from its length."""
        if media.kind != "audio":
            return super().layout(media, where)
        config = self.config.audio
        samples = 0 if config.tokens else self.samples(media, where)
        return Layout((0, 0), (TokenRun(config.tokens_of(samples)),))

    def samples(self, media: Media, where: str = "audio") -> int:
        """Return how many samples of a sound the model hears; it is decoded only once for that."""
        number = content_number(media)
        if number not in self._lengths:
            self._lengths[number] = len(self.heard(number, lambda: media, where))
        return self._lengths[number]

    def heard(self, number: int, read: Callable[[], Media], where: str = "audio") -> np.ndarray:
        """Return the samples float32[S] of the sound of a ``content_number``, which is read if they
        are not kept.

        Raises:
          ValueError: it cannot be decoded, or is too long; the message starts with ``where``.
        """

        def make() -> np.ndarray:
            return audio.fit(audio.decode(read().data, where), self.config.audio, where)

        return self._sounds.get(number, make, lambda sound: sound.nbytes)

    def show_sounds(self, text: str) -> str:
        """Return the text with the tokens of its sounds."""
        config = self.config.audio
        if config is None:
            return text
        names = config.token, config.begin, config.end
        return show_sounds(text, *("" if name is None else special(name) for name in names))

    def mark_sounds(self, text: str) -> str:
        """Return text in which names of tokens are those tokens, with what stands around sounds
        written as ``show_sounds`` reads it.
        """
        config = self.config.audio
        for name in () if config is None else filter(None, (config.begin, config.end)):
            text = text.replace(name, special(name))
        return text

    @cached_property
    def _lengths(self) -> dict[int, int]:
        return {}

    @cached_property
    def _sounds(self) -> Cache:
        return Cache(KEPT)
