"""Weights rounded to a few bits, as a deployed model's are, and kept as floats.

Rounding can bring back what was removed: an update smaller than half a step is rounded away (Zhang
et al. 2025, arXiv:2410.16454). I inputs, O outputs of a matrix, G inputs of a group.
"""

from functools import partial

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict


def rounded(params: dict, *, bits: int, group: int = 0) -> dict:
    """Return params whose matrices of layers are rounded to the nearest of 2^bits - 1 values.

    It takes the matrices that ``ops.quant.quantise`` takes: leaves ``w`` float[..., I, O] below
    ``layers``. With 8 bits and no groups the values are those of its int8 weights.

    Args:
      group: G, inputs that share a scale for each output; 0, or a number that does not divide I,
        is all of them.
    """

    def below_layers(path: tuple[str, ...]) -> bool:
        return path[-1] == "w" and "layers" in path and "codec" not in path

    return unflatten_dict(
        {
            path: _rounded(leaf, bits, group) if below_layers(path) else leaf
            for path, leaf in flatten_dict(params).items()
        }
    )


@partial(jax.jit, static_argnums=(1, 2))
def _rounded(weight: jax.Array, bits: int, group: int) -> jax.Array:
    """Round float[..., I, O], symmetrically around 0, with a scale for each group and output."""
    *stack, inputs, outputs = weight.shape
    size = group if group and inputs % group == 0 else inputs
    cut = weight.astype(jnp.float32).reshape(*stack, inputs // size, size, outputs)
    scale = jnp.max(jnp.abs(cut), axis=-2, keepdims=True) / (2 ** (bits - 1) - 1)
    near = jnp.round(cut / jnp.where(scale > 0, scale, 1)) * scale
    return near.reshape(weight.shape).astype(weight.dtype)
