"""Every kind of adapter that PEFT writes for linear layers and embeddings, against PEFT itself."""

import json
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
import torch
import transformers
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from tiny_hf import GRID, PATCH, make

import mllm
from mllm.api import Model
from mllm.checkpoints.hf_folder import read_folder
from mllm.checkpoints.peft import CONFIG, WEIGHTS
from mllm.ops.lora import merge_lora

PAIR = ["q_proj", "v_proj"]
LAST = r".*layers\.1\.self_attn\.q_proj"  # a pattern of a whole name
OPTIONS = {
    "plain": {},
    "a dropout": {"lora_dropout": 0.5},
    "rank-stabilised": {"use_rslora": True},
    "ranks of modules": {"rank_pattern": {"q_proj": 2, "fc1": 5}},
    "a rank in one layer": {"rank_pattern": {LAST: 7}},
    "alphas of modules": {"alpha_pattern": {"v_proj": 3.5, LAST: 1}},
    "all at once": {"rank_pattern": {LAST: 1}, "alpha_pattern": {"q_proj": 9}, "use_rslora": True},
    "fan in, fan out": {"fan_in_fan_out": True},
    "some layers": {"layers_to_transform": [1]},
    "one layer": {"layers_to_transform": 0, "layers_pattern": "layers"},
    "a pattern of targets": {"target_modules": r".*(layers\.1\..*o_proj|layers\.0\..*up_proj)"},
    "without some": {"exclude_modules": r".*layers\.0.*"},
    "all linear": {"target_modules": "all-linear"},
    "DoRA": {"use_dora": True},
    "DoRA of some": {"use_dora": True, "use_rslora": True, "layers_to_transform": [0]},
    "biases of adapted modules": {
        "bias": "lora_only",
        "target_modules": [*PAIR, "fc1", "linear_1"],
    },
    "all biases": {"bias": "all"},
    "biases of updates": {"lora_bias": True, "target_modules": ["fc1", "linear_2", "out_proj"]},
    "a whole projector": {"modules_to_save": ["multi_modal_projector"]},
    "a whole tower": {"modules_to_save": ["vision_tower"], "target_modules": ["gate_proj"]},
    "norms": {"modules_to_save": ["input_layernorm", "norm"]},
    "head and embedding whole": {"modules_to_save": ["lm_head", "embed_tokens"]},
    "updates of the head": {"target_modules": [*PAIR, "lm_head"]},
    "only the head": {"target_modules": ["lm_head"]},
    "updates of the embedding": {"target_modules": [*PAIR, "embed_tokens"]},
    "DoRA everywhere": {"use_dora": True, "target_modules": [*PAIR, "embed_tokens", "lm_head"]},
    "a convolution": {"target_modules": [*PAIR, "patch_embedding"]},
    "DoRA of a convolution": {"target_modules": ["patch_embedding"], "use_dora": True},
    "positions": {"target_modules": ["position_embedding"]},
    "rows of tokens": {"trainable_token_indices": [20, 7]},
    "rows of both": {"trainable_token_indices": {"embed_tokens": [9, 31], "lm_head": [5]}},
}
OTHERS = {  # what other families have or lack
    "llava_phi3": {
        "fused": {"target_modules": ["qkv_proj", "gate_up_proj"], "rank_pattern": {LAST: 2}},
        "fused DoRA": {"target_modules": ["qkv_proj", "down_proj"], "use_dora": True},
    },
    "idefics2": {
        "plain": {"target_modules": ["q_proj", "fc1", "gate_proj"]},
        "a resampler": {"modules_to_save": ["perceiver_resampler"]},
        "all linear": {"target_modules": "all-linear", "use_rslora": True},
    },
    "idefics3_tied": {
        "plain": {},
        "tied, updates of the embedding": {"target_modules": ["embed_tokens", "q_proj"]},
        "tied, updates of the head": {"target_modules": ["lm_head"]},
        "tied, a whole embedding": {"modules_to_save": ["embed_tokens"]},
        "tied, both whole": {"modules_to_save": ["embed_tokens", "lm_head"]},
        "tied, rows of tokens": {"trainable_token_indices": [20, 7]},
        "tied and kept so": {"modules_to_save": ["embed_tokens"], "ensure_weight_tying": True},
    },
}
CASES = {
    f"{kind}, {name}": (kind, options)
    for kind, cases in {"llava": OPTIONS, **OTHERS}.items()
    for name, options in cases.items()
}
IMAGE_TOKENS = {"llava": GRID**2, "idefics2": 5, "idefics3": 1}


