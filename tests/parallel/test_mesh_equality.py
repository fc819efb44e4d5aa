"""A model over eight devices computes what it computes on one."""

import math
import re
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from toy import make_model, make_pipeline

import mllm
from mllm.checkpoints.digest import weights_digest
from mllm.checkpoints.folder import load_model, save_model
from mllm.data.conversation import user
from mllm.decoding.generate import generate
from mllm.decoding.prefix import prefill
from mllm.decoding.score import score_choices
from mllm.decoding.split import split_for_decoding
from mllm.evaluation.branching import lay_out_choices
from mllm.ops.lora import init_lora
from mllm.parallel.mesh import make_mesh, mesh_of, one_device
from mllm.parallel.place import fetch, place, place_rows
from mllm.parallel.rules import shardings
from mllm.training import optimizers, state
from mllm.training.step import make_train_step
from mllm.unlearning import get_objective

pytestmark = pytest.mark.thorough

MESHES = [pytest.param((1, 8, 1), marks=pytest.mark.slow), (2, 2, 2)]
ROWS = 6  # no mesh divides it


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture(scope="module")
def variables(model):
    """Weights and an adapter that changes them."""
    adapter = init_lora(model.variables["params"], jax.random.key(1), rank=3, targets=".")
    adapter = jax.tree.map(lambda leaf: leaf + 0.01, adapter)
    return jax.device_get({**model.variables, "lora": adapter})


def updated(model, variables, mesh, batches):
    """Train weights and adapter at once: the state, metrics of each step, traces of the step."""
    schedule = optimizers.Schedule(peak=1e-2, steps=9)
    optimizer = optimizers.make_optimizer("adamw", schedule)
    objective, traces = get_objective("nll"), []

    class Counted:
        head = staticmethod(model.model.head)

        @staticmethod
        def hidden(*arguments, **options):
            traces.append(None)
            return model.model.hidden(*arguments, **options)

    step = make_train_step(Counted, model.config, objective, optimizer, mesh=mesh)
    now = state.create(variables, optimizer, mesh)
    told = []
    for batch in batches:
        before = now
        now, metrics = step(now, {}, place_rows(batch, mesh))
        assert all(leaf.is_deleted() for leaf in jax.tree.leaves(before))
        told.append(jax.device_get(metrics))
    shapes = {batch["tokens"].shape + batch["targets"].shape for batch in batches}
    assert step._cache_size() == len(shapes)  # one program for all batches of a shape
    return now, told, len(traces)


@pytest.fixture(scope="module")
def batches(model):
    pipeline = make_pipeline(model, rows=ROWS)
    return [pipeline.batch_at(step) for step in range(3)]


@pytest.fixture(scope="module")
def alone(model, variables, batches):
    return updated(model, variables, one_device(), batches[:1])


