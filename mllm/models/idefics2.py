"""Idefics2 (Laurençon et al. 2024, arXiv:2405.02246): images of any size through SigLIP with NaViT
positions, a gated MLP and a perceiver resampler, before a Mistral decoder.
"""

from dataclasses import dataclass
from typing import ClassVar

import flax.linen as nn
import jax

from mllm.models.decoder import DecoderConfig
from mllm.models.layers import ACTIVATIONS, Dense
from mllm.models.multimodal import Multimodal, functions_of
from mllm.models.navit import real_patches
from mllm.models.perceiver import Resampler, ResamplerConfig
from mllm.models.vit import VisionConfig, VisionTower


@dataclass(frozen=True)
class ConnectorConfig:
    """A gated MLP from the tower's width to the decoder's."""

    mlp_width: int
    width: int
    activation: str = "silu"
    lora_dropout: float = 0.0


class Connector(nn.Module):
    config: ConnectorConfig

    @nn.compact
    def __call__(self, features: jax.Array) -> jax.Array:
        """Map features float[B, N, D_vision] to float[B, N, D]."""
        c = self.config

        def dense(count: int, name: str) -> Dense:
            return Dense(count, lora_dropout=c.lora_dropout, name=name)

        gate = ACTIVATIONS[c.activation](dense(c.mlp_width, "gate")(features))
        return dense(c.width, "down")(gate * dense(c.mlp_width, "up")(features))


@dataclass(frozen=True)
class Idefics2Config:
    """A whole model; ``dtype`` is that of activations."""

    decoder: DecoderConfig
    vision: VisionConfig
    connector: ConnectorConfig
    resampler: ResamplerConfig
    dtype: str = "float32"
    any_size: ClassVar[bool] = True  # images of all sizes take equally many tokens

    @property
    def image_tokens(self) -> int:
        """N, the tokens of one image, or of one crop of a split image."""
        return self.resampler.latents


class Idefics2(Multimodal):
    config: Idefics2Config

    def setup_media(self):
        self.vision = VisionTower(self.config.vision)
        self.connector = Connector(self.config.connector)
        self.resampler = Resampler(self.config.resampler)

    def encode_pixels(self, pixels: jax.Array, extents: jax.Array | None) -> jax.Array:
        features = self.connector(self.vision(pixels, extents))
        real = real_patches(self.config.vision, pixels.shape, extents)
        return self.resampler(features, real.reshape(features.shape[:2]))


init, abstract, look_media, encode_media, hidden, head, stages, instructed = functions_of(Idefics2)
