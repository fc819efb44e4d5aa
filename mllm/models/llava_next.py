"""LLaVA-NeXT (Liu et al. 2024, https://llava-vl.github.io/blog/2024-01-30-llava-next): LLaVA-1.5 on
the tiles of a picture, stitched together and freed of padding, with a learned token at the end of
each row.

A tile gives N tokens: its patches, row by row, and one end for each row. Which of them stand where
follows from the shape of the picture (``mllm.data.anyres``) and is part of the batch: ``offsets``.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mllm.models.decoder import DecoderConfig
from mllm.models.multimodal import Multimodal, functions_of
from mllm.models.projector import Projector, ProjectorConfig
from mllm.models.vit import VisionConfig, VisionTower


@dataclass(frozen=True)
class LlavaNextConfig:
    """A whole model; ``dtype`` is that of activations.

    Attributes:
      grids: (rows, columns) of tiles of the canvases on which a picture is shown enlarged; tiles
        have ``vision.image_size`` pixels along a side.

    Raises:
      ValueError: the tower passes on a class token, which no stitched grid has a place for.
    """

    decoder: DecoderConfig
    vision: VisionConfig
    projector: ProjectorConfig
    grids: tuple[tuple[int, int], ...] = ((1, 2), (2, 1), (2, 2), (3, 1), (1, 3))
    dtype: str = "float32"
    any_size: ClassVar[bool] = False  # whether images of all sizes take equally many tokens

    def __post_init__(self):
        object.__setattr__(self, "grids", tuple(map(tuple, self.grids)))  # JSON has lists
        if self.vision.class_token and not self.vision.drop_first:
            raise ValueError(
                "vision.drop_first is False with a class token, expected True: only patches can be "
                "stitched together"
            )

    @property
    def cells(self) -> int:
        """Tokens along a side of a tile."""
        return self.vision.grid // self.projector.pool

    @property
    def image_tokens(self) -> int:
        """N, the tokens of one tile of an image, with the ends of its rows."""
        return self.cells**2 + self.cells

    @property
    def largest(self) -> tuple[int, int]:
        """Tiles and tokens of the pictures that have the most of each."""
        tiles = 1 + max(rows * columns for rows, columns in self.grids)
        sides = [(rows * self.cells, columns * self.cells) for rows, columns in self.grids]
        return tiles, self.cells**2 + max(height * (width + 1) for height, width in sides)

    @property
    def pictures(self) -> dict[str, Any]:
        """What a processor must know to prepare pictures for this model."""
        side = self.vision.image_size
        known = {"transform": "anyres", "image_size": side, "grids": self.grids}
        return known | {"cells": self.cells, "image_block": "plain"}


class LlavaNext(Multimodal):
    config: LlavaNextConfig

    def setup_media(self):
        width = self.config.decoder.width
        self.vision = VisionTower(self.config.vision)
        self.projector = Projector(self.config.projector)
        self.newline = self.param("newline", nn.initializers.normal(width**-0.5), (width,))

    def encode_pixels(self, pixels: jax.Array, extents: jax.Array | None) -> jax.Array:
        features = self.projector(self.vision(pixels.astype(self.config.dtype), extents))
        ends = self.newline.astype(features.dtype)
        ends = jnp.broadcast_to(ends, (len(features), self.config.cells, len(ends)))
        return jnp.concatenate([features, ends], axis=1)

    def parts(self, encoded: jax.Array) -> dict[str, jax.Array]:
        count = self.config.cells**2
        return {"image tokens": encoded[:, :count], "newline": encoded[0, count]}


init, abstract, look_media, encode_media, hidden, head, stages, instructed = functions_of(LlavaNext)
