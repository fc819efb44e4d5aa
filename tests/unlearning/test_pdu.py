"""The spread of logits, and a multiplier that rises while too much is lost."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from packed_rows import draw_answers, pack, token_mean
from toy import make_model, make_pipeline

from mllm.files import read_jsonl
from mllm.training import state
from mllm.training.loop import train
from mllm.training.optimizers import Schedule, make_optimizer
from mllm.training.step import make_train_step
from mllm.unlearning import get_objective

LOGITS = np.random.default_rng(0).normal(size=(7, 11)).astype("float32") * 3


def test_spread_is_the_squared_distance_of_the_largest_logit_from_their_mean():
    spread = get_objective("pdu").values["spread"]
    expected = (LOGITS.astype("float64").max(1) - LOGITS.mean(1)) ** 2
    np.testing.assert_allclose(spread(logits=LOGITS), expected, rtol=1e-5)
    np.testing.assert_allclose(spread(logits=jnp.full((2, 11), 5.0)), 0, atol=1e-9)
    gradient = jax.grad(lambda z: spread(logits=z).sum())(jnp.asarray(LOGITS))
    largest = np.eye(11, dtype=bool)[LOGITS.argmax(1)]
    by_hand = 2 * np.sqrt(expected)[:, None] * (largest - 1 / 11)
    np.testing.assert_allclose(gradient, by_hand, rtol=1e-4, atol=1e-5)
    assert (np.asarray(gradient)[largest] > 0).all()  # descent lowers what is predicted


def test_the_multiplier_follows_the_dual_ascent():
    answers = draw_answers(4)
    logprobs, divergence, batch = pack(answers, [[0, 1], [2, 3], [4, 5, 6]])
    lost = -token_mean(answers[4:], "logprobs")
    for limit, pace, warmup in ((0.2, 0.5, 0), (lost + 1, 0.3, 0), (0.2, 2.0, 2)):
        objective = get_objective("pdu", limit=limit, pace=pace, warmup=warmup, multiplier=0.7)
        numbers, expected = dict(objective.numbers), 0.7
        for step in range(4):
            _, metrics = objective.loss(
                token_logprobs=logprobs, spread=divergence, numbers=numbers, batch=batch
            )
            numbers = objective.renew(numbers, metrics, step)
            if step >= warmup:
                expected = max(0.0, expected + pace * (lost - limit))
            np.testing.assert_allclose(numbers["multiplier"], expected, rtol=1e-5)
    assert expected > 0.7


def test_without_rows_to_retain_the_multiplier_stays():
    logprobs, divergence, batch = pack(draw_answers(4), [[0, 1], [2, 3]])
    objective = get_objective("pdu", multiplier=3.0)
    numbers = {"multiplier": jnp.float32(3.0)}
    given = dict(token_logprobs=logprobs, spread=divergence, numbers=numbers, batch=batch)
    loss, metrics = objective.loss(**given)
    np.testing.assert_allclose(loss, token_mean(draw_answers(4)[:4], "divergence"), rtol=1e-5)
    assert objective.renew(numbers, metrics, 5)["multiplier"] == 3.0


@pytest.mark.thorough
def test_the_multiplier_is_part_of_the_state_and_of_the_log(tmp_path):
    model, objective = make_model(), get_objective("pdu", limit=0.5, pace=0.4, multiplier=2.0)
    optimizer = make_optimizer("adamw", Schedule(1e-2, 4))
    step = make_train_step(model.model, model.config, objective, optimizer)

    def run(folder, steps):
        trainable = {"params": jax.tree.map(jnp.copy, model.variables["params"])}
        first = state.create(trainable, optimizer, numbers=objective.numbers)
        batches = make_pipeline(model, "joint").batch_at
        options = dict(folder=folder, name="toy", meta={}, log_every=1)
        return partial(train, step, first, {}, batches, steps=steps, **options)()

    whole = run(tmp_path / "whole", 4)
    run(tmp_path / "parts", 2)
    resumed = run(tmp_path / "parts", 4)
    jax.tree.map(np.testing.assert_array_equal, resumed, whole)
    expected = 2.0
    for line in read_jsonl(tmp_path / "whole" / "metrics.jsonl"):
        np.testing.assert_allclose(line["multiplier"], expected, rtol=1e-5)
        lagrangian = line["spread"] + expected * (line["retain_nll"] - 0.5)
        np.testing.assert_allclose(line["loss"], lagrangian, rtol=1e-5)
        expected = max(0.0, expected + 0.4 * (line["retain_nll"] - 0.5))
    np.testing.assert_allclose(whole.numbers["multiplier"], expected, rtol=1e-5)
