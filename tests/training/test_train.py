"""Updates, checkpoints and resuming."""

from contextlib import closing

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.special import log_softmax
from toy import make_model, make_pipeline, max_difference

from mllm.checkpoints.digest import weights_digest
from mllm.checkpoints.folder import load_model, save_model, write_description
from mllm.checkpoints.orbax import Checkpoints
from mllm.files import read_jsonl
from mllm.ops.lora import init_lora, merge_lora
from mllm.training import optimizers, state
from mllm.training.loop import train
from mllm.training.progress import MetricsWriter
from mllm.training.step import make_train_step
from mllm.training.values import packed_logprobs
from mllm.unlearning import get_objective

STEPS = 8


@pytest.fixture(scope="module")
def model():
    return make_model()


def make_step(model, name="nll", **options):
    objective = get_objective(name, **options)
    schedule = optimizers.Schedule(peak=1e-2, steps=STEPS, warmup=2, decay="linear")
    optimizer = optimizers.make_optimizer("adamw", schedule, clip=1.0)
    step = make_train_step(model.model, model.config, objective, optimizer)
    return step, optimizer


@pytest.fixture(scope="module")
def shared_step(model):
    """A step of all parameters, compiled once for the tests that look at what it computes."""
    return make_step(model)


def run(model, shared_step, folder, *, steps=STEPS, stop=None, save_every=3):
    """Train; ``stop`` ends it before the batch of that step, as a kill would."""
    step, optimizer = shared_step
    pipeline = make_pipeline(model)

    def batch_at(number):
        if number + 1 == stop:
            raise KeyboardInterrupt
        return pipeline.batch_at(number)

    first = state.create({"params": jax.tree.map(jnp.copy, model.variables["params"])}, optimizer)
    return train(
        step,
        first,
        {},
        batch_at,
        steps=steps,
        folder=folder,
        name="toy",
        meta={"a": 1},
        save_every=save_every,
        log_every=2,
    )


@pytest.mark.thorough
def test_one_update_equals_optax_on_the_dense_likelihood(model, shared_step):
    step, optimizer = shared_step
    batch = make_pipeline(model).batch_at(0)
    params = jax.tree.map(jnp.copy, model.variables["params"])

    def dense(params):
        states, _ = model.model.hidden(model.config, {"params": params}, batch)
        logits = states @ model.model.head(model.config, {"params": params})
        logprobs = jax.nn.log_softmax(logits)
        known = batch["targets"] < batch["tokens"].shape[1]
        row, _ = np.nonzero(known)
        wanted = batch["tokens"][row, batch["targets"][known]]
        total, count = -logprobs[row, batch["sources"][known], wanted].sum(), known.sum()
        return total / count

    loss, gradient = jax.device_get(jax.jit(jax.value_and_grad(dense))(params))

    before = jax.tree.map(np.asarray, params)
    new, metrics = step(state.create({"params": params}, optimizer), {}, batch)
    np.testing.assert_allclose(metrics["loss"][0], loss, rtol=1e-5)
    norm = np.sqrt(
        sum(np.square(leaf, dtype=np.float64).sum() for leaf in jax.tree.leaves(gradient))
    )
    np.testing.assert_allclose(metrics["gradient_norm"][0], norm, rtol=1e-4)
    # Adam, written out for the first update of a rate of 1e-2 that rises over three steps.
    rate, eps, clipped = 1e-2 / 3, 1e-6, min(1.0, 1.0 / norm)
    new = jax.device_get(new)  # each operation of JAX would compile for each shape
    moment = optax.tree.get(new.opt, "mu")["params"]
    largest, compared = clipped * max(float(abs(g).max()) for g in jax.tree.leaves(gradient)), 0
    for old, slope, kept, now in zip(
        *map(jax.tree.leaves, (before, gradient, moment, new.trainable["params"])), strict=True
    ):
        slope = clipped * np.asarray(slope, np.float64)
        np.testing.assert_allclose(kept, 0.1 * slope, atol=1e-6 * largest, rtol=1e-4)
        # Near zero the update is the sign of a rounding error.
        sure = np.abs(slope) > 1e-3 * largest
        update = -rate * slope / (np.abs(slope) + eps)
        np.testing.assert_allclose((now - old)[sure], update[sure], atol=2e-2 * rate)
        compared += sure.sum()
    assert compared > 0.3 * sum(leaf.size for leaf in jax.tree.leaves(before))


