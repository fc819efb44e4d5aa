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
