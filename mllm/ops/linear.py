"""Linear maps, with an optional low-rank update (LoRA, Hu et al. 2021, arXiv:2106.09685, eq. 3)."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name


def linear(
    x: jax.Array,
    weight: jax.Array,
    bias: jax.Array | None = None,
    lora: tuple[jax.Array, jax.Array] | None = None,
    *,
    scale: jax.Array | None = None,
    drop: jax.Array | None = None,
    rate: float = 0.0,
    low: jax.Array | None = None,
) -> jax.Array:
    """Return ``x @ weight (+ dropped(x) @ a @ b) (+ bias)`` in the dtype of ``x``.

    Leading axes are flattened first, because a two-dimensional product has a much faster backward
    pass on CPU.

    Args:
      x: float[..., I].
      weight: float[I, O]; cast to the dtype of ``x``.
      bias: float[O] or None.
      lora: ``(a float[I, R], b float[R, O])`` or None. The update is not scaled: alpha equals the
        rank.
      scale: float32[O], one per column of an int8 ``weight`` (see ``mllm.ops.quant``), or None.
      drop: random key; zeroes each input of the update with probability ``rate`` and scales up the
        others, like PEFT's ``lora_dropout``. None drops nothing.
      low: float[..., R], ``x @ a`` if it is known (``shared_low_rank``).
    """
    flat = x.reshape(-1, x.shape[-1])
    y = flat @ weight.astype(x.dtype)
    if scale is not None:
        y = (y * scale).astype(x.dtype)
    if lora is not None:
        a, b = lora
        seen = flat
        if drop is not None:
            kept = jax.random.bernoulli(drop, 1 - rate, flat.shape)
            seen = jnp.where(kept, flat / (1 - rate), 0).astype(x.dtype)
        if low is None:
            low = checkpoint_name(seen @ a.astype(x.dtype), "low_rank")
        y = y + low.reshape(-1, low.shape[-1]) @ b.astype(x.dtype)
    if bias is not None:
        y = y + bias.astype(x.dtype)
    return y.reshape(*x.shape[:-1], weight.shape[-1])


def shared_low_rank(x: jax.Array, inner: Sequence[jax.Array]) -> list[jax.Array]:
    """Return ``x @ a`` float[..., R] for each ``a`` float[I, R] of ``inner``, by one product."""
    joined = jnp.concatenate([a.astype(x.dtype) for a in inner], axis=1)
    low = checkpoint_name(x.reshape(-1, x.shape[-1]) @ joined, "low_rank")
    ends = [sum(a.shape[1] for a in inner[: n + 1]) for n in range(len(inner) - 1)]
    return [part.reshape(*x.shape[:-1], -1) for part in jnp.split(low, ends, axis=1)]
