"""LLaVA-1.5 (Liu et al. 2023, arXiv:2310.03744): CLIP's patches, a projector, a decoder."""

from dataclasses import dataclass
from typing import ClassVar

import jax

from mllm.models.decoder import DecoderConfig
from mllm.models.multimodal import Multimodal, functions_of
from mllm.models.projector import Projector, ProjectorConfig
from mllm.models.vit import VisionConfig, VisionTower


@dataclass(frozen=True)
class LlavaConfig:
    """A whole model; ``vision`` and ``projector`` are None for a text-only one. ``dtype`` is that
    of activations.
    """

    decoder: DecoderConfig
    vision: VisionConfig | None = None
    projector: ProjectorConfig | None = None
    dtype: str = "float32"
    any_size: ClassVar[bool] = False  # whether images of all sizes take equally many tokens

    @property
    def image_tokens(self) -> int:
        """N, the tokens of one image."""
        if self.vision is None:
            return 0
        if self.projector.pool == 1:
            return self.vision.tokens
        return (self.vision.grid // self.projector.pool) ** 2


class Llava(Multimodal):
    config: LlavaConfig

    def setup_media(self):
        self.vision = VisionTower(self.config.vision)
        self.projector = Projector(self.config.projector)

    def encode_pixels(self, pixels: jax.Array, extents: jax.Array | None) -> jax.Array:
        return self.projector(self.vision(pixels.astype(self.config.dtype), extents))


init, abstract, look_media, encode_media, hidden, head, stages, instructed = functions_of(Llava)
