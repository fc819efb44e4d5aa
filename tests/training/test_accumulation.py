"""A step whose rows are taken in parts equals the one that takes them whole."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from toy import make_model, make_pipeline

from mllm.ops.lora import init_lora
from mllm.ops.losses import supervised_logprobs
from mllm.training import state
from mllm.training.optimizers import Schedule, scale_by_schedule
from mllm.training.step import cut_rows, join_rows, make_train_step
from mllm.training.values import predicting_states, scatter_values
from mllm.unlearning import get_objective

pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module")
def model():
    return make_model()


def beginning(model):
    """Weights, an adapter and a batch of both roles."""
    params = jax.tree.map(jnp.copy, model.variables["params"])
    options = dict(rank=2, targets=r"decoder/layers/\w+$")
    lora = jax.eval_shape(lambda: init_lora(params, jax.random.key(1), **options))
    # An adapter that is not zero: else the divergence and its gradient are.
    rng = np.random.default_rng(2)
    lora = jax.tree.map(lambda w: rng.normal(0, 0.3, w.shape).astype(np.float32), lora)
    batch = dict(make_pipeline(model).batch_at(0))
    batch["role"] = np.arange(len(batch["role"])).astype(np.float32) % 2
    batch["reference_logprobs"] = np.full(batch["answers"].shape, -3.0, np.float32)
    return params, lora, batch


def update(model, name, accumulation, config=None, key=None):
    """The metrics of one step, its gradient (plain descent at rate 1) and its temporary bytes."""
    optimizer = optax.chain(optax.sgd(1.0), scale_by_schedule(Schedule(peak=1.0, steps=1)))
    params, lora, batch = beginning(model)
    step = make_train_step(
        model.model,
        config or model.config,
        get_objective(name),
        optimizer,
        key=key,
        accumulation=accumulation,
    )
    first = state.create({"lora": lora}, optimizer)
    compiled = step.lower(first, {"params": params}, batch).compile()
    before = jax.tree.map(np.asarray, lora)
    new, metrics = compiled(first, {"params": params}, batch)
    gradient = jax.tree.map(lambda a, b: a - np.asarray(b), before, new.trainable["lora"])
    return metrics, gradient, compiled.memory_analysis().temp_size_in_bytes


def norm(tree) -> float:
    return float(np.linalg.norm([np.linalg.norm(leaf) for leaf in jax.tree.leaves(tree)]))


@pytest.mark.parametrize("name", [pytest.param("kl_min", marks=pytest.mark.slow), "npo"])
def test_parts_give_the_loss_and_gradient_of_the_whole(model, name):
    """Of an objective that needs its first weights, and of one that needs what they say."""
    whole, expected, much = update(model, name, 1)
    parts, found, less = update(model, name, 2)
    np.testing.assert_allclose(parts["loss"][0], whole["loss"][0], rtol=1e-6)
    size = norm(expected)
    assert size > 0
    assert norm(jax.tree.map(np.subtract, found, expected)) < 1e-6 * size
    assert less < much


@pytest.mark.slow
def test_with_dropout_each_part_drops_the_same_inputs_in_both_passes(model):
    """Against the gradient of one loss over all parts, each computed once with its own mask."""
    decoder = replace(model.config.decoder, lora_dropout=0.5)
    config, key = replace(model.config, decoder=decoder), jax.random.key(5)
    objective = get_objective("npo")
    params, lora, batch = beginning(model)
    keys = jax.random.split(jax.random.fold_in(key, 0), 2)

    def loss(lora):
        variables, values = {"params": params, "lora": lora}, []
        for number in range(2):
            part = jax.tree.map(lambda rows, n=number: rows[n::2], batch)
            states = predicting_states(model.model, config, variables, part, key=keys[number])
            head = model.model.head(config, variables)
            values.append(scatter_values(supervised_logprobs(states, head, part), part))
        return objective.loss(token_logprobs=join_rows(jnp.stack(values)), batch=batch)[0]

    expected, gradient = jax.value_and_grad(loss)(lora)
    metrics, found, _ = update(model, "npo", 2, config, key)
    np.testing.assert_allclose(metrics["loss"][0], expected, rtol=1e-5)
    difference = norm(jax.tree.map(np.subtract, found, jax.device_get(gradient)))
    assert difference < 1e-5 * norm(gradient)
    undropped, _, _ = update(model, "npo", 2)
    assert abs(float(metrics["loss"][0] - undropped["loss"][0])) > 1e-3


def test_rows_come_back_in_their_order():
    rows = jnp.arange(24).reshape(6, 2, 2)
    np.testing.assert_array_equal(join_rows(cut_rows(rows, 3)), rows)
    with pytest.raises(ValueError, match="does not divide"):
        cut_rows(rows, 4)
