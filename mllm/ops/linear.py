"""Linear maps, with an optional low-rank update (LoRA, Hu et al. 2021, arXiv:2106.09685, eq. 3)."""

import jax
import jax.numpy as jnp


def linear(
    x: jax.Array,
    weight: jax.Array,
    bias: jax.Array | None = None,
    lora: tuple[jax.Array, jax.Array] | None = None,
    *,
    scale: jax.Array | None = None,
    drop: jax.Array | None = None,
    rate: float = 0.0,
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
        y = y + (seen @ a.astype(x.dtype)) @ b.astype(x.dtype)
    if bias is not None:
        y = y + bias.astype(x.dtype)
    return y.reshape(*x.shape[:-1], weight.shape[-1])
