"""Muon against the singular value decomposition in NumPy, schedules against those of optax."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mllm.training.optimizers import Schedule, make_optimizer, scale_by_schedule

RATE = 1e-2


@pytest.mark.parametrize("shape", [(3, 24, 40), (3, 40, 24), (3, 32, 32)])
def test_muon_steps_along_the_nearest_orthogonal_matrix_of_each_layer(shape):
    rng = np.random.default_rng(0)
    # Layers of other sizes: none may be scaled by its neighbours.
    gradient = (rng.normal(size=shape) * np.array([1e-3, 1, 10])[:, None, None]).astype(np.float32)
    optimizer = make_optimizer("muon", Schedule(RATE, steps=9))
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


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_hf_adamw_adds_epsilon_before_the_bias_is_corrected(weight_decay):
    """Against the update rule of transformers 4 in float64; gradients are near epsilon."""
    rng, eps = np.random.default_rng(0), 1e-6
    gradients = (rng.normal(size=(6, 5)) * 1e-5).astype(np.float32)
    weights = np.ones(5)
    mean, square = np.zeros(5), np.zeros(5)
    options = dict(eps=eps, weight_decay=weight_decay)
    optimizer = make_optimizer("hf_adamw", Schedule(RATE, steps=9), **options)
    params = jnp.ones(5)
    state = optimizer.init(params)
    for step, gradient in enumerate(gradients, 1):
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient.astype(np.float64) ** 2
        size = RATE * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        weights = weights - size * mean / (np.sqrt(square) + eps) - RATE * weight_decay * weights
        updates, state = optimizer.update(jnp.asarray(gradient), state, params)
        params = optax.apply_updates(params, updates)
    # transformers decays the new weights, which differs by the product of two small numbers
    np.testing.assert_allclose(params, weights, rtol=1e-5)
    other = make_optimizer("adamw", Schedule(RATE, steps=9), **options)
    found, _ = other.update(jnp.asarray(gradients[0]), other.init(params), jnp.ones(5))
    first = -RATE * gradients[0] / (np.abs(gradients[0]) + eps) - RATE * weight_decay
    np.testing.assert_allclose(found, first, rtol=1e-4)
    early, _ = optimizer.update(jnp.asarray(gradients[0]), optimizer.init(params), jnp.ones(5))
    assert np.abs(np.asarray(early) - first).max() > 0.1 * np.abs(first).max()


def rates(schedule, count):
    """The rates of the first updates: what they make of a gradient of one."""
    rule = scale_by_schedule(schedule)
    state, found = rule.init({}), []
    for _ in range(count):
        told = state.learning_rate
        scaled, state = rule.update(jnp.ones(()), state)
        assert float(scaled) == float(told)
        found.append(float(scaled))
    return found


@pytest.mark.parametrize("warmup", [0, 3, 12])
@pytest.mark.parametrize("decay", ["constant", "linear", "cosine"])
def test_schedules_are_those_of_optax(decay, warmup):
    peak, steps = 3e-3, 12
    rise = min(warmup, steps - 1)
    falls = {
        "constant": optax.constant_schedule(peak),
        "linear": optax.linear_schedule(peak, 0.0, steps - rise),
        "cosine": optax.cosine_decay_schedule(peak, steps - rise),
    }
    up = optax.linear_schedule(peak / (rise + 1), peak, max(rise, 1))
    expected = optax.join_schedules([up, falls[decay]], [rise])
    found = rates(Schedule(peak, steps, warmup, decay), steps + 2)
    np.testing.assert_allclose(found, [expected(i) for i in range(steps + 2)], rtol=1e-5)


def test_an_unknown_decay_is_named():
    with pytest.raises(ValueError, match="unknown decay 'step'"):
        Schedule(peak=1.0, steps=10, decay="step")


def test_schedules_of_other_numbers_are_one_program():
    def program(schedule):
        optimizer = make_optimizer("adamw", schedule, clip=1.0)
        params = {"w": jnp.ones((2, 3))}
        update = jax.jit(optimizer.update).lower(params, optimizer.init(params), params)
        return update.as_text()

    short = program(Schedule(1e-2, steps=10, warmup=2, decay="linear"))
    assert short == program(Schedule(3e-4, steps=500, warmup=50, decay="linear"))
    assert short != program(Schedule(1e-2, steps=10, warmup=2, decay="cosine"))
