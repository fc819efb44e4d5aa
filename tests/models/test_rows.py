"""Packing, caching and recomputation change how a row is computed, never what comes out."""

import json
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mllm.models import config_from_dict, config_to_dict, llava
from mllm.models.decoder import DecoderConfig, Level
from mllm.models.llava import LlavaConfig
from mllm.models.media import normalise, place_media
from mllm.models.multimodal import split_layers
from mllm.models.projector import ProjectorConfig, mean_pool
from mllm.models.vit import VisionConfig, patches
from mllm.ops.attention import causal
from mllm.ops.losses import token_logprobs

CONFIG = LlavaConfig(
    DecoderConfig(vocab_size=50, width=32, layers=2, heads=4, kv_heads=2, head_dim=8, mlp_width=48),
    VisionConfig(image_size=16, patch_size=4, width=16, layers=1, heads=2, mlp_width=32),
    ProjectorConfig(mlp_width=32, width=32, pool=2),
)
IMAGE_AT, PREFIX, BRANCHES = 1, 7, (4, 6, 3)


@pytest.fixture(scope="module")
def variables():
    variables = llava.init(CONFIG, jax.random.key(0))
    # Larger than initial weights, so that attention is far from uniform.
    return jax.tree.map(lambda x: x * 2 if x.ndim > 1 else x, variables)


@pytest.fixture(scope="module")
def packed():
    """One row: <token> <image> <tokens>, three branches whose positions restart, padding."""
    rng = np.random.default_rng(0)
    total = PREFIX + sum(BRANCHES) + 2
    segments, positions = np.full((1, total), -1), np.zeros((1, total))
    segments[0, :PREFIX], positions[0, :PREFIX] = 0, np.arange(PREFIX)
    first = PREFIX
    for number, length in enumerate(BRANCHES, start=1):
        segments[0, first : first + length] = number
        positions[0, first : first + length] = PREFIX + np.arange(length)
        first += length
    batch = {
        "tokens": rng.integers(0, 50, (1, total)),
        "positions": positions,
        "segments": segments,
    }
    batch = {name: values.astype(np.int32) for name, values in batch.items()}
    values = rng.integers(0, 256, (1, 1, 16, 16, 3)).astype(np.uint8)
    return batch | shown(values)


def shown(values, at: int = IMAGE_AT, kind: str = "image", **more) -> dict:
    """The part of a batch that shows one medium."""
    name = "values" if values.dtype == np.uint8 else "tokens"
    return {"media": {kind: {name: values, "slots": np.array([[at]], np.int32), **more}}}


def separate(packed) -> list[tuple[np.ndarray, dict]]:
    """(columns of the packed row, the same tokens as a row of their own, padded) of each branch."""
    longest, rows = PREFIX + max(BRANCHES), []
    for number in range(1, len(BRANCHES) + 1):
        columns = np.flatnonzero(np.isin(packed["segments"][0], (0, number)))
        row = {name: packed[name][:, columns] for name in ("tokens", "positions")}
        np.testing.assert_array_equal(row["positions"][0], np.arange(len(columns)))
        row["segments"] = np.zeros_like(row["tokens"])
        gap = ((0, 0), (0, longest - len(columns)))
        row = {n: np.pad(v, gap, constant_values=-(n == "segments")) for n, v in row.items()}
        rows.append((columns, row | {"media": packed["media"]}))
    return rows


@partial(jax.jit, static_argnames="config")
def run(variables, batch, config=CONFIG):
    return llava.hidden(config, variables, batch)[0]


@partial(jax.jit, static_argnames="config")
def loss_and_gradient(variables, batch, before, target, weight, config=CONFIG):
    """Of tokens at columns ``target``, each predicted at column ``before``, times ``weight``."""

    def loss(variables):
        states = llava.hidden(config, variables, batch)[0][0, before]
        targets = jnp.asarray(batch["tokens"])[0, target]
        head = llava.head(config, variables)
        return -jnp.sum(token_logprobs(states, head, targets, chunk=4) * weight)

    return jax.value_and_grad(loss)(variables)


def assert_trees_close(found, expected, relative):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, atol=relative * max(1, np.abs(b).max()))


def test_packed_row_equals_separate_rows(variables, packed):
    states = run(variables, packed)
    for columns, row in separate(packed):
        alone = run(variables, row)[:, : len(columns)]
        np.testing.assert_allclose(states[:, columns], alone, atol=2e-5)


