"""Muon against the singular value decomposition in NumPy."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mllm.training.optimizers import make_optimizer

RATE = 1e-2


@pytest.mark.parametrize("shape", [(3, 24, 40), (3, 40, 24), (3, 32, 32)])
def test_muon_steps_along_the_nearest_orthogonal_matrix_of_each_layer(shape):
    rng = np.random.default_rng(0)
    # Layers of other sizes: none may be scaled by its neighbours.
    gradient = (rng.normal(size=shape) * np.array([1e-3, 1, 10])[:, None, None]).astype(np.float32)
    optimizer = make_optimizer("muon", optax.constant_schedule(RATE))
    params = {"layers": {"w": jnp.zeros(shape)}}
    updates, _ = optimizer.update(
        {"layers": {"w": jnp.asarray(gradient)}}, optimizer.init(params), params
    )
    scale = RATE * 0.2 * np.sqrt(max(shape[1:]))
    for update, layer in zip(np.asarray(updates["layers"]["w"]), gradient, strict=True):
        left, _, right = np.linalg.svd(layer, full_matrices=False)
        nearest = left @ right
        turned = -(update * nearest).sum() / np.linalg.norm(update) / np.linalg.norm(nearest)
        assert turned > 0.95
        assert np.linalg.norm(update, 2) < 1.3 * scale  # Newton-Schulz stops near 1, not at it
        assert 0.8 * scale < np.linalg.norm(update) / np.sqrt(min(shape[1:])) < 1.2 * scale
