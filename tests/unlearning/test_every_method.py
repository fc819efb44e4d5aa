"""Every method, with an adapter and in full, on pairs with a picture, without one, and both.

One batch holds rows of both kinds; rows that are not shown count as padding, so a method and what
it trains compile once for all three.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy import make_processor, make_source, max_difference, pipeline_of

from mllm.checkpoints.loaded import Loaded
from mllm.data.packing import RowShape
from mllm.data.refusals import Refused
from mllm.data.source import Joined
from mllm.models import llava
from mllm.models.decoder import DecoderConfig
from mllm.models.llava import LlavaConfig
from mllm.models.projector import ProjectorConfig
from mllm.models.vit import VisionConfig
from mllm.ops.lora import init_lora
from mllm.ops.segments import segment_sums
from mllm.parallel.mesh import one_device
from mllm.studies.precomputed import reference_logprobs
from mllm.training import state
from mllm.training.neurons import mean_activity, without_neurons
from mllm.training.optimizers import Schedule, make_optimizer
from mllm.training.step import make_train_step
from mllm.training.values import packed_logprobs
from mllm.unlearning import OBJECTIVES, get_objective
from mllm.unlearning.roles import FORGET, PAIRED, RETAIN

pytestmark = pytest.mark.slow

# Options without which a method would not show what is looked at: a layer that this model has, a
# multiplier that hardly moves, divergences for a method that has none by default, and exponents
# that do not vanish where the model has learned nothing yet.
OPTIONS = {
    "rmu": {"layer": 1},
    "pdu": {"pace": 1e-6},
    "npo": {"keep": "kl", "retain_weight": 1.0},
    "simnpo": {"beta": 0.1},
    "wga": {"beta": 0.1},
    "satimp": {"beta1": 0.1, "beta2": 1.0},
}
# They teach what the model itself predicts but for the true token: a model that has learned nothing
# is almost where they lead.
STILL = ("ce_u", "undial")
TRAINED = [name for name in OBJECTIVES if get_objective(name).loss is not None and name != "nll"]
COMPARED = [n for n in TRAINED if get_objective(n, **OPTIONS.get(n, {})).compares]
REFERRED = [n for n in TRAINED if get_objective(n).reference is not None]
SHOWN = ("image_text", "text", "mixed")
UPDATES = 4


@pytest.fixture(scope="module")
def model() -> Loaded:
    """A LLaVA of one layer."""
    config = LlavaConfig(
        DecoderConfig(300, 16, layers=1, heads=2, kv_heads=1, head_dim=8, mlp_width=24),
        VisionConfig(image_size=16, patch_size=8, width=8, layers=1, heads=1, mlp_width=16),
        ProjectorConfig(mlp_width=16, width=16),
    )
    return Loaded("llava", config, llava.init(config, jax.random.key(0)), make_processor())


def objective_of(name: str):
    return get_objective(name, **OPTIONS.get(name, {}))


def batch_of(model, objective) -> dict:
    """A batch of both kinds of rows of each role that an objective reads."""
    people = make_source(24)
    lost = [one for one in people if one.role == FORGET]
    if objective.twin:
        people = Joined(people, Refused(lost, objective.twin))
    if objective.anchor:
        people = Joined(lost, Refused(lost, objective.anchor))
    pipeline = pipeline_of(
        people,
        model.processor,
        16,
        RowShape(tokens=96, supervised=64, answers=4),
        schedule=objective.rows,
        primary=objective.primary,
        roles=objective.roles,
        twin=objective.twin,
    )
    if objective.reference is not None:
        roles = [role for role in (objective.primary, objective.twin) if role]
        pipeline.reference = reference_logprobs(model, pipeline, roles)
    return pipeline.batch_at(0)


def only(batch: dict, shown: str) -> dict:
    """The batch with rows of the other kind as padding."""
    pictures = (batch["media"]["image"]["slots"] >= 0).any(1)
    kept = {"image_text": pictures, "text": ~pictures, "mixed": True}[shown]
    return {**batch, "weight": batch["weight"] * kept}


def tokens_of(batch: dict, role: str) -> int:
    rows = (batch["role"] == PAIRED[role]) & (batch["weight"] > 0)
    return int(batch["loss_mask"][rows].sum())


def begin(model, trainable: str) -> tuple[dict, dict]:
    """(what trains, what is frozen); arrays of their own, for the step takes the first."""
    params = jax.tree.map(jnp.copy, model.variables["params"])
    if trainable == "params":
        return {"params": params}, {}
    targets = r"decoder/layers/\w+$"
    return {"lora": init_lora(params, jax.random.key(1), rank=4, targets=targets)}, {
        "params": params
    }


def more_frozen(model, objective, trains: dict, copied: bool) -> dict:
    """What else an objective needs: a copy of the starting model, or a mask of every second
    weight.
    """
    more = {}
    if copied and objective.compares:
        more["reference"] = jax.tree.map(jnp.copy, model.variables)
    if objective.salient is not None:
        every = lambda w: (jnp.arange(w.size).reshape(w.shape) % 2) == 0  # noqa: E731
        more["salient"] = jax.tree.map(every, trains)
    return more


def updates(model, objective, step, optimizer, batch, trainable, copied):
    """(start, trained, loss of each update, metrics of the first), on the same batch."""
    trains, frozen = begin(model, trainable)
    frozen |= more_frozen(model, objective, trains, copied)
    start = jax.tree.map(np.asarray, trains)
    now, losses, first = state.create(trains, optimizer, numbers=objective.numbers), [], None
    for _ in range(UPDATES):
        now, metrics = step(now, frozen, batch)
        losses.append(float(metrics["loss"][0]))
        first = first or jax.device_get(metrics)
    return start, now.trainable, losses, first


def make(model, objective):
    optimizer = make_optimizer("adamw", Schedule(1e-3, UPDATES))
    return make_train_step(model.model, model.config, objective, optimizer), optimizer


@pytest.mark.parametrize("trainable", ["lora", "params"])
@pytest.mark.parametrize("name", TRAINED)
def test_updates_lower_the_loss_and_move_what_is_seen(model, name, trainable):
    objective = objective_of(name)
    whole, (step, optimizer) = batch_of(model, objective), make(model, objective)
    for shown in SHOWN:
        batch = only(whole, shown)
        given = model, objective, step, optimizer, batch, trainable, trainable == "params"
        start, trained, losses, metrics = updates(*given)
        fell = losses[-1] < losses[0] or name in STILL
        assert np.isfinite(losses).all() and fell, (shown, losses)
        assert int(metrics["forget_nll"][1]) == tokens_of(batch, FORGET) > 0
        if "retain_nll" in metrics:
            assert int(metrics["retain_nll"][1]) == tokens_of(batch, RETAIN) > 0
        if objective.edit is not None:
            start, trained = (jax.tree.map(np.asarray, tree) for tree in (start, trained))
            edited = objective.edit(start, trained)
            assert max_difference(edited, trained) > 0
            trained = edited
        assert max_difference(trained, start) > 1e-4
        if trainable == "params":
            eye = [{n: t["params"][n] for n in ("vision", "projector")} for t in (trained, start)]
            assert (max_difference(*eye) > 0) == (shown != "text")


@pytest.mark.parametrize("shown", SHOWN)
def test_pruning_changes_the_decoder_and_nothing_else(model, shown):
    objective, mesh = objective_of("manu"), one_device()
    batch, params = only(batch_of(model, objective), shown), model.variables["params"]
    activity = {}
    for role, number in objective.roles.items():
        rows = {**batch, "weight": batch["weight"] * (batch["role"] == number)}
        given = model.model, model.config, model.variables, [rows], objective.activity
        activity[role] = jax.device_get(mean_activity(*given, mesh=mesh))
        kinds = {"image_text": {"media"}, "text": {"text"}, "mixed": {"media", "text"}}
        assert set(activity[role]) == kinds[shown]
    removed = objective.prune(activity)
    assert removed.shape == (1, 24) and removed.sum() == 1
    pruned = without_neurons(params["decoder"], removed)
    ((layer, neuron),) = np.argwhere(removed)
    assert not np.asarray(pruned["layers"]["down"]["w"])[layer, neuron].any()
    (before, after) = (
        packed_logprobs(model.model, model.config, {"params": {**params, "decoder": d}}, batch)
        for d in (params["decoder"], pruned)
    )
    assert float(jnp.abs(before - after).max()) > 0


@pytest.mark.parametrize("name", COMPARED)
def test_an_adapter_needs_no_second_copy_of_what_it_is_compared_with(model, name):
    objective = objective_of(name)
    batch, (step, optimizer) = batch_of(model, objective), make(model, objective)
    shared, own = (
        updates(model, objective, step, optimizer, batch, "lora", copied)
        for copied in (False, True)
    )
    np.testing.assert_allclose(own[2], shared[2], rtol=1e-5)
    assert max_difference(own[1], shared[1]) < 1e-5 < max_difference(shared[1], shared[0])


@pytest.mark.parametrize("name", REFERRED)
def test_values_computed_once_are_those_of_a_second_copy(model, name):
    objective = objective_of(name)
    batch = batch_of(model, objective)
    copy = jax.tree.map(jnp.copy, model.variables)
    values = packed_logprobs(model.model, model.config, copy, batch)
    expected = segment_sums(values, batch["segments"], batch["answers"].shape[1])
    roles = [objective.primary, objective.twin]
    numbers = [number for role, number in objective.roles.items() if role in roles]
    read = (batch["answers"] >= 0) & np.isin(batch["role"], numbers)[:, None]
    assert read.sum() >= 8
    np.testing.assert_allclose(
        batch["reference_logprobs"][read], np.asarray(expected)[read], rtol=1e-5
    )


def test_every_method_is_in_the_table():
    assert {*TRAINED, "manu", "prompting", "nll"} == set(OBJECTIVES)
    assert {"kl_min", "scrub", "undial", "rmu", "npo"} <= set(COMPARED)
    assert REFERRED == ["npo", "dpo", "pava"]
