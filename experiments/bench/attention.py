"""Attention of one layer by each implementation there is: time, memory, and whether it is equal.

B rows, T tokens, H heads, K key-value heads, D head width.
"""

from collections.abc import Callable
from dataclasses import asdict

import jax
import jax.numpy as jnp
import numpy as np

from experiments.bench.workload import Figure
from mllm.models.decoder import DecoderConfig
from mllm.ops.attention import IMPLEMENTATIONS, Structure, attention
from mllm.parallel.program import memory_of

# By dtype, the largest difference from the reference, relative to its norm.
TOLERANCES = {"float32": 1e-4, "bfloat16": 2e-2}


def inputs(config: DecoderConfig, rows: int, tokens: int, dtype: str) -> tuple[jax.Array, ...]:
    """Return random q [B, T, H, D] and k, v [B, T, K, D] of a decoder."""
    heads = config.heads, config.kv_heads, config.kv_heads
    return tuple(
        jax.random.normal(key, (rows, tokens, count, config.head_dim), jnp.dtype(dtype))
        for key, count in zip(jax.random.split(jax.random.key(0), 3), heads, strict=True)
    )


def step(impl: str | None) -> Callable:
    """Return a function of (q, k, v, structure): the gradients of a sum over all tokens that are no
    padding.
    """

    def loss(q, k, v, structure: Structure):
        found = attention(q, k, v, structure, impl=impl).astype(jnp.float32)
        kept = structure.query_segments[..., None, None] >= 0
        return jnp.sum(jnp.where(kept, jnp.sin(found), 0))

    return jax.grad(loss, argnums=(0, 1, 2))


def compare(arrays: tuple, structure: Structure, timed: Callable) -> dict[str, dict]:
    """Return, by implementation, its figure with "difference" from the reference, or the "error"
    with which it refuses these rows, this device or this dtype.

    Args:
      arrays: q, k and v.
      timed: ``timed(once, units=..., setting=...)`` returns a ``Figure``.
    """
    expected, found = None, {}
    allowed = TOLERANCES[str(arrays[0].dtype)]
    for impl in sorted(IMPLEMENTATIONS, key=lambda name: name != "xla"):  # the reference first
        try:
            compiled = jax.jit(step(impl)).lower(*arrays, structure).compile()
            values = [np.asarray(value, np.float32) for value in compiled(*arrays, structure)]
        except Exception as error:  # whatever a kernel refuses with is a result here
            found[impl] = {"error": f"{type(error).__name__}: {error}".partition("\n")[0][:200]}
            continue
        expected = expected or values
        difference = max(map(_relative, values, expected))
        if not difference <= allowed:
            found[impl] = {"error": f"differs from xla by {difference:.2g} of at most {allowed:g}"}
            continue
        figure: Figure = timed(
            lambda compiled=compiled: compiled(*arrays, structure),
            units=len(arrays[0]),
            setting=impl,
        )
        memory = memory_of(compiled)["temporaries"]
        found[impl] = {**asdict(figure), "memory": memory, "difference": difference}
    return found


def _relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