@pytest.mark.thorough
def test_packed_loss_and_gradient_equal_the_sums_of_separate_ones(variables, packed):
    before, target, each = [], [], []
    for columns, row in separate(packed):
        # The last of the prefix predicts the first token of every branch.
        alone = np.arange(PREFIX - 1, PREFIX + max(BRANCHES) - 1)
        weight = (alone + 1 < len(columns)).astype(np.float32)
        each.append(loss_and_gradient(variables, row, alone, alone + 1, weight))
        before += list(columns[PREFIX - 1 : -1])
        target += list(columns[PREFIX:])
    expected = jax.tree.map(lambda *parts: sum(parts), *each)
    ones = np.ones(len(target), np.float32)
    found = loss_and_gradient(variables, packed, np.array(before), np.array(target), ones)
    assert_trees_close(found, expected, 1e-5)


def test_the_image_is_seen_and_padding_is_not(variables, packed):
    states = run(variables, packed)
    other = packed | shown(255 - packed["media"]["image"]["values"])
    real = packed["segments"][0] >= 0
    after_image = real & (np.arange(real.size) > IMAGE_AT)
    change = np.abs(run(variables, other) - states)[0].max(axis=-1)
    assert change[0] == 0 and (change[after_image] > 1e-3).all()
    tokens = np.where(packed["segments"] < 0, 49 - packed["tokens"], packed["tokens"])
    padded = run(variables, packed | {"tokens": tokens})
    np.testing.assert_array_equal(padded[0, real], states[0, real])


def test_a_slot_of_minus_one_places_no_image(variables, packed):
    without = {name: packed[name] for name in ("tokens", "positions", "segments")}
    masked = packed | shown(packed["media"]["image"]["values"], at=-1)
    np.testing.assert_array_equal(run(variables, masked), run(variables, without))


def test_media_may_be_encoded_before(variables, packed):
    media = llava.encode_media(CONFIG, variables, packed["media"])
    assert media["image"]["tokens"].shape == (1, 1, CONFIG.image_tokens, 32)
    found = run(variables, packed | {"media": media})
    np.testing.assert_allclose(found, run(variables, packed), atol=2e-5)


def test_media_of_unlike_lengths_take_their_own_places(variables, packed):
    """Two media, of which the second takes two tokens of four, against tokens written by hand."""
    rng = np.random.default_rng(1)
    tokens = rng.normal(size=(1, 2, 4, 32)).astype(np.float32)
    text = {name: values for name, values in packed.items() if name != "media"}
    x = jnp.asarray(variables["params"]["decoder"]["embed"])[text["tokens"]]
    expected = np.array(x)
    expected[0, 1:5], expected[0, 6:8] = tokens[0, 0], tokens[0, 1, :2]
    slots, lengths = np.array([[1, 6]], np.int32), np.array([[4, 2]], np.int32)
    found = place_media(x, jnp.asarray(tokens), slots, lengths)
    np.testing.assert_array_equal(found, expected)


def test_kinds_of_media_stand_side_by_side_and_an_unknown_one_is_refused(variables, packed):
    media = llava.encode_media(CONFIG, variables, packed["media"])
    sound = np.full((1, 1, 2, 32), 0.5, np.float32)
    both = packed | {"media": media | shown(sound, at=6, kind="audio")["media"]}
    alone = packed | {"media": media}
    assert np.abs(run(variables, both) - run(variables, alone)).max() > 1e-3
    wave = {"audio": {"values": np.zeros((1, 1, 8)), "slots": np.array([[6]], np.int32)}}
    with pytest.raises(ValueError, match=r"Llava was given media of kind 'audio'.*text and images"):
        llava.hidden(CONFIG, variables, packed | {"media": wave})


@jax.jit
def step(variables, batch, cache, write_at):
    at = batch["positions"]
    return llava.hidden(
        CONFIG,
        variables,
        {"tokens": batch["tokens"]},
        structure=causal(at, jnp.zeros_like(at)),
        cache=cache,
        write_at=write_at,
    )


@pytest.mark.thorough
@pytest.mark.parametrize("counts", [(12,), (5, 4, 1, 1, 1)])
def test_steps_through_a_cache_equal_one_pass(variables, counts):
    rows, length, slots = 2, 12, 16
    c = CONFIG.decoder
    tokens = np.random.default_rng(1).integers(0, 50, (rows, length)).astype(np.int32)
    positions = np.broadcast_to(np.arange(length, dtype=np.int32), tokens.shape)
    batch = {"tokens": tokens, "positions": positions}
    expected = run(variables, batch | {"segments": np.zeros_like(tokens)})
    full = jnp.full((rows, slots, c.kv_heads, c.head_dim), 7.0)  # what stands there is not read
    order = jnp.broadcast_to(jnp.arange(slots), (rows, slots))
    cache = Level(({"k": full, "v": full},) * c.layers, order, jnp.zeros_like(order))
    first, states = 0, []
    for count in counts:
        piece = {name: values[:, first : first + count] for name, values in batch.items()}
        out, cache = step(split_layers(variables), piece, cache, first)
        states.append(out)
        first += count
    np.testing.assert_allclose(jnp.concatenate(states, axis=1), expected, atol=1e-4)
    assert all((layer["k"][:, length:] == 7).all() for layer in cache.layers)


