"""Normalisations, computed in float32 and returned in the dtype of the input."""

import jax
import jax.numpy as jnp


def rms_norm(x: jax.Array, scale: jax.Array, eps: float) -> jax.Array:
    """Apply the root-mean-square norm over the last axis (Zhang & Sennrich 2019).

    The result is cast to the dtype of ``x`` before it is scaled, as in Llama.
    """
    wide = x.astype(jnp.float32)
    normed = wide * jax.lax.rsqrt(jnp.mean(jnp.square(wide), axis=-1, keepdims=True) + eps)
    return normed.astype(x.dtype) * scale.astype(x.dtype)


def layer_norm(x: jax.Array, scale: jax.Array, bias: jax.Array, eps: float) -> jax.Array:
    """Apply layer norm over the last axis, with affine ``scale`` and ``bias``."""
    wide = x.astype(jnp.float32)
    mean = jnp.mean(wide, axis=-1, keepdims=True)
    variance = jnp.mean(jnp.square(wide - mean), axis=-1, keepdims=True)
    normed = (wide - mean) * jax.lax.rsqrt(variance + eps)
    return (normed * scale + bias).astype(x.dtype)
