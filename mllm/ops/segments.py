"""Sums over the segments of packed rows."""

import jax
import jax.numpy as jnp


def segment_sums(values: jax.Array, segments: jax.Array, count: int) -> jax.Array:
    """Sum the values of each segment's tokens; the shared prefix (0) and padding (-1) are left out.

    A masked sum, unlike a scatter, is one fused pass, gives the same bits on every run and device,
    and has a gather as its gradient.

    Args:
      values: float32[B, T].
      segments: i32[B, T]; k >= 1 marks the tokens of a row's k-th segment.
      count: S, the number of columns to return; higher segments are left out.

    Returns:
      float32[B, S]; column k - 1 holds the sum over segment k.
    """
    numbers = jnp.arange(1, count + 1, dtype=segments.dtype)
    return jnp.sum(jnp.where(segments[:, :, None] == numbers, values[:, :, None], 0), axis=1)
