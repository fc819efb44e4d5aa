"""A decoder that reads and writes text and pictures alike, as one sequence of tokens: an
autoencoder turns a picture into codes, and codes into a picture (Ge et al. 2023, arXiv:2310.01218;
Chameleon Team 2024, arXiv:2405.09818).

The decoder sees ids alone, so a picture becomes ids before a batch is made, by ``encode_pictures``,
and a picture that was written is drawn by ``draw_pictures``.

B pictures, S pixels of a side, K codes of a picture, C width of a code.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp

from mllm.models.decoder import DecoderConfig
from mllm.models.multimodal import Batch, Multimodal, Variables, functions_of
from mllm.models.vq import VQ, VQConfig, to_images, to_pixels


@dataclass(frozen=True)
class InterleavedConfig:
    """A whole model; ``dtype`` is that of the decoder's activations."""

    codec: VQConfig
    decoder: DecoderConfig
    dtype: str = "float32"
    vision: ClassVar[None] = None
    any_size: ClassVar[bool] = False  # whether images of all sizes take equally many tokens

    @property
    def image_tokens(self) -> int:
        """The tokens of one picture: its codes between two marks."""
        return self.codec.length + 2


class Interleaved(Multimodal):
    config: InterleavedConfig

    def setup(self):
        super().setup()
        self.codec = VQ(self.config.codec)

    def __call__(self, tokens, structure):
        """Declare the parameters of both parts."""
        side = self.config.codec.image_size
        self.codec(jnp.zeros((1, side, side, 3)))
        return super().__call__(tokens, structure)

    def reconstruct(self, pixels: jax.Array):
        return self.codec(pixels)

    def encode_codes(self, pixels: jax.Array) -> jax.Array:
        return self.codec.encode(pixels).codes

    def decode_codes(self, codes: jax.Array) -> jax.Array:
        return self.codec.decode(codes)


init, abstract, look_media, encode_media, hidden, head, stages, instructed = functions_of(
    Interleaved
)


def encode_pictures(
    config: InterleavedConfig, variables: Variables, images: jax.Array
) -> jax.Array:
    """Return the codes i32[B, K] of images u8[B, S, S, 3]."""
    pixels = to_pixels(images)
    return Interleaved(config).apply(_params(variables), pixels, method="encode_codes")


def draw_pictures(config: InterleavedConfig, variables: Variables, codes: jax.Array) -> jax.Array:
    """Return the images u8[B, S, S, 3] of codes i32[B, K]."""
    drawn = Interleaved(config).apply(_params(variables), codes, method="decode_codes")
    return to_images(drawn)


def outputs(
    config: InterleavedConfig,
    variables: Variables,
    batch: Batch,
    *,
    key: jax.Array | None = None,
) -> dict[str, jax.Array]:
    """Return what the autoencoder makes of single pictures, for an objective that trains it.

    Args:
      batch: ``media`` with one image in each row, u8[B, 1, S, S, 3].
      key: of dropout, of which there is none here.

    Returns:
      "pixels" float32[B, S, S, 3] in [-1, 1], "drawn" alike, "vectors" and "chosen" float[B, K, C]
      and "codes" i32[B, K] (see ``mllm.models.vq.Coded``).
    """
    del key
    pixels = to_pixels(batch["media"]["image"]["values"][:, 0])
    coded, drawn = Interleaved(config).apply(_params(variables), pixels, method="reconstruct")
    return {"pixels": pixels, "drawn": drawn, **coded._asdict()}


def _params(variables: Variables) -> Variables:
    return {"params": variables["params"]}
