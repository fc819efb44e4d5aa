"""Weights saved in a smaller type and read again."""

import jax
import jax.numpy as jnp


def saved_in(params: dict, *, dtype: str) -> dict:
    """Return params whose floats were cast to ``dtype`` and back.

    A bfloat16 has 8 bits of mantissa: an update of less than 1/512 of a weight is lost. Weights
    that have that type already stay what they are.
    """

    def cast(leaf: jax.Array) -> jax.Array:
        is_float = jnp.issubdtype(leaf.dtype, jnp.floating)
        return leaf.astype(dtype).astype(leaf.dtype) if is_float else leaf

    return jax.tree.map(cast, params)
