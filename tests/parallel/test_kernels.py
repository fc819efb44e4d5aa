"""A kernel that is called part by part on a mesh equals the same kernel called at once."""

import re
from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.ad_checkpoint import checkpoint_policies

from mllm.ops.attention import (
    IMPLEMENTATIONS,
    attention,
    causal,
    kernels_for,
    masked_attention,
    masked_flash,
)
from mllm.ops.flash import LSE, OUT
from mllm.parallel.kernels import kernels_on
from mllm.parallel.mesh import make_mesh


@pytest.mark.thorough
@pytest.mark.parametrize(
    "rows, groups, part",
    [(4, 2, (1, 2)), (3, 2, (3, 2)), (4, 1, (1, 4)), (3, 1, (3, 4))],
    ids=["split", "rows that do not divide", "heads that do not divide", "neither divides"],
)
def test_parts_equal_the_whole(rows, groups, part, monkeypatch):
    """``part``: rows and heads that a device of the mesh sees."""
    mesh, seen = make_mesh(2, 2, 2), []

    def kernel(q, k, v, structure, *, window):
        seen.append((q.shape[0], q.shape[2]))
        assert structure.key_segments.shape[0] == q.shape[0] == k.shape[0]
        return masked_attention(q, k, v, structure, window=window)

    monkeypatch.setitem(IMPLEMENTATIONS, "splash", kernel)
    rng = np.random.default_rng(0)
    q, k, v = (
        jnp.asarray(rng.normal(size=(rows, 16, heads, 8)), jnp.float32)
        for heads in (4, groups, groups)
    )
    places = jnp.asarray(np.tile(np.arange(16), (rows, 1)), jnp.int32)
    cuts = jnp.asarray(rng.integers(4, 16, (rows, 1)))
    structure = causal(places, jnp.where(places < cuts, places // 4, -1))

    def total(q, k, v, impl):
        found = attention(q, k, v, structure, impl=impl)
        return jnp.sum(jnp.where((places < cuts)[:, :, None, None], found, 0) ** 2)

    expected = jax.value_and_grad(total, argnums=(0, 1, 2))(q, k, v, "xla")
    platform, split, impl = kernels_on(mesh)
    assert (platform, impl) == ("cpu", None)
    with kernels_for(platform, split):
        program = jax.jit(jax.value_and_grad(total, argnums=(0, 1, 2)), static_argnums=3)
        found = program(q, k, v, "splash")
    assert set(seen) == {part}
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_one_device_or_none_splits_nothing():
    assert kernels_on(None) == ("cpu", None, None)
    assert kernels_on(make_mesh(1, 1, 1, jax.devices()[:1])) == ("cpu", None, None)


def test_the_environment_forces_an_implementation(monkeypatch):
    monkeypatch.setenv("MLLM_ATTENTION", "xla")
    assert kernels_on(None) == ("cpu", None, "xla")


@pytest.mark.parametrize(
    "capability, platform", [("9.0", "gpu"), ("8.0", "gpu"), ("8.9", "small gpu")]
)
def test_a_gpu_of_little_shared_memory_is_a_small_one(capability, platform):
    device = SimpleNamespace(platform="gpu", compute_capability=capability)
    mesh = SimpleNamespace(devices=np.array([device]), size=1)
    assert kernels_on(mesh)[0] == platform


@pytest.mark.thorough
def test_the_flash_kernel_on_a_mesh_equals_the_reference_and_keeps_what_a_policy_names(monkeypatch):
    monkeypatch.setitem(IMPLEMENTATIONS, "flash", partial(masked_flash, interpret=True))
    rng = np.random.default_rng(0)
    q, k, v = (jnp.asarray(rng.normal(size=(4, 40, heads, 16)), jnp.float32) for heads in (4, 2, 2))
    segments = jnp.asarray(np.repeat([[0, 1, 2, -1], [0, 1, -1, -1]] * 2, 10, axis=1))
    places = jnp.asarray(np.tile([*range(20), *range(10, 20), *range(10)], (4, 1)))
    structure = causal(places, segments)
    real = (segments >= 0)[:, :, None, None]

    @partial(
        jax.checkpoint, static_argnums=3, policy=checkpoint_policies.save_only_these_names(OUT, LSE)
    )
    def attend(q, k, v, impl):
        return jnp.where(real, attention(q, k, v, structure, impl=impl), 0) ** 2

    def total(q, k, v, impl):
        return jnp.sum(attend(q, k, v, impl))

    expected = jax.value_and_grad(total, argnums=(0, 1, 2))(q, k, v, "xla")
    with kernels_for(*kernels_on(make_mesh(2, 2, 2))):
        program = jax.jit(jax.value_and_grad(total, argnums=(0, 1, 2)), static_argnums=3)
        compiled = program.lower(q, k, v, "flash").compile()
    assert "/flash_forward/" in compiled.as_text()
    assert not re.search("rematted_computation.*/flash_forward/", compiled.as_text())
    found = compiled(q, k, v)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
