"""The autoencoder trained by the loop that trains everything."""

from collections import Counter
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from small_codec import CODEC
from toy import make_processor, max_difference, png

from mllm.checkpoints.folder import Loaded
from mllm.data.conversation import Example, user
from mllm.data.singles import Singles
from mllm.files import read_jsonl
from mllm.models import interleaved
from mllm.models.decoder import DecoderConfig
from mllm.models.interleaved import InterleavedConfig
from mllm.ops import vq
from mllm.parallel.mesh import make_mesh, one_device
from mllm.parallel.place import fetch, place, place_rows
from mllm.training import state
from mllm.training.autoencoder import autoencoder
from mllm.training.loop import train
from mllm.training.objective import Objective
from mllm.training.optimizers import Schedule, make_optimizer
from mllm.training.step import make_train_step

CONFIG = InterleavedConfig(
    replace(CODEC, codes=12),
    DecoderConfig(300, 32, layers=1, heads=2, kv_heads=2, head_dim=16, mlp_width=48),
)
PICTURES, ROWS = 13, 6


def picture(number: int) -> Image.Image:
    """A square of one colour on another."""
    colors = np.random.default_rng(number).integers(0, 256, (2, 3)).tolist()
    image = Image.new("RGB", (16, 16), tuple(colors[0]))
    image.paste(tuple(colors[1]), (number % 5, 4, number % 5 + 8, 12))
    return image


@pytest.fixture(scope="module")
def model():
    variables = jax.device_get(interleaved.init(CONFIG, jax.random.key(0)))
    return Loaded("interleaved", CONFIG, variables, make_processor())


def batches(model, augmented: bool | str = False) -> Singles:
    media = [png(picture(number)) for number in range(PICTURES)]
    source = [
        Example(str(n), str(n), (user(media[n], "and", media[(n + 1) % PICTURES]),))
        for n in range(PICTURES)
    ]
    return Singles(source, model.processor, ROWS, seed=3, augmented=augmented)


# Batches


def test_each_different_picture_is_shown_once_an_epoch(model):
    singles = batches(model)
    assert len(singles) == PICTURES and singles.steps(4) == 12
    for epoch in range(2):
        shown = []
        for step in range(3 * epoch, 3 * epoch + 3):
            batch = singles.batch_at(step)
            values = batch["media"]["image"]["values"]
            assert values.shape == (ROWS, 1, 16, 16, 3) and values.dtype == np.uint8
            assert set(batch) == {"media", "weight"}
            shown += [v.tobytes() for v, w in zip(values, batch["weight"], strict=True) if w]
        expected = {np.asarray(picture(number)).tobytes() for number in range(PICTURES)}
        assert set(shown) == expected and len(shown) == PICTURES


def test_a_batch_follows_from_seed_and_step_alone(model):
    for augmented in (False, True, "gentle"):
        one, other = batches(model, augmented), batches(model, augmented)
        other.batch_at(0)
        assert max_difference(one.batch_at(7), other.batch_at(7)) == 0
        again = max_difference(one.batch_at(1), one.batch_at(4))  # the same numbers, next epoch
        assert again > 0


def test_gentle_views_often_show_the_picture_itself(model):
    singles, seen = batches(model, "gentle"), Counter()
    for step in range(30):
        batch = singles.batch_at(step)
        values = batch["media"]["image"]["values"][batch["weight"] > 0]
        seen.update(value.tobytes() for value in values)
    plain = sum(number for _, number in seen.most_common(PICTURES))
    assert 0.6 < plain / seen.total() < 0.85 and len(seen) > 40


def test_what_cannot_be_shown_singly_is_named(model):
    with pytest.raises(ValueError, match="no pictures to train on"):
        Singles([Example("0", "0", (user("words"),))], model.processor, ROWS)
    split = replace(model.processor.config, transform="idefics2", longest_edge=32, shortest_edge=16)
    fitted = replace(model.processor.config, transform="fit")
    for config in (split, fitted):
        with pytest.raises(ValueError, match="single ones are trained on in one size"):
            Singles(batches(model).source, replace(model.processor, config=config), ROWS)
    with pytest.raises(ValueError, match="unknown kind of views 'gentel'; did you mean 'gentle'"):
        batches(model, "gentel")


