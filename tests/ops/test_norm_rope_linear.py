"""Norms, rotary positions and linear maps against NumPy in float64."""

import jax.numpy as jnp
import numpy as np

from mllm.ops.linear import linear, shared_low_rank
from mllm.ops.norm import layer_norm, rms_norm
from mllm.ops.rope import apply_rope, rope_angles


def draw(seed, *shapes):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


def test_rms_norm():
    x, scale = draw(0, (2, 3, 16), (16,))
    wide = x.astype(np.float64)
    expected = wide / np.sqrt(np.mean(wide**2, axis=-1, keepdims=True) + 1e-3) * scale
    np.testing.assert_allclose(rms_norm(x, scale, 1e-3), expected, rtol=1e-5, atol=1e-6)
    assert rms_norm(jnp.asarray(x, jnp.bfloat16), scale, 1e-3).dtype == jnp.bfloat16


def test_layer_norm():
    x, scale, bias = draw(1, (2, 3, 16), (16,), (16,))
    x += 5  # a mean far from zero
    wide = x.astype(np.float64)
    variance = wide.var(axis=-1, keepdims=True)
    expected = (wide - wide.mean(axis=-1, keepdims=True)) / np.sqrt(variance + 1e-5) * scale + bias
    np.testing.assert_allclose(layer_norm(x, scale, bias, 1e-5), expected, rtol=1e-5, atol=1e-5)
    assert layer_norm(jnp.asarray(x, jnp.bfloat16), scale, bias, 1e-5).dtype == jnp.bfloat16


def test_rope_turns_pairs_as_complex_numbers():
    (x,) = draw(2, (2, 5, 3, 8))
    positions = np.array([[0, 1, 2, 3, 4], [0, 1, 300, 0, 7]], np.int32)
    frequencies = 10_000.0 ** (-np.arange(4) / 4)
    angles = positions[..., None, None] * frequencies
    turned = (x[..., :4] + 1j * x[..., 4:]) * np.exp(1j * angles)
    expected = np.concatenate([turned.real, turned.imag], axis=-1)
    out = apply_rope(jnp.asarray(x), rope_angles(jnp.asarray(positions), 8, 10_000.0))
    np.testing.assert_allclose(out, expected, atol=1e-4)


def test_rope_depends_on_distance_alone():
    q, k = (jnp.asarray(x) for x in draw(3, (1, 1, 1, 64), (1, 1, 1, 64)))

    def score(query_position, key_position):
        turned = [
            apply_rope(x, rope_angles(jnp.full((1, 1), p), 64, 100_000.0))
            for x, p in ((q, query_position), (k, key_position))
        ]
        return float(jnp.sum(turned[0] * turned[1]))

    assert abs(score(9, 4) - score(1005, 1000)) < 1e-3
    assert abs(score(9, 4) - score(9, 5)) > 1e-3


def test_linear_with_a_low_rank_update():
    x, weight, bias, a, b = draw(4, (2, 3, 8), (8, 6), (6,), (8, 2), (2, 6))
    wide = x.astype(np.float64)
    np.testing.assert_allclose(linear(x, weight), wide @ weight, atol=1e-5)
    np.testing.assert_allclose(linear(x, weight, bias), wide @ weight + bias, atol=1e-5)
    expected = wide @ (weight + a.astype(np.float64) @ b) + bias
    np.testing.assert_allclose(linear(x, weight, bias, (a, b)), expected, atol=1e-5)
    assert linear(jnp.asarray(x, jnp.bfloat16), weight, bias, (a, b)).dtype == jnp.bfloat16


def test_shared_inner_products_of_low_rank_updates():
    x, a, b, c = draw(6, (2, 3, 8), (8, 2), (8, 4), (8, 3))
    found = shared_low_rank(jnp.asarray(x), [a, b, c])
    wide = x.astype(np.float64)
    for low, inner in zip(found, (a, b, c), strict=True):
        np.testing.assert_allclose(low, wide @ inner, rtol=1e-5, atol=1e-6)
    weight, bias, up = draw(7, (8, 6), (6,), (2, 6))
    known = linear(jnp.asarray(x), weight, bias, (a, up), low=found[0])
    np.testing.assert_allclose(known, wide @ (weight + a @ up) + bias, rtol=1e-4, atol=1e-5)
