"""Idefics3 (Laurençon et al. 2024, arXiv:2408.12637) and SmolVLM: SigLIP with NaViT positions,
whose neighbouring patches are joined and mapped by one matrix, before a Llama decoder.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax

from mllm.models.decoder import DecoderConfig
from mllm.models.layers import Dense
from mllm.models.multimodal import Multimodal, functions_of
from mllm.models.vit import VisionConfig, VisionTower


@dataclass(frozen=True)
class Idefics3Config:
    """A whole model. ``join`` x ``join`` patches become one token; ``dtype`` is that of
    activations.
    """

    decoder: DecoderConfig
    vision: VisionConfig
    join: int = 2
    lora_dropout: float = 0.0
    dtype: str = "float32"
    any_size: ClassVar[bool] = False  # whether images of all sizes take equally many tokens

    @property
    def image_tokens(self) -> int:
        """N, the tokens of one tile of an image."""
        return (self.vision.grid // self.join) ** 2


class Idefics3(Multimodal):
    config: Idefics3Config

    def setup_media(self):
        c = self.config
        self.vision = VisionTower(c.vision)
        self.connector = Dense(c.decoder.width, lora_dropout=c.lora_dropout)

    def encode_pixels(self, pixels: jax.Array, extents: jax.Array | None) -> jax.Array:
        return self.connector(join_patches(self.vision(pixels, extents), self.config.join))


def join_patches(features: jax.Array, join: int) -> jax.Array:
    """Join the features of each cell of join x join patches, row by row (pixel shuffle,
    arXiv:2408.12637, section 3.1).

    Args:
      features: float[B, N, D] of a square grid.

    Returns:
      float[B, N / join^2, join^2 * D].
    """
    batch, count, width = features.shape
    side = round(count**0.5) // join
    cells = features.reshape(batch, side, join, side, join, width)
    return cells.transpose(0, 1, 3, 2, 4, 5).reshape(batch, side * side, join * join * width)


init, abstract, look_media, encode_media, hidden, head, stages, instructed = functions_of(Idefics3)