# The objective


@pytest.fixture(scope="module")
def outputs(model):
    batch = batches(model).batch_at(2)  # one picture and five rows of padding
    batch["weight"][1:3] = 1
    found = jax.jit(interleaved.outputs, static_argnums=0)(CONFIG, model.variables, batch)
    return {name: np.asarray(values) for name, values in found.items()}, batch


@pytest.mark.parametrize("convention, smaller", [("standard", "vectors"), ("legacy", "chosen")])
def test_the_loss_and_its_gradient_in_closed_form(outputs, convention, smaller):
    outputs, batch = outputs
    objective = autoencoder(beta=0.3, convention=convention, code_weight=2.0, edge_weight=0.5)
    names = ("drawn", "vectors", "chosen")
    of = jax.value_and_grad(
        lambda real: objective.loss(outputs={**outputs, **real}, batch=batch), has_aux=True
    )
    (loss, metrics), slopes = jax.jit(of)({name: outputs[name] for name in names})
    error = (outputs["drawn"] - outputs["pixels"]).astype(np.float64)[:3]
    apart = (outputs["vectors"] - outputs["chosen"]).astype(np.float64)[:3]
    edges = (np.diff(error, axis=1) ** 2).mean() + (np.diff(error, axis=2) ** 2).mean()
    distance = (apart**2).sum(-1).mean()
    expected = (error**2).mean() + 2.0 * 1.3 * distance + 0.5 * edges
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    np.testing.assert_allclose(metrics["squared_error"][0] / 3, (error**2).mean(), rtol=1e-5)
    np.testing.assert_allclose(metrics["code_distance"][0] / 3, distance, rtol=1e-5)
    for name, sign in (("vectors", 1), ("chosen", -1)):
        share = (0.3 if name == smaller else 1.0) * 2.0 * 2 / (3 * 4)
        np.testing.assert_allclose(slopes[name][:3], sign * share * apart, rtol=1e-4, atol=1e-7)
        assert not slopes[name][3:].any()
    with pytest.raises(ValueError, match="unknown convention of the losses 'legasy'"):
        autoencoder(convention="legasy")


def test_after_an_update_used_codes_stay_and_dead_ones_move_to_vectors(model, outputs):
    outputs, batch = outputs
    codec = dict(model.variables["params"]["codec"])
    used = np.unique(outputs["codes"][:3])
    codec["usage"] = np.full(12, 0.05, np.float32)
    codec["usage"][used[0]] = 4.0
    trainable = {"params": {"codec": codec, "decoder": {}}}
    objective = autoencoder(usage_decay=0.5, restart_below=0.2, seed=1)
    refresh = jax.jit(objective.refresh)
    new, metrics = refresh(trainable, outputs, batch, jnp.int32(7))
    new = new["params"]["codec"]
    counts = np.bincount(outputs["codes"][:3].ravel(), minlength=12)
    usage = 0.5 * codec["usage"] + 0.5 * counts * 12 / counts.sum()
    dead = usage < 0.2
    assert 0 < dead.sum() == metrics["restarted"][0] and not dead[used].any()
    np.testing.assert_allclose(new["usage"], np.where(dead, 1.0, usage), rtol=1e-6)
    book = codec["codebook"] / np.linalg.norm(codec["codebook"], axis=-1, keepdims=True)
    np.testing.assert_allclose(new["codebook"][~dead], book[~dead], rtol=1e-5)
    real = outputs["vectors"][:3].reshape(-1, 4)
    for code in np.asarray(new["codebook"])[dead]:
        assert np.abs(real - code).max(axis=1).min() < 1e-6
    np.testing.assert_allclose(new["mean"], outputs["pixels"][:3].mean(0) / 8, rtol=1e-4)
    shares = counts[counts > 0] / counts.sum()
    entropy = np.exp(-(shares * np.log(shares)).sum())
    np.testing.assert_allclose(metrics["perplexity"][0], entropy, rtol=1e-5)
    other, _ = refresh(trainable, outputs, batch, jnp.int32(8))
    assert max_difference(other["params"]["codec"]["codebook"], new["codebook"]) > 0


