"""Sums over the tokens of packed rows, as (sum, count) pairs."""

import jax
import jax.numpy as jnp

Total = tuple[jax.Array, jax.Array]


def masked_total(values: jax.Array, mask: jax.Array) -> Total:
    """Return (sum, count) of the values where ``mask`` is 1; what stands elsewhere is not read."""
    return jnp.sum(jnp.where(mask > 0, values, 0)), jnp.sum(mask)


def mean(total: Total) -> jax.Array:
    """Return the mean of a (sum, count) pair; 0 for an empty one, so that it adds nothing."""
    return total[0] / jnp.maximum(total[1], 1)
