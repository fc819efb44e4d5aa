"""Examples of a model that reads pictures as codes: its autoencoder encodes each picture once."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial

import numpy as np

from mllm.checkpoints.loaded import Loaded
from mllm.data.codes import CodesConfig
from mllm.data.conversation import Example, Media, Turn, codes
from mllm.data.source import Source
from mllm.evaluation.codec import Codec, codec_of, with_codes

TOGETHER = 64  # examples whose pictures are encoded together

Encode = Callable[[Sequence[Sequence[Turn]]], list[tuple[Turn, ...]]]


class Coded(Source[Example]):
    """Examples in which codes stand for images. What was read last is kept."""

    def __init__(self, source: Sequence[Example], encode: Encode):
        self._source, self._encode = source, encode
        self._some = lru_cache(1)(self._read_some)

    def __len__(self) -> int:
        return len(self._source)

    def read(self, number: int) -> Example:
        return self._some(number // TOGETHER)[number % TOGETHER]

    def _read_some(self, place: int) -> list[Example]:
        numbers = range(len(self))[place * TOGETHER : (place + 1) * TOGETHER]
        examples = [self._source[number] for number in numbers]
        turns = self._encode([example.turns for example in examples])
        return [replace(e, turns=said) for e, said in zip(examples, turns, strict=True)]


def in_codes(source: Sequence[Example], loaded: Loaded) -> Sequence[Example]:
    """Return the examples as a model reads them: with codes for images, if it has a codec.

    A model that is only described has no weights to encode with; there each picture gets codes of
    its own that follow from its content, which take as much room and are shared alike.
    """
    tokens = getattr(loaded.processor.config, "codes", None)
    if codec_of(loaded) is None or tokens is None:
        return source
    if not loaded.variables:
        return Coded(source, partial(with_codes, encode=partial(map, partial(_stand_in, tokens))))
    return Coded(source, Codec(loaded).turns)


def _stand_in(tokens: CodesConfig, media: Media) -> Media:
    rng = np.random.default_rng(int(media.digest, 16))
    return codes(rng.integers(0, tokens.size, tokens.length))
