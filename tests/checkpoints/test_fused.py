"""Decoders whose files keep q, k, v and gate, up in one matrix each: Phi-3."""

import json
from dataclasses import replace

import jax
import numpy as np
import published_folders as published
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import mllm
from mllm.checkpoints.hf_config import read_config
from mllm.checkpoints.hf_folder import read_folder, write_adapter_folder, write_folder
from mllm.checkpoints.peft import WEIGHTS
from mllm.ops.lora import init_lora

WIDTH, KV = published.TEXT["hidden_size"], 16  # 2 key heads of 8
QKV = "language_model.model.layers.1.self_attn.qkv_proj.weight"
GATE_UP = "language_model.model.layers.0.mlp.gate_up_proj.weight"


@pytest.fixture(scope="module")
def phi3(tmp_path_factory):
    """(folder of a LLaVA with a Phi-3, the model in torch)."""
    folder = tmp_path_factory.mktemp("phi3")
    return folder, published.write("llava", folder, text={"model_type": "phi3"})


def tensors_of(folder) -> dict[str, torch.Tensor]:
    files = folder.glob("*.safetensors")
    return {name: value for file in files for name, value in load_file(file).items()}


def copy_with(phi3, target, tensors=None, text=None):
    """A copy of the folder, with other weights or other keys in its text_config."""
    target.mkdir()
    for file in phi3[0].glob("*.json"):
        (target / file.name).write_bytes(file.read_bytes())
    raw = json.loads((target / "config.json").read_text())
    raw["text_config"] |= text or {}
    (target / "config.json").write_text(json.dumps(raw))
    (target / "model.safetensors.index.json").unlink(missing_ok=True)
    save_file(tensors or tensors_of(phi3[0]), target / "model.safetensors")
    return target


def adapt(loaded, targets: str):
    """The model with an adapter whose b is not zero."""
    lora = init_lora(loaded.variables["params"], jax.random.key(0), rank=2, targets=targets)
    lora = jax.tree.map(lambda leaf: leaf + 0.1, lora)
    return replace(loaded, variables={**loaded.variables, "lora": lora})


def test_keys_that_a_file_leaves_out_have_the_defaults_of_the_library(tmp_path):
    raw = {"model_type": "llava", "text_config": {"model_type": "phi3"}}
    found, theirs = read_config(tmp_path, raw, {}, "float32").decoder, transformers.Phi3Config()
    assert (found.vocab_size, found.width, found.mlp_width, found.layers) == (
        theirs.vocab_size,
        theirs.hidden_size,
        theirs.intermediate_size,
        theirs.num_hidden_layers,
    )
    assert (found.heads, found.kv_heads, found.max_positions, found.norm_eps) == (
        theirs.num_attention_heads,
        theirs.num_key_value_heads,
        theirs.max_position_embeddings,
        theirs.rms_norm_eps,
    )
    assert (found.activation, found.tied, found.window, found.rope_theta) == (
        theirs.hidden_act,
        theirs.tie_word_embeddings,
        theirs.sliding_window,
        theirs.rope_parameters["rope_theta"],
    )


@pytest.mark.parametrize("through", [(), ("ours",)], ids=["straight", "through a checkpoint"])
def test_a_folder_goes_back_to_the_bit(phi3, tmp_path, through):
    model = mllm.load(phi3[0])
    for name in through:
        model.save(tmp_path / name)
        model = mllm.load(tmp_path / name)
    model.save(tmp_path / "out", format="hf")
    before, after = tensors_of(phi3[0]), tensors_of(tmp_path / "out")
    assert QKV in before and GATE_UP in before and before.keys() == after.keys()
    for name, value in before.items():
        assert torch.equal(after[name], value), name
    for file in ("config.json", "tokenizer.json"):
        assert (tmp_path / "out" / file).read_bytes() == (phi3[0] / file).read_bytes()


