"""What is subtracted is what training added: of weights, and of an adapter as it is merged."""

import jax
import numpy as np
import pytest
from toy import make_model, make_pipeline

from mllm.checkpoints.orbax import Checkpoints
from mllm.studies.edited import before_edit, edited
from mllm.training import state
from mllm.training.loop import train
from mllm.training.optimizers import Schedule, make_optimizer
from mllm.training.step import make_train_step
from mllm.unlearning import get_objective

RNG = np.random.default_rng(0)


def draw(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype("float32")


@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_weights_move_as_far_the_other_way(scale):
    start, trained = ({"params": {"mlp": {"w": draw(3, 4), "b": draw(4)}}} for _ in range(2))
    found = get_objective("task_vector", scale=scale).edit(start, trained)
    for name in ("w", "b"):
        old, new = (tree["params"]["mlp"][name] for tree in (start, trained))
        np.testing.assert_allclose(
            found["params"]["mlp"][name], old - scale * (new - old), rtol=1e-6
        )


@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_the_merged_update_of_an_adapter_is_negated(scale):
    first = {"lora": {"q": {"a": draw(5, 2), "b": np.zeros((2, 4), "float32")}}}
    trained = {"lora": {"q": {"a": draw(5, 2), "b": draw(2, 4)}}}
    found = get_objective("task_vector", scale=scale).edit(first, trained)["lora"]["q"]
    learned = trained["lora"]["q"]["a"] @ trained["lora"]["q"]["b"]
    np.testing.assert_allclose(found["a"] @ found["b"], -scale * learned, rtol=1e-5, atol=1e-6)


@pytest.mark.thorough
def test_the_edit_is_made_once_and_kept_with_what_was_trained(tmp_path):
    model, objective = make_model(), get_objective("task_vector", scale=0.5)
    optimizer = make_optimizer("adamw", Schedule(1e-2, 3))
    step = make_train_step(model.model, model.config, objective, optimizer)
    start = jax.tree.map(np.asarray, model.variables["params"])
    meta = {"a": 1}

    def run():
        trainable = jax.tree.map(jax.numpy.asarray, {"params": start})
        before = before_edit(objective, trainable)
        first = state.create(trainable, optimizer)
        batches = make_pipeline(model, "primary")
        options = dict(steps=3, folder=tmp_path, meta=meta)
        done = train(step, first, {}, batches.batch_at, name="toy", **options)
        return edited(objective, before, done, **options).trainable["params"]

    found = run()
    with Checkpoints(tmp_path / "checkpoints", writes=False) as checkpoints:
        assert checkpoints.latest() == 4
        learned = checkpoints.restore(3, {"params": found})["params"]
    for old, new, now in zip(*map(jax.tree.leaves, (start, learned, found)), strict=True):
        np.testing.assert_allclose(now, old - 0.5 * (np.asarray(new) - old), rtol=1e-5, atol=1e-7)
    assert (
        max(
            np.abs(np.asarray(a) - b).max()
            for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(start), strict=True)
        )
        > 1e-3
    )
    again = run()  # continues from what was edited
    jax.tree.map(np.testing.assert_array_equal, again, found)


def test_an_objective_without_an_edit_keeps_no_copy():
    assert before_edit(get_objective("ga"), {"params": {}}) is None
