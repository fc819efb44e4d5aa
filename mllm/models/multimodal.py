"""What all families share: a tower turns images into tokens, which take the places of a run of
image tokens, and a decoder reads them all.

A family is a module of flax with a config (fields ``decoder``, ``vision``, ``dtype``, number
``image_tokens``) and one method ``encode_pixels``; ``functions_of`` makes of it the five pure
functions of (config, variables, batch) that everything outside ``mllm.models`` calls, where
``variables`` is {"params": ...} or {"params": ..., "lora": ...}.

B batch, I images a row, H and W pixels, N tokens an image, T tokens, D width, V vocabulary.
"""

from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from mllm.models.decoder import Cache, Decoder
from mllm.ops.attention import Structure, causal

Variables = dict[str, dict]
Batch = dict[str, jax.Array]


class Multimodal(nn.Module):
    """The base of a family: ``setup_media`` declares what ``encode_pixels`` uses."""

    config: object

    def setup(self):
        self.decoder = Decoder(self.config.decoder)
        if self.config.vision is not None:
            self.setup_media()

    def setup_media(self):
        raise NotImplementedError(f"{type(self).__name__} declares no tower")

    def encode_pixels(self, pixels: jax.Array, extents: jax.Array | None) -> jax.Array:
        """Normalised pixels float[B, H, W, 3] with extents i32[B, 2] -> tokens float[B, N, D]."""
        raise NotImplementedError(f"{type(self).__name__} encodes no images")

    def embed(self, tokens, media, image_slots):
        """float[B, T, D]: embedded tokens with media in their places."""
        x = self.decoder.embed(tokens, self.config.dtype)
        return x if media is None else place_media(x, media, image_slots)

    def hidden(self, tokens, positions, structure, media, image_slots, cache, write_at):
        x = self.embed(tokens, media, image_slots)
        return self.decoder(x, positions, structure, cache=cache, write_at=write_at)

    def head(self):
        return self.decoder.head()

    def __call__(self, tokens, positions, structure, pixels=None, image_slots=None):
        media = None if pixels is None else self.encode_pixels(pixels, None)[:, None]
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


def normalise(config, images: jax.Array) -> jax.Array:
    """u8[..., 3] images -> float32 pixels with the tower's mean and standard deviation."""
    mean, std = (jnp.asarray(x, jnp.float32) for x in (config.vision.mean, config.vision.std))
    return (images.astype(jnp.float32) / 255.0 - mean) / std


class Functions(NamedTuple):
    """The five functions of a family; see ``functions_of``."""

    init: object
    abstract: object
    encode_media: object
    hidden: object
    head: object


def functions_of(family: type[Multimodal]) -> Functions:
    """The functions by which a family is used; they differ in nothing but the module."""

    @partial(jax.jit, static_argnums=0)
    def init(config, key: jax.Array) -> Variables:
        """Random float32 parameters, {"params": tree}."""
        tokens = jnp.zeros((1, max(config.image_tokens, 1)), jnp.int32)
        arguments = tokens, tokens, causal(tokens, tokens)
        if config.vision is not None:
            size = config.vision.image_size
            arguments += jnp.zeros((1, size, size, 3)), jnp.zeros((1, 1), jnp.int32)
        return {"params": family(config).init(key, *arguments)["params"]}

    def abstract(config) -> Variables:
        """The tree of ``init`` as ShapeDtypeStructs: shapes for restoring, sharding and
        ahead-of-time compilation.
        """
        return jax.eval_shape(partial(init, config), jax.random.key(0))

    def encode_media(
        config,
        variables: Variables,
        images: jax.Array,
        extents: jax.Array | None = None,
        key: jax.Array | None = None,
    ) -> jax.Array:
        """Images u8[B, I, H, W, 3], or normalised pixels of a float dtype -> projected tokens
        float[B, I, N, D].

        Args:
          extents: i32[B, I, 2], height and width of what is image; None takes all of it.
          key: of dropout on the inputs of low-rank updates; None drops nothing.
        """
        flat = images.reshape(-1, *images.shape[2:])
        pixels = flat
        if images.dtype == jnp.uint8:
            pixels = normalise(config, flat)
            if extents is not None:  # padding is 0 behind normalisation, as published
                rows, columns = (jnp.arange(n) for n in images.shape[2:4])
                height, width = jnp.moveaxis(extents.reshape(-1, 2), -1, 0)
                inside = (rows < height[:, None])[:, :, None] & (columns < width[:, None])[:, None]
                pixels = jnp.where(inside[..., None], pixels, 0)
        real = None if extents is None else extents.reshape(-1, 2)
        media = family(config).apply(
            variables,
            pixels.astype(config.dtype),
            real,
            method="encode_pixels",
            rngs=_rngs(key),
        )
        return media.reshape(*images.shape[:2], *media.shape[1:])

    def hidden(
        config,
        variables: Variables,
        batch: Batch,
        *,
        media: jax.Array | None = None,
        structure: Structure | None = None,
        cache: Cache | None = None,
        write_at: jax.Array | int = 0,
        key: jax.Array | None = None,
    ) -> tuple[jax.Array, Cache | None]:
        """Final states float[B, T, D] of a batch, and the cache with its keys and values where one
        is given.

        Args:
          batch: ``tokens``, ``positions``, ``segments`` i32[B, T]; with images also ``images``
            u8[B, I, H, W, 3], ``image_slots`` i32[B, I], the index of each image's first token
            (-1: no image), and for images of several sizes ``image_extents`` i32[B, I, 2].
          media: projected tokens [B, I, N, D] in place of ``images``.
          structure: defaults to the causal one of ``positions`` and ``segments``.
          key: of dropout on the inputs of low-rank updates; None drops nothing.
        """
        keys = (None, None) if key is None else jax.random.split(key)
        if media is None and config.vision is not None and "images" in batch:
            extents = batch.get("image_extents")
            media = encode_media(config, variables, batch["images"], extents, keys[0])
        if structure is None:
            structure = causal(batch["positions"], batch["segments"])
        slots = batch.get("image_slots")
        arguments = batch["tokens"], batch["positions"], structure, media, slots, cache, write_at
        return family(config).apply(variables, *arguments, method="hidden", rngs=_rngs(keys[1]))

    def head(config, variables: Variables) -> jax.Array:
        """float[D, V], the map from final states to logits."""
        return family(config).apply(variables, method="head")

    return Functions(init, abstract, encode_media, hidden, head)


def _rngs(key: jax.Array | None) -> dict[str, jax.Array]:
    return {} if key is None else {"dropout": key}