@pytest.mark.thorough
def test_packed_logprobs_equal_separate_rows(model):
    pipeline = make_pipeline(model)
    batch = pipeline.batch_at(0)
    packed = packed_logprobs(model.model, model.config, model.variables, batch)
    width = max(len(e.ids) for e in pipeline.examples)

    @jax.jit
    def logits(alone):
        states, _ = model.model.hidden(model.config, model.variables, alone)
        return states[0] @ model.model.head(model.config, model.variables)

    for r in range(len(batch["weight"])):
        for s, index in enumerate(batch["answers"][r]):
            if index < 0:
                continue
            example = pipeline.examples[index]
            ids, padding = example.ids, (0, width - len(example.ids))
            (span,) = example.spans if len(example.spans) else [(-1, 0, 0)]
            image = {"values": batch["media"]["image"]["values"][r : r + 1]}
            image["slots"] = np.array([[span[0]]], np.int32)
            alone = {
                "tokens": np.pad(ids, padding)[None],
                "positions": np.pad(np.arange(len(ids), dtype=np.int32), padding)[None],
                "segments": np.pad(np.zeros_like(ids), padding, constant_values=-1)[None],
                "media": {"image": image},
            }
            table = log_softmax(np.asarray(logits(alone), "float64"), axis=-1)
            places = np.arange(*example.supervised[0])
            expected = table[places - 1, ids[places]]
            found = packed[r][(batch["segments"][r] == s + 1) & (batch["loss_mask"][r] > 0)]
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.thorough
def test_a_stopped_run_resumes_to_the_same_bits(model, shared_step, tmp_path):
    whole = run(model, shared_step, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(model, shared_step, tmp_path / "stopped", stop=6)
    resumed = run(model, shared_step, tmp_path / "stopped")
    assert max_difference(resumed.trainable, whole.trainable) == 0
    assert max_difference(resumed.opt, whole.opt) == 0
    lines = {name: read_jsonl(tmp_path / name / "metrics.jsonl") for name in ("whole", "stopped")}
    losses = {
        name: [(line["step"], line["loss"]) for line in found] for name, found in lines.items()
    }
    assert losses["stopped"] == losses["whole"]


@pytest.mark.thorough
def test_the_step_compiles_once_a_shape(model):
    step, optimizer = make_step(model)
    now = state.create({"params": jax.tree.map(jnp.copy, model.variables["params"])}, optimizer)
    pipeline, shapes = make_pipeline(model), set()
    for number in range(4):
        batch = pipeline.batch_at(number)
        shapes.add((batch["tokens"].shape, batch["targets"].shape))
        now, _ = step(now, {}, batch)
    assert step._cache_size() == len(shapes) <= 3


@pytest.mark.thorough
def test_lora_trains_only_the_adapter_and_merging_changes_nothing(model, tmp_path):
    adapter = init_lora(
        model.variables["params"], jax.random.key(1), rank=4, targets="decoder/layers"
    )
    step, optimizer = make_step(model)
    frozen = {"params": model.variables["params"]}
    before = weights_digest(frozen)
    now = state.create({"lora": adapter}, optimizer)
    pipeline = make_pipeline(model)
    for number in range(3):
        now, _ = step(now, frozen, pipeline.batch_at(number))
    assert weights_digest(frozen) == before
    adapted = {**frozen, **now.trainable}
    batch = pipeline.batch_at(3)
    kept = packed_logprobs(model.model, model.config, adapted, batch)
    merged = packed_logprobs(model.model, model.config, merge_lora(adapted), batch)
    plain = packed_logprobs(model.model, model.config, frozen, batch)
    np.testing.assert_allclose(kept, merged, atol=1e-4)
    assert np.abs(np.asarray(kept - plain)).max() > 1e-3


@pytest.mark.thorough
@pytest.mark.parametrize("trainable", ["lora", pytest.param("params", marks=pytest.mark.slow)])
def test_the_divergence_starts_at_zero_and_needs_no_copy_under_lora(model, trainable):
    step, optimizer = make_step(model, "kl_min", order="joint")
    params = jax.tree.map(jnp.copy, model.variables["params"])
    adapter = init_lora(params, jax.random.key(1), rank=4, targets="decoder/layers")
    if trainable == "lora":
        now, frozen = state.create({"lora": adapter}, optimizer), {"params": params}
    else:
        reference = {"params": jax.tree.map(jnp.copy, params)}
        now, frozen = state.create({"params": params}, optimizer), {"reference": reference}
    pipeline = make_pipeline(model, "joint")
    now, first = step(now, frozen, pipeline.batch_at(0))
    for number in range(1, 5):
        now, later = step(now, frozen, pipeline.batch_at(number))
    assert abs(float(first["kl"][0])) < 1e-4
    assert float(later["kl"][0] / later["kl"][1]) > 1e-4


def test_trainable_leaves_must_be_float32(model):
    narrow = jax.tree.map(lambda x: x.astype(jnp.bfloat16), model.variables["params"])
    with pytest.raises(ValueError, match=r"trainable leaf .* is bfloat16, expected float32"):
        state.create({"params": narrow}, optax.sgd(1.0))


@pytest.mark.thorough
def test_a_transfer_inside_the_loop_raises(model, shared_step, tmp_path):
    step, optimizer = shared_step
    params = {"params": jax.tree.map(jnp.copy, model.variables["params"])}

    def from_the_host(state, frozen, batch):
        return step(state, frozen, {**batch, "weight": np.ones(4, np.float32)})

    with pytest.raises(jax.errors.JaxRuntimeError, match="Disallowed host-to-device transfer"):
        train(
            from_the_host,
            state.create(params, optimizer),
            {},
            make_pipeline(model).batch_at,
            steps=2,
            folder=tmp_path,
            name="toy",
            meta={},
        )


@pytest.mark.thorough
def test_lines_tell_the_share_of_places_that_hold_tokens(model, shared_step, tmp_path):
    run(model, shared_step, tmp_path, steps=2)
    pipeline = make_pipeline(model)
    segments = np.concatenate([pipeline.batch_at(n)["segments"].ravel() for n in range(2)])
    (line,) = read_jsonl(tmp_path / "metrics.jsonl")
    assert line["tokens"] == (segments >= 0).sum()
    assert line["fill"] == pytest.approx((segments >= 0).mean())


def test_a_loss_that_is_not_finite_stops_the_run(model, shared_step, tmp_path):
    broken = jax.tree.map(lambda x: x * jnp.nan, model.variables)
    step, optimizer = shared_step
    with pytest.raises(FloatingPointError, match="loss is nan at step 2"):
        train(
            step,
            state.create({"params": broken["params"]}, optimizer),
            {},
            make_pipeline(model).batch_at,
            steps=4,
            folder=tmp_path,
            name="toy",
            meta={},
            log_every=2,
        )


def test_a_saved_folder_loads_to_the_same_digest(model, tmp_path):
    adapter = init_lora(model.variables["params"], jax.random.key(1), rank=4, targets="decoder")
    adapter = jax.tree.map(lambda x: x + 0.01, adapter)
    save_model(tmp_path / "base", model)
    assert load_model(tmp_path / "base").digest() == model.digest()
    from dataclasses import replace

    lora = {"rank": 4, "targets": "decoder"}
    described = replace(model, variables={}, lora=lora)
    for name, parent in (("first", "base"), ("second", "first")):
        folder = tmp_path / name
        write_description(folder, described, collections=["lora"], parent=tmp_path / parent)
        with Checkpoints(folder / "checkpoints") as checkpoints:
            checkpoints.save(0, {"lora": adapter}, {})
    once = merge_lora({**model.variables, "lora": adapter})
    twice = merge_lora({**once, "lora": adapter})
    found = merge_lora(load_model(tmp_path / "second").variables)
    assert max_difference(found, twice) < 1e-6
    assert (
        load_model(tmp_path / "base", dtype="bfloat16")
        .variables["params"]["decoder"]["embed"]
        .dtype
        == jnp.bfloat16
    )


def test_broken_folders_are_named(model, tmp_path):
    save_model(tmp_path / "m", model)
    with pytest.raises(ValueError, match="holds a checkpoint already"):
        save_model(tmp_path / "m", model)
    description = (tmp_path / "m" / "model.json").read_text()
    (tmp_path / "m" / "model.json").write_text(description.replace('"width": 32', '"width": 40'))
    with pytest.raises(ValueError, match=r"model.json: was changed or damaged"):
        load_model(tmp_path / "m")
    (tmp_path / "m" / "digests.json").unlink()  # as of a folder from before there were digests
    with pytest.raises(ValueError, match=r"checkpoints.*does not fit model.json"):
        load_model(tmp_path / "m")
    (tmp_path / "m" / "model.json").write_text(description.replace('"heads"', '"headz"', 1))
    with pytest.raises(ValueError, match=r"model.json, decoder: unknown keys \['headz'\]"):
        load_model(tmp_path / "m")
    (tmp_path / "m" / "model.json").write_text("{")
    with pytest.raises(ValueError, match=r"model.json: not JSON"):
        load_model(tmp_path / "m")


def test_damaged_lines_of_metrics_are_dropped(tmp_path, capsys):
    lines = [b'{"step": 1, "loss": NaN}', b'{"step": 2, "lo\x00s": ', b"[3]", b'{"loss": 1}']
    torn = b'{"step": 4, "lo'
    (tmp_path / "metrics.jsonl").write_bytes(b"\n".join([*lines, b'{"step": 3}', torn]))
    with closing(MetricsWriter(tmp_path, resume_step=5)) as writer:
        writer.write(6, {"loss": 0.5})
    assert [line["step"] for line in read_jsonl(tmp_path / "metrics.jsonl")] == [1, 3, 6]
    assert "metrics.jsonl: 3 damaged lines are dropped" in capsys.readouterr().err
