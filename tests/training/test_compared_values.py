"""Steps that compare with the starting model: dense values, and a second copy of it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.special import log_softmax, softmax
from toy import make_model, make_pipeline, make_source, max_difference, pipeline_of

from mllm.data.packing import RowShape
from mllm.data.refusals import Refused
from mllm.data.source import Joined
from mllm.models.states import layer_states
from mllm.ops.lora import init_lora
from mllm.studies.precomputed import reference_logprobs
from mllm.training import state
from mllm.training.optimizers import Schedule, scale_by_schedule
from mllm.training.step import make_train_step
from mllm.training.values import packed_logprobs
from mllm.unlearning import get_objective
from mllm.unlearning.roles import FORGET, REFUSAL

pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module")
def model():
    return make_model()


def beginning(model):
    """Weights, an adapter that is not zero, and a batch of both roles."""
    params = jax.tree.map(jnp.copy, model.variables["params"])
    options = dict(rank=2, targets=r"decoder/layers/\w+$")
    lora = jax.eval_shape(lambda: init_lora(params, jax.random.key(1), **options))
    rng = np.random.default_rng(2)
    lora = jax.tree.map(lambda w: rng.normal(0, 0.3, w.shape).astype(np.float32), lora)
    return params, lora, dict(make_pipeline(model, "joint").batch_at(0))


def update(model, objective, copied: bool):
    """The loss of one step under an adapter and its gradient (plain descent at rate 1)."""
    optimizer = optax.chain(optax.sgd(1.0), scale_by_schedule(Schedule(peak=1.0, steps=1)))
    params, lora, batch = beginning(model)
    before = jax.tree.map(np.asarray, lora)
    frozen = {"params": params}
    if copied:
        frozen["reference"] = {"params": jax.tree.map(jnp.copy, params)}
    step = make_train_step(model.model, model.config, objective, optimizer)
    new, metrics = step(state.create({"lora": lora}, optimizer), frozen, batch)
    gradient = jax.tree.map(lambda a, b: a - np.asarray(b), before, new.trainable["lora"])
    return float(metrics["loss"][0]), gradient


def dense(model, variables, batch) -> np.ndarray:
    """Logits float64[R, T, V] of all places of a batch."""
    hidden = jax.jit(model.model.hidden, static_argnums=0)
    states, _ = hidden(model.config, variables, batch)
    return np.asarray(states, "float64") @ np.asarray(model.model.head(model.config, variables))


def undial_by_hand(model, variables, reference, batch) -> float:
    now, then = dense(model, variables, batch), dense(model, reference, batch)
    values = []
    for r in range(len(batch["tokens"])):
        for target, source in zip(batch["targets"][r], batch["sources"][r], strict=True):
            if target < batch["tokens"].shape[1] and batch["role"][r] and batch["weight"][r]:
                lowered = then[r, source].copy()
                lowered[batch["tokens"][r, target]] -= 3
                values.append(-(softmax(lowered) * log_softmax(now[r, source])).sum())
    return np.mean(values)


def rmu_by_hand(model, variables, reference, batch) -> float:
    states_of = jax.jit(lambda v: layer_states(model.model, model.config, v, batch))
    now, then = (np.asarray(states_of(v), "float64")[1] for v in (variables, reference))
    drawn = np.asarray(jax.random.uniform(jax.random.key(0), (32,)), "float64")
    wanted = 2 * drawn / np.linalg.norm(drawn)
    means = {1.0: [], 0.0: []}
    for r in range(len(batch["tokens"])):
        for s in range(batch["answers"].shape[1] if batch["weight"][r] else 0):
            here = (batch["segments"][r] == s + 1) & (batch["loss_mask"][r] == 1)
            if here.any():
                role = float(batch["role"][r])
                far = now[r, here] - (wanted if role else then[r, here])
                means[role].append((far**2).sum(axis=1).mean())
    return np.mean(means[1.0]) + 0.5 * np.mean(means[0.0])


@pytest.mark.parametrize(
    ("name", "options", "by_hand"),
    [
        pytest.param("undial", {"beta": 3.0}, undial_by_hand, marks=pytest.mark.slow),
        pytest.param(
            "rmu", {"layer": 1, "retain_weight": 0.5}, rmu_by_hand, marks=pytest.mark.slow
        ),
    ],
)
def test_the_step_computes_the_formula_and_needs_no_second_copy(model, name, options, by_hand):
    objective = get_objective(name, **options)
    loss, gradient = update(model, objective, copied=False)
    params, lora, batch = beginning(model)
    expected = by_hand(model, {"params": params, "lora": lora}, {"params": params}, batch)
    np.testing.assert_allclose(loss, expected, rtol=1e-4)
    copied, again = update(model, objective, copied=True)
    np.testing.assert_allclose(copied, loss, rtol=1e-6)
    size = np.linalg.norm([np.linalg.norm(leaf) for leaf in jax.tree.leaves(gradient)])
    assert size > 0 and max_difference(again, gradient) < 1e-5 * size


def test_dpo_begins_at_log_two_on_real_twins(model):
    people = make_source(24)
    forget = [example for example in people if example.role == FORGET]
    objective = get_objective("dpo")
    pipeline = pipeline_of(
        Joined(people, Refused(forget, REFUSAL)),
        model.processor,
        6,
        RowShape(tokens=128, supervised=96, answers=3),
        schedule=objective.rows,
        primary=objective.primary,
        roles=objective.roles,
        twin=objective.twin,
    )
    roles = (objective.primary, objective.twin)
    pipeline.reference = reference_logprobs(model, pipeline, roles)
    assert (pipeline.reference < 0).sum() == 2 * len(forget)
    logprobs = jax.jit(partial(packed_logprobs, model.model, model.config, model.variables))
    pairs = 0
    for number in range(pipeline.steps(1)):
        batch = pipeline.batch_at(number)
        loss, metrics = objective.loss(token_logprobs=logprobs(batch), batch=batch)
        np.testing.assert_allclose(loss, np.log(2), rtol=1e-4)
        pairs += int(metrics["refusal_margin"][1])
    assert pairs == len(forget)
