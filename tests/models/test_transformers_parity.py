"""Every module against the transformers model of its kind, with the same random weights."""

import jax
import numpy as np
import pytest

from mllm.models import llava
from mllm.models.decoder import DecoderConfig
from mllm.models.llava import LlavaConfig
from mllm.models.projector import ProjectorConfig
from mllm.models.vit import VisionConfig, VisionTower

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
import torch_twins  # noqa: E402

pytestmark = pytest.mark.thorough

TEXT = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 12,  # not the width over the heads
    "rms_norm_eps": 1e-5,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1000.0},
    "pad_token_id": 0,
}
VISION = {
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "image_size": 28,
    "patch_size": 7,
}


def decoder_config(kv_heads: int = 2, tied: bool = False) -> DecoderConfig:
    return DecoderConfig(
        vocab_size=64,
        width=32,
        layers=3,
        heads=4,
        kv_heads=kv_heads,
        head_dim=12,
        mlp_width=48,
        rope_theta=1000.0,
        tied=tied,
    )


def vision_config(layers: int, mlp_width: int = 40, **changes) -> VisionConfig:
    shape = {"image_size": 28, "patch_size": 7, "width": 24, "heads": 4}
    return VisionConfig(**shape, layers=layers, mlp_width=mlp_width, **changes)


def text_batch(tokens: np.ndarray) -> dict:
    positions = np.broadcast_to(np.arange(tokens.shape[1], dtype=np.int32), tokens.shape)
    return {"tokens": tokens, "positions": positions, "segments": np.zeros_like(tokens)}


def logits(config: LlavaConfig, variables: dict, batch: dict) -> np.ndarray:
    def run(variables, batch):
        hidden, _ = llava.hidden(config, variables, batch)
        return hidden @ llava.head(config, variables)

    return np.asarray(jax.jit(run)(variables, batch))


def draw_tokens(shape, low=1, high=60) -> np.ndarray:
    return np.random.default_rng(0).integers(low, high, shape).astype(np.int32)


def draw_pixels(count: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, 28, 28, 3)).astype(np.float32)


def channels_first(pixels: np.ndarray):
    return torch.tensor(pixels.transpose(0, 3, 1, 2))


@pytest.mark.parametrize(("kv_heads", "tied"), [(2, False), (1, True), (4, True)])
def test_decoder_equals_llama(kv_heads, tied):
    shape = {**TEXT, "num_key_value_heads": kv_heads, "tie_word_embeddings": tied}
    twin = transformers.LlamaForCausalLM(transformers.LlamaConfig(**shape))
    torch_twins.randomise(twin)
    config = LlavaConfig(decoder_config(kv_heads, tied))
    variables = {"params": {"decoder": torch_twins.decoder_params(twin, "model.", tied)}}
    assert jax.tree.map(np.shape, variables) == jax.tree.map(np.shape, llava.abstract(config))
    tokens = draw_tokens((2, 17))
    with torch.no_grad():
        expected = twin(torch.tensor(tokens).long()).logits.numpy()
    found = logits(config, variables, text_batch(tokens))
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_padding_on_the_right_changes_nothing():
    config = LlavaConfig(decoder_config())
    variables = llava.init(config, jax.random.key(0))
    tokens = draw_tokens((1, 12))
    padded = text_batch(np.pad(tokens, ((0, 0), (0, 5)), constant_values=9))
    padded["segments"] = np.where(np.arange(17) < 12, 0, -1)[None].astype(np.int32)
    found = logits(config, variables, padded)[:, :12]
    np.testing.assert_allclose(found, logits(config, variables, text_batch(tokens)), atol=1e-5)


def test_tower_equals_clip():
    twin = transformers.CLIPVisionModel(
        transformers.CLIPVisionConfig(**VISION, intermediate_size=40, hidden_act="quick_gelu")
    )
    torch_twins.randomise(twin)
    pixels = draw_pixels(2)
    with torch.no_grad():
        states = twin(channels_first(pixels), output_hidden_states=True).hidden_states
    params = torch_twins.clip_params(twin, keep=2)
    config = vision_config(layers=2)
    found = jax.jit(VisionTower(config).apply)({"params": params}, pixels)
    expected = states[-2].numpy()
    np.testing.assert_allclose(found, expected[:, 1:], atol=1e-4 * np.abs(expected).max())
    whole = VisionTower(vision_config(layers=2, drop_first=False))
    found = jax.jit(whole.apply)({"params": params}, pixels)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_tower_equals_dinov2():
    twin = transformers.Dinov2Model(transformers.Dinov2Config(**VISION, mlp_ratio=2))
    torch_twins.randomise(twin)
    pixels = draw_pixels(2)
    with torch.no_grad():
        states = twin(channels_first(pixels), output_hidden_states=True).hidden_states
    changes = {"norm_eps": 1e-6, "activation": "gelu", "pre_norm": False, "layer_scale": True}
    config = vision_config(layers=3, mlp_width=48, patch_bias=True, **changes)
    variables = {"params": torch_twins.dinov2_params(twin)}
    found = jax.jit(VisionTower(config).apply)(variables, pixels)
    expected = states[-1].numpy()[:, 1:]
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_whole_model_equals_llava():
    twin = transformers.LlavaForConditionalGeneration(
        transformers.LlavaConfig(
            vision_config=transformers.CLIPVisionConfig(**VISION, intermediate_size=40),
            text_config=transformers.LlamaConfig(**TEXT),
            image_token_index=63,
            image_seq_length=16,
        )
    )
    torch_twins.randomise(twin)
    config = LlavaConfig(
        decoder_config(), vision_config(layers=2), ProjectorConfig(mlp_width=32, width=32)
    )
    assert config.image_tokens == 16
    w = torch_twins.Weights(twin, "model.multi_modal_projector.")
    params = {
        "decoder": torch_twins.decoder_params(twin, "model.language_model.", tied=False),
        "vision": torch_twins.clip_params(twin, "model.vision_tower.", keep=2),
        "projector": {"fc1": w.dense("linear_1"), "fc2": w.dense("linear_2")},
    }
    shapes = jax.tree.map(np.shape, llava.abstract(config))
    assert jax.tree.map(np.shape, {"params": params}) == shapes

    # The image stands at another place in each row; the third row holds two.
    tokens, slots = draw_tokens((3, 40)), np.array([[2, -1], [20, -1], [1, 22]], np.int32)
    for row, slot in np.argwhere(slots >= 0):
        tokens[row, slots[row, slot] :][:16] = 63
    images = draw_pixels(6).reshape(3, 2, 28, 28, 3)
    present = images[slots >= 0]
    with torch.no_grad():
        expected = twin(
            input_ids=torch.tensor(tokens).long(), pixel_values=channels_first(present)
        ).logits.numpy()
    batch = text_batch(tokens) | {"media": {"image": {"values": images, "slots": slots}}}
    found = logits(config, {"params": params}, batch)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
