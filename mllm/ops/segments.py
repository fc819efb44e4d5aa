"""Sums over the segments of packed rows."""

import jax
import jax.numpy as jnp


def segment_sums(values: jax.Array, segments: jax.Array, count: int) -> jax.Array:
    """Sum the values of each segment's tokens; shared prefix (0) and padding (-1) belong to none.

    A masked sum and not a scatter: one fused pass, the same bits on every run and device, and a
      gradient that is a
    gather.

    Args:
      values: float32[B, T].
      segments: i32[B, T]; k >= 1 marks the tokens of the k-th segment of the row.
      count: S, the number of columns to return; higher segments are left out.

    Returns:
      float32[B, S]; column k - 1 holds the sum over segment k.
    """
    numbers = jnp.arange(1, count + 1, dtype=segments.dtype)
    return jnp.sum(jnp.where(segments[:, :, None] == numbers, values[:, :, None], 0), axis=1)
