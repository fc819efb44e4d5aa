"""The method of CONTRIBUTING.md, registered and used as that page says."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from toy import make_model, make_pipeline

from mllm.training import state
from mllm.training.step import make_train_step
from mllm.unlearning import OBJECTIVES, get_objective


@pytest.fixture
def registered(load_example, monkeypatch):
    factory = load_example("method_bounded_ga").bounded_ga
    monkeypatch.setitem(OBJECTIVES, "bounded_ga", factory)


def batch_of(logprobs, forget):
    """A row for each list of log-probabilities, all of it supervised."""
    tokens = max(map(len, logprobs))
    padded = np.array([row + [0.0] * (tokens - len(row)) for row in logprobs], np.float32)
    mask = np.array([[1.0] * len(row) + [0.0] * (tokens - len(row)) for row in logprobs])
    rows = np.asarray(forget, np.float32)
    role = {"role": rows, "weight": np.ones_like(rows)}
    return padded, {"loss_mask": mask.astype(np.float32), **role}


def test_the_loss_is_the_distance_to_the_bound(registered):
    logprobs, batch = batch_of([[-1.0, -2.0], [-0.5], [-9.0]], forget=[1, 1, 0])
    objective = get_objective("bounded_ga", bound=3.0)
    loss, metrics = objective.loss(jnp.asarray(logprobs), batch)
    np.testing.assert_allclose(loss, 3.0 - 3.5 / 3, rtol=1e-6)
    np.testing.assert_allclose(metrics["forget_nll"], (3.5, 3))


@pytest.mark.parametrize("forget, values", [([1, 1], [[-5.0], [-4.0]]), ([0, 0], [[-1.0], [-1.0]])])
def test_past_the_bound_and_without_forget_rows_nothing_is_pushed(registered, forget, values):
    logprobs, batch = batch_of(values, forget)
    objective = get_objective("bounded_ga", bound=4.0)
    value = lambda logprobs: objective.loss(logprobs, batch)[0]  # noqa: E731
    loss, gradient = jax.value_and_grad(value)(jnp.asarray(logprobs))
    assert loss == 0 and not np.asarray(gradient).any()


def test_a_bound_that_is_not_positive_is_refused(registered):
    with pytest.raises(ValueError, match="bound > 0, got 0"):
        get_objective("bounded_ga", bound=0)


@pytest.mark.thorough
def test_training_climbs_to_the_bound_and_stops_there(registered):
    """Plain SGD on one batch: the loss falls to zero, after which the weights stand still."""
    model = make_model()
    batch = make_pipeline(model, "primary").batch_at(0)
    optimizer = optax.sgd(0.3)
    objective = get_objective("bounded_ga", bound=6.5)
    step = make_train_step(model.model, model.config, objective, optimizer)
    params = jax.tree.map(jnp.copy, model.variables["params"])
    now, losses = state.create({"params": params}, optimizer), []
    for _ in range(30):
        now, metrics = step(now, {}, batch)
        losses.append(float(metrics["loss"][0]))
    assert losses[0] > 0.3 and losses[-1] == 0
    settled = jax.tree.map(np.asarray, now.trainable)
    now, _ = step(now, {}, batch)
    for before, after in zip(jax.tree.leaves(settled), jax.tree.leaves(now.trainable), strict=True):
        np.testing.assert_array_equal(before, after)
