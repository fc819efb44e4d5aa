"""The family that sees through a bank of encoders: its functions, its configuration, its step."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mllm.models import config_from_dict, config_to_dict, fused
from mllm.training import state
from mllm.training.objective import Objective
from mllm.training.optimizers import Schedule, scale_by_schedule
from mllm.training.step import make_train_step

CELLS = dict(image_size=16, patch_size=8, width=16, layers=1, heads=2, mlp_width=24)
PATCHES = dict(CELLS, class_token=False, drop_first=False)
VALUES = dict(
    family="fused",
    decoder=dict(
        vocab_size=50, width=16, layers=1, heads=2, kv_heads=1, head_dim=8, mlp_width=24, tied=False
    ),
    vision=dict(
        image_size=32,
        encoders=dict(
            colour=dict(kind="colour", tower=CELLS),
            semantics=dict(kind="vit", tower=dict(PATCHES, image_size=24)),
        ),
    ),
    fusion=dict(
        queries=4, width=16, heads=2, mlp_width=24, bank=3, layers=2, balance=0.5, remat="nothing"
    ),
    projector=dict(mlp_width=24, width=16),
)
_, CONFIG = config_from_dict(VALUES)
SHAPES = [(32, 20), (18, 32), (32, 32), (9, 32)]


def images(count: int = 4, seed: int = 0, words: int = 5) -> dict[str, np.ndarray]:
    """Media of one picture in each row, of several shapes, with an instruction."""
    rng = np.random.default_rng(seed)
    found = np.full((count, 1, 32), -1)
    found[:, 0, :words] = rng.integers(0, 50, (count, words))
    return {
        "values": rng.integers(0, 256, (count, 1, 32, 32, 3)).astype(np.uint8),
        "extents": np.array([[SHAPES[n % 4]] for n in range(count)], np.int32),
        "slots": np.ones((count, 1), np.int32),
        "instructions": found.astype(np.int32),
    }


def batch_of(media: dict) -> dict:
    """Rows of twelve tokens, of which the last three are supervised."""
    rows = len(media["slots"])
    places = np.tile(np.arange(12, dtype=np.int32), (rows, 1))
    return {
        "tokens": places + 3,
        "positions": places,
        "segments": np.zeros_like(places),
        "targets": places[:, -3:],
        "sources": places[:, -4:-1],
        "weight": np.ones(rows, np.float32),
        "media": {"image": media},
    }


@pytest.fixture(scope="module")
def variables():
    """Random weights whose gates are not equal."""
    variables = fused.init(CONFIG, jax.random.key(0))
    layers = variables["params"]["fusion"]["layers"]["choice"]
    keys = iter(jax.random.split(jax.random.key(1), 2))
    for name in ("score_colour", "score_semantics"):
        layers[name]["w"] = jax.random.normal(next(keys), layers[name]["w"].shape)
    return variables


@partial(jax.jit, static_argnums=(0, 1))
def _call(name, config, *arguments):
    return getattr(fused, name)(config, *arguments)


def call(name, *arguments):
    return _call(name, CONFIG, *arguments)


@pytest.fixture(scope="module")
def looked(variables):
    return call("look_media", variables, {"image": images()})


def test_pictures_become_features_and_features_tokens(variables, looked):
    batch = batch_of(images())
    assert looked["image"]["features"].shape == (4, 1, CONFIG.vision.features)
    assert set(looked["image"]) == {"features", "slots", "instructions"}
    encoded = call("encode_media", variables, looked)
    assert encoded["image"]["tokens"].shape == (4, 1, CONFIG.image_tokens, 16)
    assert encoded["image"]["gates"].shape == (4, 1, 2, 2)
    whole, _ = call("hidden", variables, batch)
    assert np.isfinite(whole).all()
    for media in (looked, encoded):
        states, _ = call("hidden", variables, {**batch, "media": media})
        np.testing.assert_allclose(states, whole, atol=1e-5)
    stages = call("stages", variables, batch)
    np.testing.assert_allclose(stages["image tokens"], encoded["image"]["tokens"], atol=1e-5)
    np.testing.assert_allclose(stages["logits"], whole @ fused.head(CONFIG, variables), atol=1e-4)


def test_the_instruction_changes_what_is_seen_and_its_padding_does_not(variables, looked):
    found = call("encode_media", variables, looked)["image"]
    asked = looked["image"]["instructions"]
    other = {"image": looked["image"] | {"instructions": np.where(asked < 0, -1, 49 - asked)}}
    changed = call("encode_media", variables, other)["image"]
    for name in ("tokens", "gates"):
        assert np.abs(changed[name] - found[name]).max() > 1e-3
    longer = np.concatenate([asked, np.full_like(asked, -1)], axis=-1)
    padded = call("encode_media", variables, {"image": looked["image"] | {"instructions": longer}})
    np.testing.assert_allclose(padded["image"]["tokens"], found["tokens"], atol=1e-5)


def test_what_is_explained_sums_to_one(variables, looked):
    found = call("explain", variables, looked)
    assert found["gates"].shape == (4, 1, 2, 2) and found["bank"].shape == (4, 1, 3)
    assert {name: x.shape for name, x in found["attention"].items()} == {
        "colour": (4, 1, 2, 2, 2),
        "semantics": (4, 1, 2, 3, 3),
    }
    for x in (found["gates"].sum(-1), found["bank"].sum(-1)):
        np.testing.assert_allclose(x, 1, atol=1e-6)
    for x in found["attention"].values():
        np.testing.assert_allclose(x.sum((-1, -2)), 1, atol=1e-5)
    # The second picture is 18 of 32 pixels high: the lowest row of cells shows none of it.
    assert not found["attention"]["semantics"][1, 0, :, 2].any()
    encoded = call("encode_media", variables, looked)
    np.testing.assert_allclose(found["gates"], encoded["image"]["gates"], atol=1e-6)


def test_a_picture_needs_an_instruction(variables, looked):
    bare = {name: x for name, x in looked["image"].items() if name != "instructions"}
    with pytest.raises(ValueError, match="Fused reads each picture under an instruction"):
        fused.encode_media(CONFIG, variables, {"image": bare})
    with pytest.raises(ValueError, match=r"Fused was given media of kind 'audio'"):
        fused.look_media(CONFIG, variables, {"audio": images()})


@pytest.mark.slow
def test_rows_without_a_picture_leave_all_finite(variables):
    """A batch is filled up with rows whose media have extents of 0 and empty instructions."""
    found = images(2)
    found["extents"][1], found["slots"][1], found["instructions"][1] = 0, -1, -1
    found["values"][1] = 0

    def loss(variables, media):
        tokens = fused.encode_media(CONFIG, variables, {"image": media})["image"]["tokens"]
        return jnp.square(tokens[:1]).sum() + 0 * tokens[1:].sum()

    gradient = jax.jit(jax.grad(loss))(variables, found)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    empty = {"features": np.zeros((1, 1, CONFIG.vision.features), np.float32)}
    empty |= {"slots": found["slots"][1:], "instructions": found["instructions"][1:]}
    encoded = call("encode_media", variables, {"image": empty})
    assert np.isfinite(encoded["image"]["tokens"]).all()


@pytest.mark.slow
@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_step_adds_the_loss_of_balance(variables, looked, accumulation):
    gates = np.asarray(call("encode_media", variables, looked)["image"]["gates"])[:, 0]
    uneven = np.mean([2 * np.square(gates[:, layer].mean(0)).sum() for layer in range(2)])

    def loss(token_logprobs, batch):
        total = -token_logprobs.sum() / 12
        return total, {"nll": (total, jnp.ones(()))}

    optimizer = optax.chain(optax.sgd(1.0), scale_by_schedule(Schedule(peak=0.0, steps=1)))
    step = make_train_step(
        fused, CONFIG, Objective(loss, "all"), optimizer, accumulation=accumulation
    )
    parts = {n: jax.tree.map(jnp.copy, variables["params"][n]) for n in ("fusion", "projector")}
    rest = {n: x for n, x in variables["params"].items() if n not in parts}
    batch = {**batch_of(images()), "media": looked}
    _, metrics = step(state.create({"params": parts}, optimizer), {"params": rest}, batch)
    found = {name: float(total / count) for name, (total, count) in metrics.items()}
    assert found["balance"] == pytest.approx(uneven, rel=1e-5)
    assert found["loss"] == pytest.approx(found["nll"] + 0.5 * found["balance"], rel=1e-5)
    assert found["gradient_norm"] > 0


def test_a_configuration_survives_json():
    mova = {"kind": "mova", "base": "semantics", "queries": 9, "width": 16, "heads": 2}
    for fusion in (VALUES["fusion"], mova | {"mlp_width": 24, "experts": ["colour"]}):
        _, config = config_from_dict(VALUES | {"fusion": fusion})
        described = config_to_dict("fused", config)
        assert config_from_dict(described) == ("fused", config)
        hash(config)
    assert type(config.fusion).__name__ == "MovaConfig"
    assert CONFIG.image_tokens == 4 and fused.instructed
    assert CONFIG.vision.features == 4 * 16 + 9 * 16


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        (
            "fusion",
            {"gate": "fixed:edges"},
            "gate is 'fixed:edges', but the encoders are colour, s",
        ),
        ("fusion", {"kind": "moe"}, "unknown kind of fusion in model config 'moe'"),
        ("vision", {"encoders": {}}, "the bank has no encoders"),
        (
            "vision",
            {"encoders": [dict(name="a", kind="vitt", tower=PATCHES)]},
            "unknown kind of the encoder 'a' in .* 'vitt'; did you mean 'vit'",
        ),
        (
            "vision",
            {"encoders": {"a": dict(kind="vit", tower=dict(CELLS, drop_first=False))}},
            "the encoder 'a' gives 5 tokens, expected the 4 of a grid: set drop_first",
        ),
        (
            "vision",
            {"encoders": 2 * [dict(name="a", kind="vit", tower=PATCHES)]},
            "encoders are called a, a: give each its own name",
        ),
        (
            "vision",
            {"encoders": {"a-b": dict(kind="vit", tower=PATCHES)}},
            "an encoder is called 'a-b', expected letters",
        ),
        (
            "vision",
            {"encoders": {"a": dict(kind="spectrum", tower=dict(CELLS, patch_size=2))}},
            "cells of 2 pixels cannot be halved 2 times",
        ),
    ],
)
def test_mistakes_are_named(part, change, message):
    with pytest.raises(ValueError, match=message):
        config_from_dict(VALUES | {part: VALUES[part] | change})


def test_a_tower_of_another_kind_is_refused():
    colour = CONFIG.vision.encoders[0]
    with pytest.raises(ValueError, match="is a StatisticsConfig, a 'vit' needs a VisionConfig"):
        replace(colour, kind="vit")