@pytest.mark.parametrize("sizes", MESHES)
def test_loss_gradient_and_update_equal_those_of_one_device(
    model, variables, batches, alone, sizes
):
    mesh = make_mesh(*sizes)
    now, told, traces = updated(model, variables, mesh, batches[:1])
    expected = alone[0]
    assert traces == alone[2] == 1
    for name, (total, count) in alone[1][0].items():
        np.testing.assert_allclose(told[0][name][0], total, rtol=1e-5)
        assert told[0][name][1] == count  # rows that pad count nothing
    # The first moment is a tenth of the gradient.
    gradient, wanted = (jax.device_get(optax.tree.get(each.opt, "mu")) for each in (now, expected))
    for found, value in zip(jax.tree.leaves(gradient), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(found, value, atol=2e-6 * max(1.0, np.abs(value).max()))
    # Adam's first update is a sign: compare where the gradient is not all rounding.
    for found, value, slope in zip(
        *(jax.tree.leaves(jax.device_get(tree)) for tree in (now.trainable, expected.trainable)),
        jax.tree.leaves(wanted),
        strict=True,
    ):
        sure = np.abs(slope) > 1e-5
        np.testing.assert_allclose(found[sure], value[sure], atol=1e-4)


def test_the_state_keeps_its_places_and_one_program_serves_all_batches(model, variables, batches):
    mesh = make_mesh(2, 2, 2)
    now, _, traces = updated(model, variables, mesh, batches)
    assert traces == len({batch["tokens"].shape for batch in batches})
    for leaf, wanted in zip(
        jax.tree.leaves(now), jax.tree.leaves(shardings(now, mesh)), strict=True
    ):
        assert leaf.sharding == wanted
    assert not now.trainable["params"]["decoder"]["layers"]["q"]["w"].is_fully_replicated


def test_no_device_holds_the_states_of_all_rows(model, variables):
    mesh = make_mesh(1, 8, 1)
    schedule = optimizers.Schedule(peak=1e-2, steps=9)
    optimizer, objective = optimizers.make_optimizer("adamw", schedule), get_objective("nll")
    step = make_train_step(model.model, model.config, objective, optimizer, mesh=mesh)
    batch = make_pipeline(model, rows=8).batch_at(0)
    now = state.create({"lora": variables["lora"]}, optimizer, mesh)
    frozen = place({"params": variables["params"]}, mesh)
    program = step.lower(now, frozen, place_rows(batch, mesh)).compile().as_text()
    tokens, width = batch["tokens"].shape[1], model.config.decoder.width
    assert f"f32[1,{tokens},{width}]" in program
    # Of all rows at most an eighth of their width, as the embeddings lie.
    whole = re.findall(rf"f32\[8,{tokens}((?:,\d+)+)\]", program)
    sizes = [math.prod(int(size) for size in rest.strip(",").split(",")) for rest in whole]
    assert max(sizes, default=0) <= width // 8


@pytest.mark.parametrize("sizes", MESHES)
def test_scores_and_replies_equal_those_of_one_device(model, variables, sizes):
    nodes, count = 8, 16  # whoever asks fills up what devices do not divide
    asked = [user("Who is the person in the picture ?")]
    ids = model.processor.encode(asked, generate=True).ids
    options = [[range(7, 8 + k + r % 6) for k in range(3)] for r in range(count)]
    choices = lay_out_choices([[5]] * count, options)
    shared = {
        "tokens": np.asarray([ids, ids[::-1]] * (nodes // 2), np.int32),
        "positions": np.tile(np.arange(len(ids), dtype=np.int32), (nodes, 1)),
        "segments": np.zeros((nodes, len(ids)), np.int32),
    }
    asked = {
        "prompts": np.arange(2 * count, dtype=np.int32).reshape(count, 2) + 40,
        "lengths": np.asarray([1, 2] * (count // 2), np.int32),
    }

    def answers(mesh):
        spread = split_for_decoding(place(variables, mesh))
        prefix, _ = prefill(model.model, model.config, spread, place_rows(shared, mesh))
        where = place_rows(asked, mesh)
        scores = score_choices(model.model, model.config, spread, prefix, place_rows(choices, mesh))
        replies = generate(
            model.model, model.config, spread, prefix, **where, max_new_tokens=6, ends=(2,)
        )
        return fetch(scores), fetch(replies[0]), fetch(replies[1])

    expected, found = answers(one_device()), answers(make_mesh(*sizes))
    np.testing.assert_allclose(found[0], expected[0], atol=2e-4, rtol=1e-5)
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_array_equal(found[2], expected[2])
    assert len(np.unique(expected[1])) > 3  # the replies are not all one token


def test_weights_are_restored_to_their_places_on_any_mesh(model, tmp_path):
    spread = place(model.variables, make_mesh(1, 4, 2))
    save_model(tmp_path / "m", replace(model, variables=spread))
    mesh = make_mesh(2, 2, 2)
    for loaded in (
        load_model(tmp_path / "m", mesh=mesh),
        mllm.load(tmp_path / "m", mesh=mesh).loaded,
    ):
        assert mesh_of(loaded.variables) == mesh
        wanted = shardings(loaded.variables, mesh)
        for leaf, place_of in zip(
            jax.tree.leaves(loaded.variables), jax.tree.leaves(wanted), strict=True
        ):
            assert leaf.sharding == place_of
        assert weights_digest(loaded.variables) == weights_digest(model.variables)
    assert weights_digest(load_model(tmp_path / "m").variables) == weights_digest(model.variables)


def test_rows_that_pad_repeat_the_last_one_at_weight_zero():
    batch = {"tokens": np.arange(6).reshape(3, 2), "weight": np.ones(3, np.float32)}
    placed = jax.device_get(place_rows(batch, make_mesh(2, 2, 2)))
    np.testing.assert_array_equal(placed["tokens"], [[0, 1], [2, 3], [4, 5], [4, 5]])
    np.testing.assert_array_equal(placed["weight"], [1, 1, 1, 0])
    assert place_rows(batch, None) is batch
    assert place_rows({"x": jnp.ones((8, 2))}, make_mesh(1, 8, 1))["x"].sharding.shard_shape(
        (8, 2)
    ) == (1, 2)
