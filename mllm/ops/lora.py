"""Low-rank adapters as a tree of their own (Hu et al. 2021, arXiv:2106.09685)."""

import re

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict


def init_lora(
    params: dict, key: jax.Array, *, rank: int, targets: str, alpha: float | None = None
) -> dict:
    """Create adapters for every matrix whose path matches.

    ``a`` is normal with standard deviation 1 / rank, and ``b`` is zero. Adapters have scale 1: a
    published scale ``alpha / rank`` is a factor of ``a`` at the start, so that ``b`` is learned at
    the published pace.

    Args:
      params: nested dict whose matrices are leaves ``w`` float[..., I, O], with layers stacked on
        leading axes. ShapeDtypeStructs suffice.
      rank: R of ``a`` [..., I, R] and ``b`` [..., R, O].
      targets: regular expression, searched in the path of the matrix's parent, e.g.
        ``decoder/layers/(q|v)$``.
      alpha: the published scale times the rank; None for scale 1.

    Returns:
      The float32 tree of the collection "lora".

    Raises:
      ValueError: no matrix matches.
    """
    adapters = {}
    for path, weight in flatten_dict(params).items():
        if path[-1] != "w" or not re.search(targets, "/".join(path[:-1])):
            continue
        key, draw = jax.random.split(key)
        *stack, inputs, outputs = weight.shape
        normal = jax.random.normal(draw, (*stack, inputs, rank)) / rank
        adapters[(*path[:-1], "a")] = normal if alpha is None else normal * (alpha / rank)
        adapters[(*path[:-1], "b")] = jnp.zeros((*stack, rank, outputs))
    if not adapters:
        raise ValueError(f"lora.targets {targets!r} matches no matrix of the model")
    return unflatten_dict(adapters)


def merge_lora(variables: dict) -> dict:
    """Return {"params"} with each adapter merged as ``w + a @ b``, computed in float32."""
    if "lora" not in variables:
        return variables
    params, lora = flatten_dict(variables["params"]), flatten_dict(variables["lora"])
    # A set has a different order in each process, and all must run the same programs in turn.
    for path in dict.fromkeys(path[:-1] for path in lora):
        a, b = lora[(*path, "a")], lora[(*path, "b")]
        params[(*path, "w")] = merge_update(params[(*path, "w")], a, b)
    return {"params": unflatten_dict(params)}


@jax.jit
def merge_update(
    weight: jax.Array, a: jax.Array, b: jax.Array, magnitude: jax.Array | None = None
) -> jax.Array:
    """Return ``weight + a @ b``, computed in float32.

    Args:
      weight: float[..., I, O].
      a, b: float32[..., I, R] and [..., R, O].
      magnitude: float32[..., O], norms that the columns of the result are given (DoRA, Liu et al.
        2024, arXiv:2402.09353, equation 5); None leaves them as they are.
    """
    merged = weight.astype(jnp.float32) + jnp.matmul(a, b, precision="highest")
    if magnitude is not None:
        norms = jnp.linalg.norm(merged, axis=-2, keepdims=True)
        merged = merged * (magnitude[..., None, :] / norms)
    return merged.astype(weight.dtype)
