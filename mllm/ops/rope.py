"""Rotary position embedding (Su et al. 2021, arXiv:2104.09864), in the half-split layout of Llama
checkpoints.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp


@dataclass(frozen=True)
class RopeScaling:
    """How rotary frequencies are scaled for longer texts.

    ``kind`` "linear" divides all frequencies by ``factor`` (Chen et al. 2023, arXiv:2306.15595).
    "llama3" divides those that make fewer than ``low`` turns over ``original`` positions, keeps
    those that make more than ``high``, and interpolates in between (Llama 3.1, section 3.4.2 of
    arXiv:2407.21783).
    """

    kind: str
    factor: float
    low: float = 1.0
    high: float = 4.0
    original: int = 8192


def rope_frequencies(head_dim: int, theta: float, scaling: RopeScaling | None) -> jax.Array:
    """Return the frequencies in radians per position, float32[head_dim / 2]."""
    frequencies = theta ** (-jnp.arange(0, head_dim, 2, dtype=jnp.float32) / head_dim)
    if scaling is None:
        return frequencies
    if scaling.kind == "linear":
        return frequencies / scaling.factor
    turns = scaling.original * frequencies / (2 * jnp.pi)
    keep = jnp.clip((turns - scaling.low) / (scaling.high - scaling.low), 0, 1)
    return keep * frequencies + (1 - keep) * frequencies / scaling.factor


def rope_angles(
    positions: jax.Array, head_dim: int, theta: float, scaling: RopeScaling | None = None
) -> tuple[jax.Array, jax.Array]:
    """Return cosine and sine, float32[B, T, head_dim / 2], of integer ``positions`` [B, T].

    They are always float32: bfloat16 cannot distinguish neighbouring positions above 256.
    """
    frequencies = rope_frequencies(head_dim, theta, scaling)
    angles = positions.astype(jnp.float32)[..., None] * frequencies
    return jnp.cos(angles), jnp.sin(angles)


def apply_rope(x: jax.Array, angles: tuple[jax.Array, jax.Array]) -> jax.Array:
    """Rotate ``x`` float[B, T, H, head_dim], pairing dimensions i and i + head_dim / 2."""
    cos, sin = (a[:, :, None, :] for a in angles)
    first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    turned = jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
    return turned.astype(x.dtype)
