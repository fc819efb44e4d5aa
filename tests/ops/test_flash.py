"""The flash kernel, interpreted, against the reference: values, gradients, and what is kept."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.ad_checkpoint import checkpoint_policies

from mllm.ops.attention import causal, masked_attention
from mllm.ops.flash import LSE, OUT, Tile, Tiles, flash_attention
from tests.ops.test_splash import rows

SMALL = Tiles(Tile(32, 16, 4, 2), Tile(16, 32, 4, 2), Tile(32, 64, 4, 2))


def draw(dtype, tokens, heads, groups, width):
    rng = np.random.default_rng(0)
    counts = heads, groups, groups
    return [jnp.asarray(rng.normal(size=(3, tokens, n, width)), dtype) for n in counts]


def places(kind):
    """The rows of the test of splash, and one of padding alone."""
    return (jnp.pad(x, [(0, 1), (0, 0)], constant_values=-1) for x in rows(kind))


@pytest.mark.thorough
@pytest.mark.parametrize(
    "kind, width, heads, groups, window, dtype",
    [
        ("packed", 80, 4, 2, 40, "float32"),
        ("padded", 128, 3, 1, 40, "float32"),
        ("packed", 256, 1, 1, None, "float32"),
        ("packed", 128, 4, 2, None, "bfloat16"),
    ],
)
def test_equals_the_reference(kind, width, heads, groups, window, dtype):
    positions, segments = places(kind)
    q, k, v = draw(dtype, positions.shape[1], heads, groups, width)
    real = (segments >= 0)[:, :, None, None]
    weights = jnp.asarray(np.random.default_rng(1).normal(size=q.shape), jnp.float32) * real

    def reference(q, k, v):
        q, k, v = (x.astype(jnp.float32) for x in (q, k, v))
        return masked_attention(q, k, v, causal(positions, segments), window=window)

    def kernel(q, k, v):
        own = positions, segments
        return flash_attention(q, k, v, own, own, window=window, tiles=SMALL, interpret=True)[0]

    def results(attend):
        def total(q, k, v):
            out = attend(q, k, v).astype(jnp.float32)
            return jnp.sum(out * weights), jnp.where(real, out, 0)

        gradients, out = jax.jit(jax.grad(total, argnums=(0, 1, 2), has_aux=True))(q, k, v)
        return [np.asarray(x, np.float64) for x in (out, *gradients)]

    for one, other in zip(results(kernel), results(reference), strict=True):
        if dtype == "float32":
            np.testing.assert_allclose(one, other, atol=1e-5)
        else:
            assert np.linalg.norm(one - other) < 1e-2 * np.linalg.norm(other)


@pytest.mark.thorough
def test_parts_of_the_keys_are_joined_by_their_log_sum_exp():
    positions, segments = places("packed")
    q, k, v = draw("float32", positions.shape[1], 2, 1, 16)
    real = (segments >= 0)[:, :, None, None]
    weights = jnp.asarray(np.random.default_rng(1).normal(size=q.shape), jnp.float32) * real

    def joined(q, k, v):
        parts = []
        for part in (slice(0, 50), slice(50, None)):
            keys = positions[:, part], segments[:, part]
            attend = partial(flash_attention, tiles=SMALL, interpret=True)
            parts.append(attend(q, k[:, part], v[:, part], (positions, segments), keys))
        outs, sums = zip(*parts, strict=True)
        whole = jnp.logaddexp(*(jnp.maximum(lse, -1e30) for lse in sums))
        shares = (jnp.exp(lse - whole).swapaxes(1, 2)[..., None] for lse in sums)
        return sum(out * share for out, share in zip(outs, shares, strict=True))

    def reference(q, k, v):
        return masked_attention(q, k, v, causal(positions, segments))

    def total(attend, q, k, v):
        return jnp.sum(attend(q, k, v) * weights)

    ours, expected = (
        jax.jit(jax.value_and_grad(partial(total, attend), argnums=(0, 1, 2)))(q, k, v)
        for attend in (joined, reference)
    )
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_padding_gets_zeros_and_gives_zero_gradients():
    positions = jnp.tile(jnp.arange(16), (2, 1))
    segments = jnp.full((2, 16), -1).at[0, :5].set(0)
    q, k, v = (x[:2] for x in draw("float32", 16, 1, 1, 16))

    def attend(q, k, v):
        own = positions, segments
        return flash_attention(q, k, v, own, own, tiles=SMALL, interpret=True)

    (out, lse), pull = jax.vjp(jax.jit(attend), q, k, v)
    assert not out[segments < 0].any() and jnp.isneginf(lse[:, 0][segments < 0]).all()
    for gradient in pull((jnp.ones_like(out), jnp.zeros_like(lse))):
        assert jnp.isfinite(gradient).all() and not gradient[segments < 0].any()


@pytest.mark.thorough
@pytest.mark.parametrize("names, forward", [((OUT, LSE), 1), ((OUT,), 2)])
def test_a_policy_that_keeps_both_names_runs_the_forward_kernel_once(names, forward):
    """In a scan over layers that are recomputed, as in the decoder."""
    positions, segments = (x[:1, :64] for x in rows("packed"))
    x = jnp.zeros((1, 64, 2, 16))

    @partial(jax.checkpoint, policy=checkpoint_policies.save_only_these_names(*names))
    def layer(x, weight):
        own = positions, segments
        out, _ = flash_attention(x * weight, x, x, own, own, tiles=SMALL, interpret=True)
        return x + jnp.tanh(out), None

    def total(weights):
        return jnp.sum(jax.lax.scan(layer, x, weights)[0])

    program = jax.jit(jax.grad(total)).lower(jnp.ones(3)).compile().as_text()
    # An interpreted kernel is a loop over its grid.
    loops = [line for line in program.splitlines() if " while(" in line]
    kernels = [f'/flash_{name}/while"' for name in ("forward", "dq", "dkv")]
    calls = [sum(kernel in line for line in loops) for kernel in kernels]
    assert calls == [forward, 1, 1]
