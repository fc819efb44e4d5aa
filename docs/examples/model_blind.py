"""A decoder that sees no image: in its place it reads the embedding of the image token."""

from dataclasses import dataclass
from typing import ClassVar

from mllm.models.decoder import DecoderConfig
from mllm.models.multimodal import Multimodal, functions_of


@dataclass(frozen=True)
class BlindConfig:
    """A decoder without a tower; ``image_tokens`` is the room that an image takes in a row."""

    decoder: DecoderConfig
    image_tokens: int = 16
    dtype: str = "float32"
    vision: ClassVar[None] = None
    any_size: ClassVar[bool] = False  # whether images of all sizes take as many tokens


class Blind(Multimodal):
    config: BlindConfig
    ignored: ClassVar[frozenset[str]] = frozenset({"image"})


init, abstract, look_media, encode_media, hidden, head, stages, instructed = functions_of(Blind)
