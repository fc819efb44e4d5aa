"""Rotary position embedding (Su et al. 2021, arXiv:2104.09864), in the half-split layout of Llama
checkpoints.
"""

import jax
import jax.numpy as jnp


def rope_angles(positions: jax.Array, head_dim: int, theta: float) -> tuple[jax.Array, jax.Array]:
    """Cosine and sine, float32[B, T, head_dim / 2], of integer ``positions`` [B, T].

    Always float32: bfloat16 cannot tell neighbouring positions above 256 apart.
    """
    frequencies = theta ** (-jnp.arange(0, head_dim, 2, dtype=jnp.float32) / head_dim)
    angles = positions.astype(jnp.float32)[..., None] * frequencies
    return jnp.cos(angles), jnp.sin(angles)


def apply_rope(x: jax.Array, angles: tuple[jax.Array, jax.Array]) -> jax.Array:
    """Rotate ``x`` float[B, T, H, head_dim]: dimension i turns with dimension i + head_dim / 2."""
    cos, sin = (a[:, :, None, :] for a in angles)
    first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    turned = jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
    return turned.astype(x.dtype)
