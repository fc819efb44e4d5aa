"""Salient weights by hand, and that nothing else learns from what is to be forgotten."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from toy import make_model, make_pipeline

from mllm.ops.lora import init_lora
from mllm.parallel.mesh import one_device
from mllm.parallel.place import place
from mllm.studies import saliency
from mllm.studies.weights import Weights
from mllm.training import state
from mllm.training.optimizers import Schedule, make_optimizer, scale_by_schedule
from mllm.training.step import make_train_step
from mllm.unlearning import get_objective

FORGET = np.array([0.0, 0.0, 1.0, 2.0, 3.0])
RETAIN = np.array([0.0, 1.0, 2.0, 1.0, 0.0])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [False, False, False, True, True]),
        ({"threshold": 0.5}, [False, False, True, True, True]),
        ({"threshold": 3.0}, [False, False, False, False, True]),
        ({"form": "released"}, [True, False, False, True, True]),
        ({"form": "released", "threshold": 3.0}, [False, False, False, False, True]),
    ],
)
def test_a_weight_is_salient_by_the_ratio_of_mean_squares(options, expected):
    found = get_objective("mmunlearner", **options).salient(jnp.array(FORGET), jnp.array(RETAIN))
    np.testing.assert_array_equal(found, expected)


def test_published_squares_are_of_batches():
    assert get_objective("mmunlearner").squares == "answer"
    assert get_objective("mmunlearner", form="released").squares == "batch"


@pytest.fixture(scope="module")
def model():
    return make_model()


def beginning(model):
    """Weights, a drawn mask of them, and a batch of both roles."""
    rng = np.random.default_rng(0)
    params = jax.tree.map(jnp.copy, model.variables["params"])
    salient = jax.tree.map(lambda w: jnp.asarray(rng.random(w.shape) < 0.5), {"params": params})
    return params, salient, make_pipeline(model, "joint").batch_at(0)


def gradient(model, name, accumulation=1, **options):
    """The gradient that a step takes: plain descent at rate 1."""
    params, salient, batch = beginning(model)
    objective = get_objective(name, **options)
    frozen = {"salient": salient} if objective.salient else {}
    optimizer = optax.chain(optax.sgd(1.0), scale_by_schedule(Schedule(peak=1.0, steps=1)))
    shape = dict(accumulation=accumulation)
    step = make_train_step(model.model, model.config, objective, optimizer, **shape)
    before = jax.tree.map(np.asarray, params)
    new, metrics = step(state.create({"params": params}, optimizer), frozen, batch)
    found = jax.tree.map(lambda a, b: a - np.asarray(b), before, new.trainable["params"])
    return float(metrics["loss"][0]), found, salient["params"]


@pytest.mark.slow
@pytest.mark.parametrize("accumulation", [1, 2])
def test_the_gradient_of_what_is_to_be_forgotten_is_masked_and_no_other(model, accumulation):
    loss, found, salient = gradient(model, "mmunlearner", accumulation, retain_weight=0.5)
    plain, both, _ = gradient(model, "grad_diff", retain_weight=0.5)
    _, forget, _ = gradient(model, "ga")
    np.testing.assert_allclose(loss, plain, rtol=1e-5)
    for mine, chosen, joint, ascent in zip(
        *map(jax.tree.leaves, (found, salient, both, forget)), strict=True
    ):
        expected = np.where(chosen, ascent, 0) + (joint - ascent)
        np.testing.assert_allclose(mine, expected, atol=2e-5 * max(abs(joint).max(), 1e-3))


@pytest.mark.thorough
def test_weights_that_are_not_salient_never_move_without_a_retain_term(model):
    params, salient, _ = beginning(model)
    objective = get_objective("mmunlearner", keep="none")
    optimizer = make_optimizer("adamw", Schedule(1e-2, 3), clip=1.0)
    step = make_train_step(model.model, model.config, objective, optimizer)
    before = jax.tree.map(np.asarray, params)
    now = state.create({"params": params}, optimizer)
    batches = make_pipeline(model, "primary")
    for number in range(3):
        now, _ = step(now, {"salient": salient}, batches.batch_at(number))
    moment = optax.tree.get(now.opt, "mu")["params"]
    moved = 0
    for old, new, mask, kept in zip(
        *map(jax.tree.leaves, (before, now.trainable["params"], salient["params"], moment)),
        strict=True,
    ):
        still = ~np.asarray(mask)
        np.testing.assert_array_equal(np.asarray(new)[still], old[still])
        assert not np.asarray(kept)[still].any()
        moved += (np.asarray(new) != old).sum()
    assert moved > 1000


@pytest.mark.slow
def test_the_mask_is_measured_once_and_a_damaged_one_again(model, tmp_path, monkeypatch):
    options = dict(rank=2, targets=r"decoder/layers/(q|down)$")
    lora = init_lora(model.variables["params"], jax.random.key(1), **options)
    placed = place({"lora": lora}, one_device())
    weights = Weights(placed, {"params": model.variables["params"]})
    run = SimpleNamespace(folder=tmp_path, method="toy", record=lambda: {"identity": "one"})
    objective, pipeline = get_objective("mmunlearner"), make_pipeline(model, "joint")

    def measure():
        return saliency.salient_weights(objective, model, weights, pipeline, run)["salient"]

    found = measure()
    for path, leaf in jax.tree_util.tree_leaves_with_path(found):
        if path[-1].key == "a":  # at the start ``b`` is 0, so that no gradient reaches ``a``
            assert not leaf.any()
        else:
            assert 0.05 < np.asarray(leaf).mean() < 0.95
    with monkeypatch.context() as patched:
        patched.setattr(saliency, "mean_squares", lambda *_, **__: pytest.fail("measured again"))
        jax.tree.map(np.testing.assert_array_equal, measure(), found)
    file = tmp_path / saliency.FILE
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    jax.tree.map(np.testing.assert_array_equal, measure(), found)
    np.savez(file, depends_on="of another", **{"lora/decoder": np.zeros(3)})
    jax.tree.map(np.testing.assert_array_equal, measure(), found)
    assert saliency.salient_weights(get_objective("ga"), model, weights, pipeline, run) == {}


def test_without_rows_to_compare_with_it_says_so(tmp_path):
    weights = Weights({"params": {"w": np.zeros(2)}}, {})
    run = SimpleNamespace(folder=tmp_path, method="toy", record=lambda: {"identity": "one"})
    nobody = SimpleNamespace(once_over=lambda role: [])
    with pytest.raises(ValueError, match=r"toy: compares .* no example of forget"):
        saliency.salient_weights(get_objective("mmunlearner"), None, weights, nobody, run)
