"""The TPU kernel, interpreted, against the reference: values and gradients."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mllm.ops.attention import causal, masked_attention
from mllm.ops.splash import splash_attention

TOKENS, WIDTH = 140, 128


def rows(kind: str):
    """positions, segments i32[2, TOKENS] of rows that are packed, or one branch that is padded."""
    segments = np.zeros((2, TOKENS), np.int32)
    positions = np.tile(np.arange(TOKENS, dtype=np.int32), (2, 1))
    if kind == "packed":
        for row, cuts in enumerate(((30, 70, 100, 132), (50, 90, 120, 140))):
            for number, (start, end) in enumerate(itertools.pairwise(cuts), 1):
                segments[row, start:end] = number
                positions[row, start:end] = cuts[0] + np.arange(end - start)
            segments[row, cuts[-1] :] = -1
    if kind == "padded":
        segments[0, 90:] = -1
    return jnp.asarray(positions), jnp.asarray(segments)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "kind, window, masked, heads, groups",
    [
        pytest.param("packed", None, True, 2, 2, marks=pytest.mark.slow),
        ("packed", 40, True, 4, 2),
        ("padded", None, True, 4, 2),
        ("padded", None, False, 4, 2),
        ("padded", 40, False, 2, 2),
    ],
)
def test_equals_the_reference(kind, window, masked, heads, groups):
    rng = np.random.default_rng(0)
    q = jnp.asarray(rng.normal(size=(2, TOKENS, heads, WIDTH)), jnp.float32)
    k, v = (jnp.asarray(rng.normal(size=(2, TOKENS, groups, WIDTH)), jnp.float32) for _ in "kv")
    positions, segments = rows(kind)
    structure = causal(positions, segments)
    real = (segments >= 0)[:, :, None, None]
    weights = jnp.asarray(rng.normal(size=q.shape), jnp.float32) * real

    def total(attend, q, k, v):
        return jnp.sum(attend(q, k, v) * weights)

    def reference(q, k, v):
        return masked_attention(q, k, v, structure, window=window)

    def kernel(q, k, v):
        seen = structure.mask(window) if masked else None
        return splash_attention(q, k, v, seen, window=window, interpret=True)

    found, expected = (jnp.where(real, f(q, k, v), 0) for f in (kernel, reference))
    np.testing.assert_allclose(found, expected, atol=2e-5)
    gradients = [jax.grad(total, argnums=(1, 2, 3))(f, q, k, v) for f in (kernel, reference)]
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
