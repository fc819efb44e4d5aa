"""Encoders of Hugging Face folders equal transformers' in torch, and name what does not fit."""

import json
import shutil

import jax
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    SamConfig,
    SamModel,
    SamVisionConfig,
    SamVisionModel,
    Siglip2VisionConfig,
    Siglip2VisionModel,
    SiglipConfig,
    SiglipModel,
    SiglipVisionConfig,
    SiglipVisionModel,
)

from mllm.checkpoints.encoders import read_encoder
from mllm.models.encoders.sam import SamConfig as OurSamConfig
from mllm.models.encoders.sam import SamEncoder
from mllm.models.vit import VisionTower

WIDE = dict(hidden_size=24, num_hidden_layers=3, num_attention_heads=3)
NARROW = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2)
TEXT = dict(
    hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, vocab_size=20
)


def vision(width=20, size=12, patch=4, shape=WIDE, **more):
    return dict(intermediate_size=width, image_size=size, patch_size=patch, **shape, **more)


def sam(size, window, layers=(1,), patch=2, channels=8, count=3):
    return dict(
        hidden_size=12,
        num_hidden_layers=count,
        num_attention_heads=2,
        image_size=size,
        patch_size=patch,
        window_size=window,
        global_attn_indexes=list(layers),
        output_channels=channels,
    )


SAM_PROMPTS = dict(
    prompt_encoder_config=dict(hidden_size=8, image_size=12, patch_size=2),
    mask_decoder_config=dict(
        hidden_size=8, mlp_dim=8, num_attention_heads=2, iou_head_hidden_dim=8
    ),
)
DINO = dict(image_size=12, patch_size=4)
MODELS = {
    "clip": lambda: CLIPVisionModel(CLIPVisionConfig(**vision())),
    "clip, narrow": lambda: CLIPVisionModel(
        CLIPVisionConfig(**vision(size=10, patch=5, shape=NARROW, hidden_act="gelu"))
    ),
    "clip, whole": lambda: CLIPModel(CLIPConfig(text_config=TEXT, vision_config=vision())),
    "siglip": lambda: SiglipVisionModel(SiglipVisionConfig(**vision(size=14))),
    "siglip, narrow": lambda: SiglipVisionModel(
        SiglipVisionConfig(**vision(size=6, patch=2, shape=NARROW))
    ),
    "siglip, whole": lambda: SiglipModel(SiglipConfig(text_config=TEXT, vision_config=vision())),
    "siglip2": lambda: Siglip2VisionModel(
        Siglip2VisionConfig(intermediate_size=20, patch_size=4, num_patches=9, **WIDE)
    ),
    "dinov2": lambda: Dinov2Model(Dinov2Config(**DINO, **WIDE)),
    "dinov2, gated": lambda: Dinov2Model(Dinov2Config(**DINO, **NARROW, use_swiglu_ffn=True)),
    "registers": lambda: Dinov2WithRegistersModel(
        Dinov2WithRegistersConfig(**DINO, **WIDE, num_register_tokens=3)
    ),
    "registers, gated": lambda: Dinov2WithRegistersModel(
        Dinov2WithRegistersConfig(**DINO, **NARROW, num_register_tokens=1, use_swiglu_ffn=True)
    ),
    "sam": lambda: SamVisionModel(SamVisionConfig(**sam(12, 3))),
    "sam, padded": lambda: SamVisionModel(SamVisionConfig(**sam(10, 3, layers=(0, 2), channels=6))),
    "sam, one window": lambda: SamVisionModel(SamVisionConfig(**sam(8, 7, layers=(), count=2))),
    "sam, all global": lambda: SamVisionModel(SamVisionConfig(**sam(12, 4, layers=(0,), count=1))),
    "sam, whole": lambda: SamModel(SamConfig(vision_config=sam(12, 4), **SAM_PROMPTS)),
}


def write(folder, name, **options):
    """Write a model of random weights, norms and biases too, and return it."""
    torch.manual_seed(0)
    model = MODELS[name]().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim:
                parameter.copy_(torch.randn_like(parameter) * 0.3)
    model.save_pretrained(folder, **options)
    return model


