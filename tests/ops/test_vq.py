"""Vector quantisation against loops in NumPy and gradients in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mllm.ops import vq

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(3, 5, 4)).astype(np.float32)
BOOK = RNG.normal(size=(7, 4)).astype(np.float32)


def brute_force(vectors, book):
    flat = vectors.reshape(-1, vectors.shape[-1]).astype(np.float64)
    found = [min(range(len(book)), key=lambda v: ((row - book[v]) ** 2).sum()) for row in flat]
    return np.array(found).reshape(vectors.shape[:-1])


def test_nearest_codes_equal_a_loop_over_distances():
    found = vq.nearest(VECTORS, BOOK)
    assert found.dtype == jnp.int32
    np.testing.assert_array_equal(found, brute_force(VECTORS, BOOK))
    assert len(set(np.asarray(found).ravel().tolist())) > 3


def test_of_equal_codes_the_first_is_nearest():
    book = np.concatenate([BOOK[:3], BOOK[:3]])
    assert int(vq.nearest(VECTORS, book).max()) < 3


def test_unit_vectors_have_length_one_and_a_finite_gradient_at_zero():
    lengths = np.linalg.norm(np.asarray(vq.unit(VECTORS)), axis=-1)
    np.testing.assert_allclose(lengths, 1, rtol=1e-6)
    slope = jax.grad(lambda x: vq.unit(x).sum())(jnp.zeros(4))
    assert np.isfinite(np.asarray(slope)).all()


def test_straight_through_gives_the_codes_and_the_gradient_of_the_vectors():
    chosen = BOOK[brute_force(VECTORS, BOOK)]
    np.testing.assert_allclose(vq.straight_through(VECTORS, chosen), chosen, atol=1e-6)
    weights = RNG.normal(size=VECTORS.shape)
    of_vectors, of_codes = jax.grad(
        lambda z, e: (vq.straight_through(z, e) * weights).sum(), argnums=(0, 1)
    )(VECTORS, chosen)
    np.testing.assert_allclose(of_vectors, weights, rtol=1e-6)
    assert not np.asarray(of_codes).any()


@pytest.mark.parametrize(
    "convention, at_codes, at_vectors",
    [
        ("standard", 1.0, 0.25),
        ("legacy", 0.25, 1.0),
    ],
)
def test_losses_and_their_gradients_in_closed_form(convention, at_codes, at_vectors):
    chosen = BOOK[brute_force(VECTORS, BOOK)]
    values = vq.losses(VECTORS, chosen, 0.25, convention)
    distances = ((VECTORS - chosen).astype(np.float64) ** 2).mean(-1)
    np.testing.assert_allclose(values, 1.25 * distances, rtol=1e-5)
    of_vectors, of_codes = jax.grad(
        lambda z, e: vq.losses(z, e, 0.25, convention).sum(), argnums=(0, 1)
    )(VECTORS, chosen)
    apart = 2 * (VECTORS - chosen) / VECTORS.shape[-1]
    np.testing.assert_allclose(of_vectors, at_vectors * apart, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(of_codes, -at_codes * apart, rtol=1e-4, atol=1e-6)


def test_counts_leave_out_rows_without_weight():
    codes = np.array([[0, 2, 2], [1, 1, 1], [2, 0, 3]], np.int32)
    np.testing.assert_array_equal(vq.counts(codes, 5), [2, 3, 3, 1, 0])
    weight = np.array([1, 0, 1], np.float32)
    np.testing.assert_array_equal(vq.counts(codes, 5, weight), [2, 0, 3, 1, 0])


def test_perplexity_is_the_exponential_of_the_entropy():
    counts = np.array([5, 0, 1, 4, 0, 10], np.float32)
    shares = counts[counts > 0] / counts.sum()
    expected = np.exp(-(shares * np.log(shares)).sum())
    np.testing.assert_allclose(vq.perplexity(counts), expected, rtol=1e-6)
    np.testing.assert_allclose(vq.perplexity(jnp.full(8, 3.0)), 8, rtol=1e-6)
    np.testing.assert_allclose(vq.perplexity(jnp.array([0.0, 9.0])), 1, rtol=1e-6)
    assert np.isfinite(vq.perplexity(jnp.zeros(4)))


def test_usage_moves_towards_one_for_codes_that_are_used_alike():
    usage = vq.moving_usage(jnp.zeros(4), jnp.array([6.0, 6.0, 0.0, 12.0]), 0.9)
    np.testing.assert_allclose(usage, 0.1 * np.array([1.0, 1.0, 0.0, 2.0]), rtol=1e-6)


def test_codes_move_towards_the_mean_of_the_vectors_that_chose_them():
    codes, weight = brute_force(VECTORS, BOOK), np.array([1, 0, 1], np.float32)
    moved = np.asarray(vq.moving_means(BOOK, VECTORS, codes, 0.75, weight))
    for code in range(len(BOOK)):
        mine = [VECTORS[b, k] for b in (0, 2) for k in range(5) if codes[b, k] == code]
        expected = BOOK[code] if not mine else 0.75 * BOOK[code] + 0.25 * np.mean(mine, axis=0)
        np.testing.assert_allclose(moved[code], expected, rtol=1e-5, atol=1e-6)


def rows_of(array):
    return {tuple(row) for row in np.asarray(array).reshape(-1, 4).tolist()}


def test_dead_codes_restart_at_different_vectors_and_the_others_stay():
    dead, weight = np.array([1, 0, 1, 1, 0, 0, 1], bool), np.array([1, 0, 1], np.float32)
    for seed in range(5):
        key = jax.random.key(seed)
        moved = vq.restart(BOOK, dead, VECTORS, weight, key)
        np.testing.assert_array_equal(moved[~dead], BOOK[~dead])
        assert len(rows_of(moved[dead])) == 4
        assert rows_of(moved[dead]) <= rows_of(VECTORS[[0, 2]])
        np.testing.assert_array_equal(moved, vq.restart(BOOK, dead, VECTORS, weight, key))
    other = vq.restart(BOOK, dead, VECTORS, weight, jax.random.key(9))
    assert rows_of(other[dead]) != rows_of(moved[dead])


def test_more_dead_codes_than_vectors_share_them_and_none_moves_without_vectors():
    dead = np.ones(7, bool)
    few = vq.restart(BOOK, dead, VECTORS[:1, :2], np.ones(1, np.float32), jax.random.key(0))
    assert rows_of(few) == rows_of(VECTORS[:1, :2])
    none = vq.restart(BOOK, dead, VECTORS, np.zeros(3, np.float32), jax.random.key(0))
    np.testing.assert_array_equal(none, BOOK)
