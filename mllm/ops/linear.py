"""Linear maps, with an optional low-rank update (LoRA, Hu et al. 2021, arXiv:2106.09685, eq. 3)."""

import jax


def linear(
    x: jax.Array,
    weight: jax.Array,
    bias: jax.Array | None = None,
    lora: tuple[jax.Array, jax.Array] | None = None,
) -> jax.Array:
    """Return ``x @ weight (+ x @ a @ b) (+ bias)`` in the dtype of ``x``.

    Leading axes are flattened first: a two-dimensional product has by far the faster backward pass
      on CPU.

    Args:
      x: float[..., I].
      weight: float[I, O]; cast to the dtype of ``x``.
      bias: float[O] or None.
      lora: ``(a float[I, R], b float[R, O])`` or None. The update is not scaled: alpha equals the
        rank.
    """
    flat = x.reshape(-1, x.shape[-1])
    y = flat @ weight.astype(x.dtype)
    if lora is not None:
        a, b = lora
        y = y + (flat @ a.astype(x.dtype)) @ b.astype(x.dtype)
    if bias is not None:
        y = y + bias.astype(x.dtype)
    return y.reshape(*x.shape[:-1], weight.shape[-1])