def pixels_of(size):
    return np.random.default_rng(0).normal(size=(2, size, size, 3)).astype(np.float32)


def theirs(model, pixels, layers=None, resample=False):
    """Return float[B, N, D] of the patches from transformers."""
    tower = getattr(model, "vision_model", None) or getattr(model, "vision_encoder", None) or model
    name = type(tower).__name__
    values = torch.tensor(pixels.transpose(0, 3, 1, 2))
    options = dict(output_hidden_states=True) if layers else {}
    if name.startswith("Siglip2"):
        patch = model.config.patch_size
        batch, side = len(pixels), pixels.shape[1] // patch
        cut = pixels.reshape(batch, side, patch, side, patch, 3).transpose(0, 1, 3, 2, 4, 5)
        values = torch.tensor(cut.reshape(batch, side * side, -1))
        options["pixel_attention_mask"] = torch.ones(values.shape[:2])
        options["spatial_shapes"] = torch.tensor([[side, side]] * batch)
    elif resample and not name.startswith("Dinov2"):
        options["interpolate_pos_encoding"] = True
    with torch.no_grad():
        found = tower(values, **options)
    states = found.hidden_states[layers] if layers else found.last_hidden_state
    if name.startswith("Sam"):
        return states.flatten(2).transpose(1, 2).numpy()
    first = {"CLIP": 1, "Sigl": 0, "Dino": 1}[name[:4]]
    first += getattr(model.config, "num_register_tokens", 0)
    return states[:, first:].numpy()


def ours(config, params, pixels):
    module = SamEncoder if isinstance(config, OurSamConfig) else VisionTower
    return jax.jit(module(config).apply)({"params": params}, pixels)


@pytest.mark.parametrize("name", MODELS)
def test_features_are_those_of_transformers(name, tmp_path):
    model = write(tmp_path, name)
    config, params = read_encoder(tmp_path)
    pixels = pixels_of(config.image_size)
    features = ours(config, params, pixels)
    assert features.shape == (2, config.tokens, config.width)
    np.testing.assert_allclose(features, theirs(model, pixels), atol=1e-4, rtol=1e-4)
    assert {type(leaf) for leaf in jax.tree.leaves(params)} == {np.ndarray}
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {np.dtype(np.float32)}


@pytest.mark.parametrize("name", ["clip", "siglip, whole", "dinov2", "registers"])
@pytest.mark.parametrize("layers", [1, -2])
def test_a_layer_before_the_last_is_the_hidden_state_of_transformers(name, layers, tmp_path):
    model = write(tmp_path, name)
    config, params = read_encoder(tmp_path, layers=layers)
    assert config.layers == len(params["layers"]["q"]["w"]) == (1 if layers == 1 else 2)
    pixels = pixels_of(config.image_size)
    expected = theirs(model, pixels, layers)
    np.testing.assert_allclose(ours(config, params, pixels), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["clip", "siglip", "siglip2", "dinov2", "registers"])