def test_an_adapter_on_q_alone_changes_only_its_rows(phi3, tmp_path):
    adapted = adapt(read_folder(phi3[0]), r"decoder/layers/(q|up)$")
    write_folder(tmp_path / "out", adapted)
    before, after = tensors_of(phi3[0]), tensors_of(tmp_path / "out")
    changed = {name for name, value in before.items() if not torch.equal(after[name], value)}
    assert {name.split("layers.")[1][2:] for name in changed} == {
        "self_attn.qkv_proj.weight",
        "mlp.gate_up_proj.weight",
    }
    layer = adapted.variables["lora"]["decoder"]["layers"]["q"]
    update = (np.asarray(layer["a"][1], np.float64) @ np.asarray(layer["b"][1], np.float64)).T
    difference = (after[QKV] - before[QKV]).double().numpy()
    np.testing.assert_allclose(difference[:WIDTH], update, atol=1e-6)
    assert not difference[WIDTH:].any()
    assert torch.equal(after[GATE_UP].chunk(2)[0], before[GATE_UP].chunk(2)[0])


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        (QKV, None, r"qkv_proj\.weight' is missing: expected shape \(64, 32\)"),
        (QKV, (WIDTH + KV, WIDTH), r"qkv_proj\.weight': expected shape \(64, 32\), found \(48"),
        (GATE_UP, (97, WIDTH), r"gate_up_proj\.weight': expected shape \(96, 32\), found \(97"),
        (QKV.replace("qkv", "q"), (WIDTH, WIDTH), r"\.q_proj\.weight' is unexpected"),
        (QKV.replace("weight", "bias"), (64,), r"qkv_proj\.bias' is unexpected"),
        (QKV.replace("layers.1", "layers.2"), (64, WIDTH), r"layers\.2\.\S+' is unexpected"),
    ],
)
def test_a_fused_tensor_that_does_not_fit_is_named(phi3, tmp_path, name, shape, message):
    tensors = tensors_of(phi3[0])
    tensors.pop(name, None)
    if shape is not None:
        tensors[name] = torch.zeros(shape)
    with pytest.raises(ValueError, match=message):
        read_folder(copy_with(phi3, tmp_path / "changed", tensors))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            {"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}},
            r"'text_config\.rope_parameters\.partial_rotary_factor': expected 1.*found 0\.5",
        ),
        (
            {"rope_parameters": None, "partial_rotary_factor": 0.75},
            r"'text_config\.partial_rotary_factor': expected 1.*found 0\.75",
        ),
        (
            {"rope_parameters": {"rope_type": "longrope", "short_factor": [1.0] * 4}},
            r"'text_config\.rope_parameters\.rope_type': expected default.*found 'longrope'",
        ),
        (
            {"rope_parameters": None, "rope_scaling": {"type": "su", "short_factor": [1.0] * 4}},
            r"'text_config\.rope_scaling\.type': expected default.*found 'su'",
        ),
    ],
)
def test_rotations_that_are_not_here_are_named(phi3, tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read_folder(copy_with(phi3, tmp_path / "changed", text=text))


@pytest.mark.parametrize(("part", "whole"), [("k", "qkv_proj"), ("up", "gate_up_proj")])
def test_an_adapter_on_a_part_of_a_fused_matrix_is_not_written(phi3, tmp_path, part, whole):
    adapted = adapt(read_folder(phi3[0]), rf"decoder/layers/({part}|o)$")
    message = rf"{WEIGHTS}: .*{whole}.*no adapter on a fused matrix.*decoder/layers/{part}/a"
    with pytest.raises(ValueError, match=message):
        write_adapter_folder(tmp_path / "adapter", adapted, "base")
    assert not (tmp_path / "adapter").exists()


def test_an_adapter_of_other_than_fused_matrices_goes_to_peft_and_back(phi3, tmp_path):
    adapted = adapt(read_folder(phi3[0]), r"decoder/layers/(o|down)$")
    write_adapter_folder(tmp_path / "adapter", adapted, str(phi3[0]))
    found = read_folder(tmp_path / "adapter").variables["lora"]
    jax.tree.map(np.testing.assert_array_equal, found, adapted.variables["lora"])
