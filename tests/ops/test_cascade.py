"""Attention over a tree of keys against attention over rows that hold a copy of all of them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mllm.ops import attention as room
from mllm.ops.attention import Structure, attention, kernels_for
from mllm.ops.cascade import Keys, cascade
from mllm.ops.flash import flash_attention
from mllm.parallel.kernels import kernels_on
from mllm.parallel.mesh import make_mesh
from tests.ops.test_flash import SMALL

HEADS, GROUPS, WIDTH, ROWS, TOKENS = 4, 2, 16, 12, 3


def keys_of(rng, nodes: int, slots: int, first: int, empty: int = 0) -> Keys:
    """Random keys at positions from ``first`` on, the last ``empty`` of each node padding."""
    k, v = rng.normal(size=(2, nodes, slots, GROUPS, WIDTH)).astype(np.float32)
    positions = np.tile(first + np.arange(slots), (nodes, 1))
    segments = np.where(np.arange(slots) < slots - empty, 0, -1)
    return Keys(k, v, positions, np.tile(segments, (nodes, 1)))


@pytest.mark.parametrize("window", [None, 5])
@pytest.mark.parametrize("nodes", [(1, 3, 12), (12, 12), (2, 2), (4,)])
def test_a_tree_equals_rows_that_hold_all_their_keys(nodes, window):
    rng = np.random.default_rng(len(nodes))
    levels = [keys_of(rng, n, 4 + i, 6 * i, empty=i) for i, n in enumerate(nodes)]
    q = rng.normal(size=(ROWS, TOKENS, HEADS, WIDTH)).astype(np.float32) * 2
    positions = np.tile(6 * len(nodes) - 3 + np.arange(TOKENS), (ROWS, 1))
    segments = np.zeros_like(positions)
    found = cascade(q, positions, segments, levels, window=window)
    whole = [
        np.concatenate([np.repeat(level[i], ROWS // len(level[i]), axis=0) for level in levels], 1)
        for i in range(4)
    ]
    structure = Structure(positions, segments, *whole[2:])
    expected = attention(q, whole[0], whole[1], structure, window=window)
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_a_level_of_padding_alone_changes_nothing():
    rng = np.random.default_rng(0)
    level, nothing = keys_of(rng, 3, 5, 0), keys_of(rng, 1, 4, 0, empty=4)
    q = rng.normal(size=(ROWS, TOKENS, HEADS, WIDTH)).astype(np.float32)
    positions = np.full((ROWS, TOKENS), 9)
    asked = jnp.asarray(q), positions, np.zeros_like(positions)
    np.testing.assert_allclose(
        cascade(*asked, [nothing, level]), cascade(*asked, [level]), atol=1e-6
    )


@pytest.mark.thorough
@pytest.mark.parametrize("meshed", [False, True])
def test_long_levels_through_the_flash_kernel_equal_the_product(meshed, monkeypatch):
    calls = []

    def interpreted(q, k, *rest, **how):
        calls.append(k.shape[:2])
        return flash_attention(q, k, *rest, **how, tiles=SMALL, interpret=True)

    monkeypatch.setattr(room, "flash_attention", interpreted)
    rng = np.random.default_rng(0)
    levels = [keys_of(rng, 1, 300, 0, empty=40), keys_of(rng, 4, 260, 260), keys_of(rng, 4, 3, 520)]
    levels = [Keys(*(x.astype(jnp.float16) for x in level[:2]), *level[2:]) for level in levels]
    positions = np.tile(523 + np.arange(TOKENS), (ROWS, 1))
    segments = np.where(np.arange(ROWS)[:, None] < ROWS - 1, 0, -1) + 0 * positions
    q = rng.normal(size=(ROWS, TOKENS, HEADS, WIDTH)).astype(np.float16)
    asked = jnp.asarray(q), jnp.asarray(positions), jnp.asarray(segments)
    attend = partial(cascade, window=400)
    expected = attend(*asked, levels)
    _, split, _ = kernels_on(make_mesh(2, 2, 2) if meshed else None)
    with kernels_for("gpu", split):
        found = jax.jit(lambda *asked: attend(*asked, levels))(*asked)
    assert calls == [(1, 300), (1 if meshed else 4, 260)]
    real = segments >= 0
    np.testing.assert_allclose(found[real], expected[real], atol=4e-3)
    assert np.isfinite(found).all()
