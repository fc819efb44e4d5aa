"""LLaVA (Liu et al. 2023): a vision tower, a projector and a decoder that reads projected patches
as tokens.

Everything outside this file calls the five functions at its end: pure functions of (config,
variables, batch), where ``variables`` is {"params": ...} or {"params": ..., "lora": ...}.

B batch, I images a row, N tokens an image, T tokens, D width, V vocabulary.
"""

from dataclasses import dataclass
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from mllm.models.decoder import Cache, Decoder, DecoderConfig
from mllm.models.projector import Projector, ProjectorConfig
from mllm.models.vit import VisionConfig, VisionTower
from mllm.ops.attention import Structure, causal

Variables = dict[str, dict]
Batch = dict[str, jax.Array]


@dataclass(frozen=True)
class LlavaConfig:
    """A whole model; ``vision`` and ``projector`` are None for a text-only one. ``dtype`` is that
    of activations.
    """

    decoder: DecoderConfig
    vision: VisionConfig | None = None
    projector: ProjectorConfig | None = None
    dtype: str = "float32"

    @property
    def image_tokens(self) -> int:
        """N, the tokens one image takes in a row."""
        if self.vision is None:
            return 0
        patches = (self.vision.grid // self.projector.pool) ** 2
        return patches + int(self.vision.class_token and self.vision.keep_class_token)


class Llava(nn.Module):
    config: LlavaConfig

    def setup(self):
        c = self.config
        self.decoder = Decoder(c.decoder)
        if c.vision is not None:
            self.vision = VisionTower(c.vision)
            self.projector = Projector(c.projector)

    def encode_pixels(self, pixels: jax.Array) -> jax.Array:
        return self.projector(self.vision(pixels.astype(self.config.dtype)))

    def hidden(self, tokens, positions, structure, media, image_slots, cache, write_at):
        x = self.decoder.embed(tokens, self.config.dtype)
        if media is not None:
            x = place_media(x, media, image_slots)
        return self.decoder(x, positions, structure, cache=cache, write_at=write_at)

    def head(self):
        return self.decoder.head()

    def __call__(self, tokens, positions, structure, pixels=None, image_slots=None):
        media = None if pixels is None else self.encode_pixels(pixels)[:, None]
        return self.hidden(tokens, positions, structure, media, image_slots, None, 0)


def place_media(x: jax.Array, media: jax.Array, image_slots: jax.Array) -> jax.Array:
    """Write media float[B, I, N, D] over the embeddings float[B, T, D] from slots i32[B, I] on;
    slot -1 writes nothing.
    """
    batch, _, count, width = media.shape
    index = image_slots[:, :, None] + jnp.arange(count)
    index = jnp.where(image_slots[:, :, None] < 0, x.shape[1], index).reshape(batch, -1)
    rows = jnp.arange(batch)[:, None]
    return x.at[rows, index].set(media.reshape(batch, -1, width).astype(x.dtype), mode="drop")


def _dummy(config: LlavaConfig) -> tuple:
    count = max(config.image_tokens, 1)
    tokens = jnp.zeros((1, count), jnp.int32)
    if config.vision is None:
        return tokens, tokens, causal(tokens)
    size = config.vision.image_size
    return (
        tokens,
        tokens,
        causal(tokens),
        jnp.zeros((1, size, size, 3)),
        jnp.zeros((1, 1), jnp.int32),
    )


@partial(jax.jit, static_argnums=0)
def init(config: LlavaConfig, key: jax.Array) -> Variables:
    """Random float32 parameters, {"params": tree}."""
    return {"params": Llava(config).init(key, *_dummy(config))["params"]}


def abstract(config: LlavaConfig) -> Variables:
    """The tree of ``init`` as ShapeDtypeStructs: shapes for restoring, sharding and ahead-of-time
    compilation.
    """
    return jax.eval_shape(partial(init, config), jax.random.key(0))


def normalise(config: LlavaConfig, images: jax.Array) -> jax.Array:
    """u8[..., 3] images -> float32 pixels with the tower's mean and standard deviation."""
    mean, std = (jnp.asarray(x, jnp.float32) for x in (config.vision.mean, config.vision.std))
    return (images.astype(jnp.float32) / 255.0 - mean) / std


def encode_media(config: LlavaConfig, variables: Variables, images: jax.Array) -> jax.Array:
    """Images u8[B, I, H, W, 3], or normalised pixels of a float dtype -> projected tokens float[B,
    I, N, D].
    """
    pixels = normalise(config, images) if images.dtype == jnp.uint8 else images
    flat = pixels.reshape(-1, *pixels.shape[2:])
    media = Llava(config).apply(variables, flat, method="encode_pixels")
    return media.reshape(*images.shape[:2], *media.shape[1:])


def hidden(
    config: LlavaConfig,
    variables: Variables,
    batch: Batch,
    *,
    media: jax.Array | None = None,
    structure: Structure | None = None,
    cache: Cache | None = None,
    write_at: jax.Array | int = 0,
) -> tuple[jax.Array, Cache | None]:
    """Final states float[B, T, D] of a batch, and the cache with its keys and values where one is
    given.

    Args:
      batch: ``tokens``, ``positions``, ``segments`` i32[B, T]; with images also ``images`` u8[B, I,
        H, W, 3] and ``image_slots`` i32[B, I], the index of each image's first token (-1: no
        image).
      media: projected tokens [B, I, N, D] in place of ``images``.
      structure: defaults to the causal one of ``segments``.
    """
    if media is None and config.vision is not None and "images" in batch:
        media = encode_media(config, variables, batch["images"])
    structure = causal(batch["segments"]) if structure is None else structure
    slots = batch.get("image_slots")
    arguments = batch["tokens"], batch["positions"], structure, media, slots, cache, write_at
    return Llava(config).apply(variables, *arguments, method="hidden")


def head(config: LlavaConfig, variables: Variables) -> jax.Array:
    """float[D, V], the map from final states to logits."""
    return Llava(config).apply(variables, method="head")
