"""Keys and values in 8 bits: how far they are from what was computed, and what attends to them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mllm.ops.attention import Structure, attention
from mllm.ops.cascade import Keys, cascade
from mllm.ops.kv import FORMS, bytes_kept, keep, quantise_states, read

NODES, KEYS, GROUPS, WIDTH = 3, 6, 2, 16


def states(seed: int = 0) -> np.ndarray:
    """Heads of very different size, the last one of zeros."""
    draw = np.random.default_rng(seed)
    found = draw.normal(size=(NODES, KEYS, GROUPS, WIDTH))
    found *= 10.0 ** draw.integers(-4, 4, size=(NODES, KEYS, GROUPS, 1))
    found[-1, -1, -1] = 0
    return found.astype(np.float32)


@pytest.mark.parametrize("form, most", [("int8", 127), ("fp8", 448)])
def test_each_number_is_within_the_step_of_its_form(form, most):
    x = states()
    codes, scale = map(np.asarray, quantise_states(jnp.asarray(x), form))
    assert codes.dtype.itemsize == 1 and scale.dtype == np.float32
    np.testing.assert_allclose(scale, np.abs(x).max(axis=-1) / most, rtol=1e-6)
    codes, scale = codes.astype(np.float64), scale.astype(np.float64)[..., None]
    bound = scale / 2 if form == "int8" else np.maximum(np.abs(x) / 16, scale / 1024)
    assert (np.abs(x - codes * scale) <= bound * (1 + 1e-4)).all()
    largest = np.abs(codes).max(axis=-1)
    assert largest[-1, -1, -1] == 0 and (largest.reshape(-1)[:-1] == most).all()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_not_finite_stays_so(form, wrong):
    x = states()
    x[1, 2, 0, 3] = wrong
    found, _ = read(keep(jnp.asarray(x), jnp.asarray(x), form), jnp.float32)
    finite = np.isfinite(found).all(axis=-1)
    assert not finite[1, 2, 0] and finite.sum() == finite.size - 1


@pytest.mark.parametrize("form", FORMS)
def test_a_token_is_kept_alike_whatever_it_is_read_with(form):
    k, v = jnp.asarray(states(1)), jnp.asarray(states(2))
    whole = keep(k, v, form)
    for place in np.ndindex(NODES, KEYS):
        alone = keep(*(x[place][None, None] for x in (k, v)), form)
        for name, kept in whole.items():
            np.testing.assert_array_equal(alone[name][0, 0], kept[place], err_msg=name)


def test_without_a_form_nothing_is_changed():
    k, v = jnp.asarray(states(1)), jnp.asarray(states(2))
    kept = keep(k, v)
    assert (kept["k"] is k) and (kept["v"] is v) and len(kept) == 2
    found = read(kept, jnp.bfloat16)
    assert found[0] is k and found[1] is v


@pytest.mark.parametrize("form", ["", *FORMS])
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_bytes_are_those_of_the_arrays(form, dtype):
    kept = keep(*2 * [jnp.asarray(states(), dtype)], form)
    told = 2 * NODES * KEYS * GROUPS * bytes_kept(WIDTH, dtype, form)
    assert sum(leaf.nbytes for leaf in jax.tree.leaves(kept)) == told


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("nodes", [(1, 3, 12), (12,)])
@pytest.mark.parametrize("window", [None, 5])
def test_a_tree_in_8_bits_equals_rows_of_what_its_codes_stand_for(form, nodes, window):
    rng = np.random.default_rng(len(nodes))
    rows, tokens, heads = 12, 3, 4
    levels, parts = [], []
    for depth, count in enumerate(nodes):
        k, v = rng.normal(size=(2, count, 5, GROUPS, WIDTH)).astype(np.float32)
        kept = keep(jnp.asarray(k), jnp.asarray(v), form)
        positions = np.tile(6 * depth + np.arange(5), (count, 1))
        segments = np.tile(np.where(np.arange(5) < 5 - depth, 0, -1), (count, 1))
        levels.append(Keys(**kept, positions=positions, segments=segments))
        parts.append((*read(kept, jnp.float32), positions, segments))
    q = rng.normal(size=(rows, tokens, heads, WIDTH)).astype(np.float32)
    positions = np.tile(6 * len(nodes) - 3 + np.arange(tokens), (rows, 1))
    segments = np.zeros_like(positions)
    whole = [
        np.concatenate([np.repeat(part[i], rows // len(part[i]), axis=0) for part in parts], 1)
        for i in range(4)
    ]
    structure = Structure(positions, segments, *whole[2:])
    expected = attention(q, whole[0], whole[1], structure, window=window)
    found = cascade(q, positions, segments, levels, window=window)
    np.testing.assert_allclose(found, expected, atol=1e-6)
