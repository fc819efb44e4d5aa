"""Media on their way into a model: pixels are normalised, and tokens are written to their places.

B rows, I media of a row, H and W pixels, N tokens of a medium, T tokens of a row, D width.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp


def place_media(
    x: jax.Array,
    media: jax.Array,
    slots: jax.Array,
    lengths: jax.Array | None = None,
    offsets: jax.Array | None = None,
) -> jax.Array:
    """Write tokens of media over embeddings.

    Args:
      x: float[B, T, D]. media: float[B, I, N, D]. slots: i32[B, I], where each begins; -1 writes
        nothing.
      lengths: i32[B, I], how many tokens of each are written; None writes all N.
      offsets: i32[B, I, N], where each token stands, counted from its slot; -1 does not write it.
        None writes one after the other.
    """
    batch, _, count, width = media.shape
    absent = slots[:, :, None] < 0
    if offsets is not None:
        absent = absent | (offsets < 0)
    else:
        offsets = jnp.arange(count)
        if lengths is not None:
            absent = absent | (offsets >= lengths[:, :, None])
    index = jnp.where(absent, x.shape[1], slots[:, :, None] + offsets).reshape(batch, -1)
    rows = jnp.arange(batch)[:, None]
    return x.at[rows, index].set(media.reshape(batch, -1, width).astype(x.dtype), mode="drop")


def place_all(x: jax.Array, media: Mapping[str, Mapping[str, jax.Array]]) -> jax.Array:
    """Write the tokens of media of all kinds over embeddings float[B, T, D].

    Args:
      media: of a batch, with ``tokens`` (see ``mllm.models.multimodal``).
    """
    for kind in sorted(media):
        found = media[kind]
        where = found.get("lengths"), found.get("offsets")
        x = place_media(x, found["tokens"], found["slots"], *where)
    return x


def normalise(config, images: jax.Array) -> jax.Array:
    """Normalise u8[..., 3] images to float32 with the tower's mean and standard deviation."""
    mean, std = (jnp.asarray(x, jnp.float32) for x in (config.vision.mean, config.vision.std))
    return (images.astype(jnp.float32) / 255.0 - mean) / std


def prepare(
    config, images: jax.Array, extents: jax.Array | None
) -> tuple[jax.Array, jax.Array | None]:
    """Return (normalised pixels [B * I, H, W, 3] in the dtype of activations, extents [B * I, 2]).

    Args:
      images: [B, I, H, W, 3]; floats are normalised already. extents: [B, I, 2].
    """
    flat = images.reshape(-1, *images.shape[2:])
    extents = None if extents is None else extents.reshape(-1, 2)
    if images.dtype != jnp.uint8:
        return flat.astype(config.dtype), extents
    pixels = normalise(config, flat)
    if extents is not None:  # padding is 0 after normalisation, as published
        rows, columns = (jnp.arange(n) < extents[:, i, None] for i, n in enumerate(flat.shape[1:3]))
        pixels = jnp.where((rows[:, :, None] & columns[:, None, :])[..., None], pixels, 0)
    return pixels.astype(config.dtype), extents