@pytest.mark.parametrize("size", [20, 8])
def test_positions_of_another_size_are_resampled_as_transformers_does(name, size, tmp_path):
    model = write(tmp_path, name)
    config, params = read_encoder(tmp_path, image_size=size)
    pixels = pixels_of(size)
    expected = theirs(model, pixels, resample=True)
    assert expected.shape[1] == (size // 4) ** 2 == config.tokens
    np.testing.assert_allclose(ours(config, params, pixels), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("size", [16, 8])
def test_sam_of_another_size_is_transformers_with_resampled_tables(size, tmp_path):
    model = write(tmp_path, "sam")
    state = model.state_dict()
    resample = torch.nn.functional.interpolate
    for name, values in state.items():
        if name.endswith("pos_embed"):
            grid = resample(values.permute(0, 3, 1, 2), (size // 2, size // 2), mode="bicubic")
            state[name] = grid.permute(0, 2, 3, 1)
        elif ".1.attn.rel_pos" in name:  # the layer without windows
            state[name] = resample(values.T[None], size - 1, mode="linear")[0].T
    larger = SamVisionModel(SamVisionConfig(**sam(size, 3))).eval()
    larger.load_state_dict(state)
    config, params = read_encoder(tmp_path, image_size=size)
    pixels = pixels_of(size)
    expected = theirs(larger, pixels)
    np.testing.assert_allclose(ours(config, params, pixels), expected, atol=1e-4, rtol=1e-4)


def test_shards_and_the_statistics_of_the_processor_are_read(tmp_path):
    write(tmp_path / "whole", "dinov2")
    write(tmp_path / "shards", "dinov2", max_shard_size="10KB")
    assert (tmp_path / "shards" / "model.safetensors.index.json").is_file()
    settings = {"image_mean": [0.1, 0.2, 0.3], "image_std": [1, 2, 3]}
    (tmp_path / "shards" / "preprocessor_config.json").write_text(json.dumps(settings))
    whole, first = read_encoder(tmp_path / "whole")
    shards, second = read_encoder(tmp_path / "shards")
    jax.tree.map(np.testing.assert_array_equal, first, second)
    assert (whole.mean, whole.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert (shards.mean, shards.std) == ((0.1, 0.2, 0.3), (1, 2, 3))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    made = {name: tmp_path_factory.mktemp("encoder") for name in ("clip", "registers", "sam")}
    for name, folder in made.items():
        write(folder, name)
    return made


def settings(**values):
    def change(folder):
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def tensor(name, values=None):
    def change(folder):
        tensors = load_file(folder / "model.safetensors")
        tensors.pop(name, None)
        tensors |= {} if values is None else {name: np.zeros(values, np.float32)}
        save_file(tensors, folder / "model.safetensors")

    return change


@pytest.mark.parametrize(
    "name, damage, options, message",
    [
        ("clip", settings(model_type="vit"), {},
         r"config.json: key 'model_type': expected one of .*dinov2.*, found 'vit'"),
        ("clip", settings(num_attention_heads=5), {}, r"a divisor of hidden_size 24, found 5"),
        ("clip", settings(num_hidden_layers=2), {}, r"'encoder.layers.2.*is unexpected"),
        ("clip", settings(image_size=16), {},
         r"'embeddings.position_embedding.weight': expected shape \(17, 24\), found \(10, 24\)"),
        ("clip", tensor("encoder.layers.1.mlp.fc1.bias"), {}, r"layers.1.mlp.fc1.bias' is missing"),
        ("clip", tensor("extra", (2,)), {}, r"tensor 'extra' is unexpected"),
        ("clip", tensor("pre_layrnorm.bias", (5,)), {}, r"expected shape \(24,\), found \(5,\)"),
        ("clip", None, {"image_size": 13}, r"image_size: expected a multiple of 4.*found 13"),
        ("clip", None, {"layers": 4}, r"layers: expected 1 to 3 or -3 to -1, .*found 4"),
        ("clip", None, {"layers": -4}, r"layers: expected 1 to 3"),
        ("registers", settings(qkv_bias=False), {}, r"key 'qkv_bias': expected true.*found False"),
        ("registers", settings(num_register_tokens=2), {},
         r"register_tokens': expected shape \(1, 2, 24\), found \(1, 3, 24\)"),
        ("sam", settings(use_rel_pos=False), {}, r"key 'use_rel_pos': expected true"),
        ("sam", settings(global_attn_indexes=[3]), {},
         r"key 'global_attn_indexes': expected a list of different numbers below 3, found \[3\]"),
        ("sam", settings(global_attn_indexes=[0]), {}, r"rel_pos_.': expected shape \(11, 6\), f"),
        ("sam", settings(window_size=4), {}, r"rel_pos_.': expected shape \(7, 6\), found \(5"),
        ("sam", settings(image_size=13), {}, r"'image_size': expected a multiple of patch_size 2"),
        ("sam", None, {"layers": 2}, r"layers: expected None for SAM"),
        ("sam", lambda f: (f / "model.safetensors").unlink(), {}, r"expected model.safetensors or"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(folders, tmp_path, name, damage, options, message):
    folder = shutil.copytree(folders[name], tmp_path / "copy")
    if damage:
        damage(folder)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        read_encoder(folder, **options)