def inputs(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Tokens i64[1, T], and pixels as transformers takes them."""
    family, side = kind.split("_")[0], PATCH * GRID
    tokens = np.array([[1, *[3] * IMAGE_TOKENS[family], 9, 20, 31, 7, 5]])
    pixels = np.random.default_rng(1).normal(size=(1, 3, side, side)).astype(np.float32)
    return tokens, pixels if family == "llava" else pixels[:, None]


def logits(model, kind: str) -> np.ndarray:
    tokens, pixels = map(torch.from_numpy, inputs(kind))
    with torch.no_grad():
        return model.eval()(input_ids=tokens, pixel_values=pixels).logits.numpy()


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """kind -> (folder of a model, its logits)."""
    made = {}

    def get(kind: str) -> tuple[Path, np.ndarray]:
        if kind not in made:
            folder, model = tmp_path_factory.mktemp(kind), make(kind)
            model.save_pretrained(folder)
            made[kind] = folder, logits(model, kind)
        return made[kind]

    return get


def train(kind: str, folder: Path, below: Path, options: dict) -> np.ndarray:
    """Write an adapter whose every trained number is random; return the logits of PEFT's model."""
    options = {"r": 3, "lora_alpha": 5, "target_modules": PAIR, **options}
    model = get_peft_model(make(kind), LoraConfig(**options))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator) / 4)
    model.save_pretrained(folder)
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**config, "base_model_name_or_path": str(below)}))
    return logits(model, kind)


def ours(model: Model, kind: str) -> np.ndarray:
    """Our logits, with adapters merged so that all cases of a kind run one program."""
    merged = merge_lora(model.loaded.variables)
    return Model(replace(model.loaded, variables=merged)).logits(*inputs(kind))


@pytest.mark.thorough
@pytest.mark.parametrize("name", CASES)
def test_an_adapter_answers_as_in_peft(base, tmp_path, name):
    kind, options = CASES[name]
    below, plain = base(kind)
    expected = train(kind, tmp_path / "adapter", below, options)
    assert np.abs(expected - plain).max() > 0.01 * np.abs(plain).max()
    found = ours(mllm.load(tmp_path / "adapter"), kind)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["ranks of modules", "DoRA", "head and embedding whole"])
def test_an_adapter_answers_unmerged_and_after_each_conversion(base, tmp_path, name):
    expected = train("llava", tmp_path / "adapter", base("llava")[0], OPTIONS[name])
    model = mllm.load(tmp_path / "adapter")
    same = {"atol": 1e-4 * np.abs(expected).max()}
    np.testing.assert_allclose(model.logits(*inputs("llava")), expected, **same)
    model.save(tmp_path / "exported", "hf")
    theirs = transformers.AutoModelForImageTextToText.from_pretrained(tmp_path / "exported")
    np.testing.assert_allclose(logits(theirs, "llava"), expected, **same)


def test_a_head_that_is_no_longer_tied_is_exported_as_such(base, tmp_path):
    kind, options = "idefics3_tied", {"target_modules": ["embed_tokens"]}
    expected = train(kind, tmp_path / "adapter", base(kind)[0], options)
    mllm.load(tmp_path / "adapter").save(tmp_path / "exported", "hf")
    theirs = transformers.AutoModelForImageTextToText.from_pretrained(tmp_path / "exported")
    same = {"atol": 1e-4 * np.abs(expected).max()}
    np.testing.assert_allclose(logits(theirs, kind), expected, **same)
    np.testing.assert_allclose(ours(mllm.load(tmp_path / "exported"), kind), expected, **same)