def test_codes_can_be_moving_means(model, outputs):
    outputs, batch = outputs
    codec = {**model.variables["params"]["codec"], "usage": np.ones(12, np.float32)}
    objective = autoencoder(mean_decay=0.8, restart_below=0.0)
    new, _ = objective.refresh({"params": {"codec": codec}}, outputs, batch, jnp.int32(0))
    book = vq.unit(codec["codebook"])
    moved = vq.moving_means(book, outputs["vectors"], outputs["codes"], 0.8, batch["weight"])
    np.testing.assert_allclose(new["params"]["codec"]["codebook"], vq.unit(moved), rtol=1e-5)


def test_refreshing_needs_outputs():
    with pytest.raises(ValueError, match="the loss has to ask for them"):
        Objective(lambda batch: (0.0, {}), rows="media", refresh=lambda *_: ({}, {}))


# The step


def beginning(model, mesh, accumulation=1):
    """A step that trains the codec, the state before it, and what stays."""
    optimizer = make_optimizer("adamw", Schedule(peak=1e-2, steps=9))
    options = dict(mesh=mesh, accumulation=accumulation)
    step = make_train_step(interleaved, CONFIG, autoencoder(), optimizer, **options)
    params = jax.tree.map(np.copy, model.variables["params"])
    now = state.create({"params": {"codec": params["codec"]}}, optimizer, mesh)
    return step, now, place({"params": {"decoder": params["decoder"]}}, mesh)


def updated(model, mesh=None, accumulation=1):
    """The weights after three updates, and the metrics of each."""
    mesh, singles = mesh or one_device(), batches(model)
    step, now, frozen = beginning(model, mesh, accumulation)
    told = []
    for number in range(3):
        now, metrics = step(now, frozen, place_rows(singles.batch_at(number), mesh))
        told.append(jax.device_get(metrics))
    return jax.tree.map(fetch, now.trainable["params"]["codec"]), told


@pytest.fixture(scope="module")
def single(model):
    return updated(model)


# Updates move weights by up to 1e-2, those of tiny gradients by the sign of a rounding error.
NEAR = 2e-4


@pytest.mark.thorough
@pytest.mark.slow
def test_parts_of_a_batch_give_the_update_of_the_whole(model, single):
    whole, told = single
    parts, others = updated(model, accumulation=3)
    assert max_difference(whole, parts) < NEAR
    for one, other in zip(told, others, strict=True):
        np.testing.assert_allclose(one["loss"][0], other["loss"][0], rtol=1e-4)
    assert max_difference(whole, model.variables["params"]["codec"]) > 1e-3


@pytest.mark.thorough
@pytest.mark.slow
def test_eight_devices_make_the_update_of_one(model, single):
    (alone, told), (spread, others) = single, updated(model, make_mesh(2, 2, 2))
    assert max_difference(alone, spread) < NEAR
    for one, other in zip(told, others, strict=True):
        for name in ("loss", "perplexity", "restarted"):
            np.testing.assert_allclose(one[name][0], other[name][0], rtol=1e-4)
    assert others[0]["restarted"][0] > 0


@pytest.mark.thorough
@pytest.mark.slow
def test_a_stopped_run_resumes_to_the_same_bits(model, tmp_path):
    step, _, _ = beginning(model, one_device())
    singles = batches(model, "gentle")

    def run(folder, stop=None):
        def batch_at(number):
            if number == stop:
                raise KeyboardInterrupt
            return singles.batch_at(number)

        _, now, frozen = beginning(model, one_device())
        options = dict(steps=8, folder=folder, name="toy", meta={}, save_every=3, log_every=2)
        return train(step, now, frozen, batch_at, **options)

    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped", stop=5)
    resumed = run(tmp_path / "stopped")
    assert max_difference(resumed.trainable, whole.trainable) == 0
    assert max_difference(resumed.opt, whole.opt) == 0
    names = ("step", "loss", "restarted", "perplexity", "tokens", "fill")
    lines = [
        [[line[name] for name in names] for line in read_jsonl(folder / "metrics.jsonl")]
        for folder in (tmp_path / "whole", tmp_path / "stopped")
    ]
    assert lines[0] == lines[1] and sum(line[2] for line in lines[0]) > 0
    assert [line[4] for line in lines[0]] == [12, 1, 6, 7, 12]  # an epoch has 13 pictures
