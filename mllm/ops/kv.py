"""Keys and values as decoding keeps them: as computed, or in 8 bits with one scale per token and
head.

Scales of keys per channel lose less, but are shared by many tokens (KIVI, Liu et al. 2024,
arXiv:2402.02750). A scale of one token depends on nothing that comes later or is read together with
it: rows may be grouped, and prompts cut into levels, in any way.

N nodes, S keys per node, K key-value heads, C head width.
"""

import jax
import jax.numpy as jnp

KeyValues = dict[str, jax.Array]  # {"k", "v"}: [N, S, K, C]; in 8 bits also {"k_scale", "v_scale"}

# Name -> (dtype, its largest number).
FORMS = {"int8": (jnp.int8, 127), "fp8": (jnp.float8_e4m3fn, 448)}


def quantise_states(states: jax.Array, form: str) -> tuple[jax.Array, jax.Array]:
    """Quantise float[..., C] to (8-bit codes [..., C], scale float32[...]).

    The largest of the C numbers becomes the largest of the form. Each number is within half a scale
    of its code times the scale in int8, and in fp8 (e4m3) within 2^-4 of itself or, if it is small,
    2^-10 scales. Numbers that are not finite give a scale that is not finite.
    """
    dtype, most = FORMS[form]
    states = states.astype(jnp.float32)
    scale = jnp.max(jnp.abs(states), axis=-1) / most
    steps = states / jnp.where(scale == 0, 1, scale)[..., None]
    return (jnp.round(steps) if form == "int8" else steps).astype(dtype), scale


def keep(k: jax.Array, v: jax.Array, form: str = "") -> KeyValues:
    """Return keys and values float[N, S, K, C] in a form of ``FORMS``, or as they are for ""."""
    if not form:
        return {"k": k, "v": v}
    (k, k_scale), (v, v_scale) = quantise_states(k, form), quantise_states(v, form)
    return {"k": k, "v": v, "k_scale": k_scale, "v_scale": v_scale}


def read(kept: KeyValues, dtype) -> tuple[jax.Array, jax.Array]:
    """Return the keys and values float[N, S, K, C] that are kept, in ``dtype`` if in 8 bits."""
    if "k_scale" not in kept:
        return kept["k"], kept["v"]
    return tuple(
        (kept[name].astype(jnp.float32) * kept[f"{name}_scale"][..., None]).astype(dtype)
        for name in ("k", "v")
    )


def bytes_kept(width: int, dtype, form: str = "") -> int:
    """Return the bytes that ``width`` numbers of one head, a key or a value, take."""
    if not form:
        return width * jnp.dtype(dtype).itemsize
    return width + jnp.dtype(jnp.float32).itemsize