def test_bfloat16_weights_stay_so_and_a_mesh_holds_the_same(base, tmp_path):
    options = {"use_dora": True, "modules_to_save": ["lm_head"], "target_modules": PAIR}
    train("llava", tmp_path / "adapter", base("llava")[0], options)
    plain = read_folder(tmp_path / "adapter").variables["params"]
    cast = read_folder(tmp_path / "adapter", dtype="bfloat16").variables["params"]
    assert {leaf.dtype.name for leaf in jax.tree.leaves(cast)} == {"bfloat16"}
    mesh = mllm.parallel.mesh.make_mesh(1, 4, 2)
    spread = read_folder(tmp_path / "adapter", mesh=mesh).variables["params"]
    below = read_folder(base("llava")[0], mesh=mesh).variables["params"]
    for one, two, place in zip(*map(jax.tree.leaves, (plain, spread, below)), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)
        assert two.sharding == place.sharding


def test_what_was_trained_whole_replaces_what_the_model_only_carries(base, tmp_path):
    train("llava", tmp_path / "adapter", base("llava")[0], OPTIONS["a whole tower"])
    stored = load_file(tmp_path / "adapter" / WEIGHTS)
    carried = mllm.load(tmp_path / "adapter").loaded.origin.carried
    assert len(carried) == 18
    for name, values in carried.items():
        inner = name.removeprefix("vision_tower.vision_model.")
        (found,) = (v for n, v in stored.items() if n.endswith(f"vision_tower.{inner}"))
        np.testing.assert_array_equal(values, found)


def test_the_names_of_older_versions_of_peft(base, tmp_path):
    """They kept both the trained and the replaced values of an embedding."""
    options = {"modules_to_save": ["embed_tokens"]}
    expected = train("llava", tmp_path / "adapter", base("llava")[0], options)
    stored = load_file(tmp_path / "adapter" / WEIGHTS)
    (name,) = (name for name in stored if "embed_tokens" in name)
    values = stored.pop(name)
    for kept, part in (("modules_to_save", values), ("original_module", torch.zeros(9, 9))):
        stored[name.replace("embed_tokens.", f"embed_tokens.{kept}.")] = part
    save_file(stored, tmp_path / "adapter" / WEIGHTS)
    found = ours(mllm.load(tmp_path / "adapter"), "llava")
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        (
            "rows of tokens",
            {"trainable_token_indices": [7]},
            r"tokens_delta': expected shape \(1, 16",
        ),
        (
            "rows of tokens",
            {"trainable_token_indices": [7, 64]},
            r"expected ids below 64, the rows",
        ),
        ("rows of tokens", {"trainable_token_indices": ["a"]}, r"indices': expected token ids"),
        ("some layers", {"layers_to_transform": None}, r"layers\.0\.\S+lora_A\.weight' is missing"),
        ("DoRA", {"use_dora": False}, r"lora_magnitude_vector\S* is unexpected"),
        ("updates of the embedding", {"r": 2}, r"expected shape \(2, "),
    ],
)
def test_options_that_do_not_fit_the_tensors_are_named(base, tmp_path, name, changes, message):
    train("llava", tmp_path, base("llava")[0], OPTIONS[name])
    config = json.loads((tmp_path / CONFIG).read_text())
    (tmp_path / CONFIG).write_text(json.dumps({**config, **changes}))
    with pytest.raises(ValueError, match=message) as caught:
        mllm.load(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_pickled_adapters_are_not_opened(base, tmp_path):
    train("llava", tmp_path, base("llava")[0], {})
    (tmp_path / WEIGHTS).rename(tmp_path / "adapter_model.bin")
    with pytest.raises(FileNotFoundError, match=r"found adapter_model\.bin, whose reading can run"):
        mllm.load(tmp_path)
