"""A decoder that hears: an audio encoder, a linear map, a decoder; it may see pictures too.

With Whisper's encoder, whose steps are averaged in pairs, it is Qwen2-Audio (Chu et al. 2024,
arXiv:2407.10759); with a vision transformer over filter banks, LTU (Gong et al. 2023,
arXiv:2305.10790). Pictures are seen as in LLaVA.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp

from mllm.models.decoder import DecoderConfig
from mllm.models.encoders.audio_vit import AudioVit, AudioVitConfig
from mllm.models.encoders.whisper import WhisperConfig, WhisperEncoder
from mllm.models.layers import Dense
from mllm.models.multimodal import Multimodal, functions_of
from mllm.models.projector import Projector, ProjectorConfig
from mllm.models.vit import VisionConfig, VisionTower
from mllm.ops.mel import FRAME, mask_spans

TOWERS = {"whisper": WhisperEncoder, "audio_vit": AudioVit}  # by ``kind`` of their config


@dataclass(frozen=True)
class ListenerConfig:
    """A whole model; ``vision`` and ``projector`` are None for one that sees nothing. ``dtype`` is
    that of activations.
    """

    decoder: DecoderConfig
    audio: WhisperConfig | AudioVitConfig
    vision: VisionConfig | None = None
    projector: ProjectorConfig | None = None
    dtype: str = "float32"
    any_size: ClassVar[bool] = False  # whether images of all sizes take equally many tokens

    @property
    def image_tokens(self) -> int:
        """N, the tokens of one image."""
        if self.vision is None:
            return 0
        pool = self.projector.pool
        return self.vision.tokens if pool == 1 else (self.vision.grid // pool) ** 2


class Listener(Multimodal):
    config: ListenerConfig

    def setup(self):
        super().setup()
        self.audio = TOWERS[self.config.audio.kind](self.config.audio)
        self.audio_projector = Dense(self.config.decoder.width, True)

    def setup_media(self):
        self.vision = VisionTower(self.config.vision)
        self.projector = Projector(self.config.projector)

    def encode_pixels(self, pixels: jax.Array, extents: jax.Array | None) -> jax.Array:
        return self.projector(self.vision(pixels.astype(self.config.dtype), extents))

    def encode(self, kind: str, values: jax.Array, extents: jax.Array | None, *masks) -> jax.Array:
        """Encode media of one kind, as ``Multimodal.encode``; sounds are samples float[B, I, S] or
        spectrograms float[B, I, F, bins], of extents i32[B, I, 1].
        """
        if kind != "audio":
            return super().encode(kind, values, extents)
        return self.project(kind, self.look(kind, values, extents, *masks))

    def look(self, kind: str, values: jax.Array, extents: jax.Array | None, *masks) -> jax.Array:
        """Return what the audio encoder makes of sounds, float[B * I, N, W]; see ``encode``."""
        if kind != "audio":
            return super().look(kind, values, extents)
        values = values.reshape(-1, *values.shape[2:])
        mel, frames = self.audio.spectrogram(values, extents.reshape(-1, 1))
        for spans in masks:
            mel = mask_spans(mel, spans.reshape(-1, *spans.shape[2:]))
        return self.audio(mel.astype(self.config.dtype), frames)

    def project(self, kind: str, features: jax.Array) -> jax.Array:
        """Return the tokens float[B, N, D] of what ``look`` returns."""
        return self.audio_projector(features.astype(self.config.dtype))

    def require_images(self, kind: str) -> None:
        if kind != "image" or self.config.vision is None:
            taken = "text and sounds" + ", and images" * (self.config.vision is not None)
            raise ValueError(f"Listener was given media of kind {kind!r}, but takes {taken}")

    def __call__(self, tokens, structure, pixels=None, slots=None):
        if self.is_initializing():
            self.encode("audio", jnp.zeros((1, 1, 4 * FRAME)), jnp.ones((1, 1, 1), jnp.int32))
        return super().__call__(tokens, structure, pixels, slots)


def spectrograms(
    config: ListenerConfig, values: jax.Array, extents: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Return what ``encode`` takes in place of samples, and makes of them itself otherwise.

    Args:
      values: float[B, I, S]. extents: i32[B, I, 1], real samples of each.

    Returns:
      (spectrograms float32[B, I, F, bins], real frames i32[B, I, 1]).
    """
    flat = values.reshape(-1, *values.shape[2:])
    mel, frames = TOWERS[config.audio.kind](config.audio).spectrogram(flat, extents.reshape(-1, 1))
    return mel.reshape(*values.shape[:2], *mel.shape[1:]), frames.reshape(extents.shape)


init, abstract, look_media, encode_media, hidden, head, stages, instructed = functions_of(Listener)