@pytest.mark.thorough
@pytest.mark.parametrize("policy", ["nothing", "dots", "products"])
def test_recomputation_changes_nothing(variables, packed, policy):
    config = replace(
        CONFIG,
        decoder=replace(CONFIG.decoder, remat=policy),
        vision=replace(CONFIG.vision, remat=policy),
    )
    before = np.arange(PREFIX, PREFIX + 3)
    arguments = variables, packed, before, before + 1, np.ones(3, np.float32)
    expected = loss_and_gradient(*arguments)
    assert_trees_close(loss_and_gradient(*arguments, config), expected, 1e-5)


def test_an_unknown_policy_is_named():
    config = replace(CONFIG, decoder=replace(CONFIG.decoder, remat="everything"))
    with pytest.raises(ValueError, match=r"'everything' is unknown.*dots.*nothing"):
        llava.abstract(config)


def test_an_adapter_equals_merged_weights(variables, packed):
    rng = np.random.default_rng(2)
    lora, merged = {}, jax.tree.map(lambda x: x, variables)
    for part, names in (("decoder", ("q", "down")), ("vision", ("v", "fc1"))):
        layers = merged["params"][part]["layers"]
        for name in names:
            depth, rows, columns = layers[name]["w"].shape
            a = rng.normal(size=(depth, rows, 3)).astype(np.float32) / 5
            b = rng.normal(size=(depth, 3, columns)).astype(np.float32) / 5
            lora.setdefault(part, {"layers": {}})["layers"][name] = {"a": a, "b": b}
            layers[name]["w"] = layers[name]["w"] + a @ b
    found = run({**variables, "lora": lora}, packed)
    np.testing.assert_allclose(found, run(merged, packed), atol=5e-5)
    assert np.abs(found - run(variables, packed)).max() > 0.01
    silent = jax.tree.map(np.zeros_like, lora)
    np.testing.assert_array_equal(
        run({**variables, "lora": silent}, packed), run(variables, packed)
    )


@pytest.mark.thorough
def test_bfloat16_activations(variables, packed):
    config = replace(CONFIG, dtype="bfloat16")
    states = run(variables, packed, config)
    assert states.dtype == jnp.bfloat16
    expected = run(variables, packed)
    real = packed["segments"] >= 0
    error = np.asarray(states.astype(jnp.float32) - expected)[real]
    assert np.linalg.norm(error) < 0.1 * np.linalg.norm(expected[real])


def test_images_are_normalised_cut_and_pooled():
    images = np.random.default_rng(3).integers(0, 256, (2, 16, 16, 3)).astype(np.uint8)
    c = CONFIG.vision
    expected = (images / 255.0 - np.array(c.mean)) / np.array(c.std)
    np.testing.assert_allclose(normalise(CONFIG, images), expected, atol=1e-5)
    cut = patches(jnp.asarray(images), 4)
    np.testing.assert_array_equal(cut[1, 6], images[1, 4:8, 8:12].reshape(-1))
    features = np.random.default_rng(4).normal(size=(1, 16, 3)).astype(np.float32)
    pooled = mean_pool(jnp.asarray(features), 2)
    square = features.reshape(4, 4, 3)
    np.testing.assert_allclose(pooled[0, 1], square[:2, 2:].mean(axis=(0, 1)), atol=1e-6)


def test_causal_structure_needs_no_image():
    mask = causal(jnp.array([[0, 1, 2, 1, 0]]), jnp.array([[0, 1, 1, 2, -1]])).mask()[0]
    assert mask.astype(int).tolist()[:4] == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 0, 0, 1, 0],
    ]


def test_configurations_survive_json():
    for config in (CONFIG, LlavaConfig(CONFIG.decoder, dtype="bfloat16")):
        values = json.loads(json.dumps(config_to_dict("llava", config)))
        assert config_from_dict(values) == ("llava", config)


def test_a_configuration_that_does_not_fit_is_named():
    values = config_to_dict("llava", CONFIG)
    with pytest.raises(ValueError, match=r"unknown model family.*'lava'.*did you mean 'llava'"):
        config_from_dict(values | {"family": "lava"})
    values["decoder"] = dict(values["decoder"], depth=3)
    with pytest.raises(ValueError, match=r"meta\.json, decoder: unknown keys \['depth'\]"):
        config_from_dict(values, "meta.json")
    del values["decoder"]["depth"], values["decoder"]["width"]
    with pytest.raises(ValueError, match=r"decoder: .*'width'"):
        config_from_dict(values)
