"""Attention against float64 loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mllm.ops.attention import Structure, attention, causal


def attend_in_loops(q, k, v, may_see) -> np.ndarray:
    """One query, one head at a time, over just the keys that ``may_see(b, t, s)`` allows."""
    q, k, v = (np.asarray(x, np.float64) for x in (q, k, v))
    batch, queries, heads, width = q.shape
    out = np.zeros_like(q)
    for b, t, h in np.ndindex(batch, queries, heads):
        group = h // (heads // k.shape[2])
        keys = [s for s in range(k.shape[1]) if may_see(b, t, s)]
        scores = np.array([q[b, t, h] @ k[b, s, group] for s in keys]) / np.sqrt(width)
        weights = np.exp(scores - scores.max())
        out[b, t, h] = sum(w * v[b, s, group] for w, s in zip(weights, keys, strict=True))
        out[b, t, h] /= weights.sum()
    return out


def draw(seed, batch, queries, keys, heads, kv_heads, width):
    rng = np.random.default_rng(seed)
    shapes = (queries, heads), (keys, kv_heads), (keys, kv_heads)
    return [jnp.asarray(rng.normal(size=(batch, *s, width)), jnp.float32) for s in shapes]


@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (6, 2), (3, 1)])
def test_without_structure_every_key_is_seen(heads, kv_heads):
    q, k, v = draw(0, 2, 5, 7, heads, kv_heads, 8)
    expected = attend_in_loops(q, k, v, lambda b, t, s: True)
    np.testing.assert_allclose(attention(q, k, v), expected, atol=2e-6)


def test_shared_prefix_and_segments():
    segments = np.array([[0, 0, 1, 1, 1, 2, 2, -1], [0, 1, 2, 2, 3, -1, -1, -1]], np.int32)
    # Positions go on from the prefix in every segment.
    positions = np.array([[0, 1, 2, 3, 4, 2, 3, 0], [0, 1, 1, 2, 1, 0, 0, 0]], np.int32)
    q, k, v = draw(1, 2, 8, 8, 4, 2, 8)

    def may_see(b, t, s):
        if segments[b, t] == -1:
            return True  # padding queries are meaningless, and left out below
        return s <= t and segments[b, s] in (0, segments[b, t])

    out = attention(q, k, v, causal(jnp.asarray(positions), jnp.asarray(segments)))
    real = segments >= 0
    expected = attend_in_loops(q, k, v, may_see)
    np.testing.assert_allclose(np.asarray(out)[real], expected[real], atol=2e-6)
    assert np.isfinite(out).all()


@pytest.mark.parametrize("window", [1, 2, 3, 9])
def test_a_window_counts_positions_of_the_branch(window):
    """A branch follows its prefix directly, whatever other branches lie between them in the row."""
    segments = np.array([[0, 0, 1, 1, 1, 2, 2, 2]], np.int32)
    positions = np.array([[0, 1, 2, 3, 4, 2, 3, 4]], np.int32)
    q, k, v = draw(5, 1, 8, 8, 2, 2, 4)
    structure = causal(jnp.asarray(positions), jnp.asarray(segments))
    packed = attention(q, k, v, structure, window=window)
    for chosen in ([0, 1, 2, 3, 4], [0, 1, 5, 6, 7]):
        alone = attend_in_loops(
            *(x[:, chosen] for x in (q, k, v)), lambda b, t, s: s <= t < s + window
        )
        np.testing.assert_allclose(np.asarray(packed)[:, chosen], alone, atol=2e-6)


def test_queries_against_a_longer_cache():
    query_positions = np.array([[5, 6], [2, 3]], np.int32)
    query_segments = np.array([[1, 1], [2, 2]], np.int32)
    key_positions = np.array([[0, 1, 2, 5, 6, 9], [0, 1, 1, 2, 3, 0]], np.int32)
    key_segments = np.array([[0, 0, -1, 1, 1, 1], [0, 1, 2, 2, 2, -1]], np.int32)
    q, k, v = draw(2, 2, 2, 6, 2, 1, 4)

    def may_see(b, t, s):
        later = key_positions[b, s] > query_positions[b, t]
        return not later and key_segments[b, s] in (0, query_segments[b, t])

    structure = Structure(query_positions, query_segments, key_positions, key_segments)
    out = attention(q, k, v, jax.tree.map(jnp.asarray, structure))
    np.testing.assert_allclose(out, attend_in_loops(q, k, v, may_see), atol=2e-6)


def test_bfloat16_keeps_its_dtype_and_float32_scores():
    q, k, v = (x.astype(jnp.bfloat16) for x in draw(3, 1, 4, 64, 2, 2, 16))
    out = attention(q, k, v)
    assert out.dtype == jnp.bfloat16
    expected = attend_in_loops(q, k, v, lambda b, t, s: True)
    np.testing.assert_allclose(np.asarray(out, np.float32), expected, atol=0.01)
