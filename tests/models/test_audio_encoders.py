"""The audio encoders against implementations in torch with the same weights."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import transformers
from published_folders import randomise
from torch.nn import functional

from mllm.checkpoints.hf import read_tree
from mllm.checkpoints.tables import WHISPER, Part
from mllm.checkpoints.tensor_files import open_folder
from mllm.models.encoders.audio_vit import AudioVit, AudioVitConfig
from mllm.models.encoders.whisper import WhisperConfig, WhisperEncoder, sinusoids
from mllm.ops.mel import RATE, fbank, fbank_frames

SHAPE = dict(width=16, layers=2, heads=2, mlp_width=24)


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    """(transformers' encoder, our module, its variables)"""
    config = transformers.WhisperConfig(
        d_model=16,
        encoder_layers=2,
        encoder_attention_heads=2,
        encoder_ffn_dim=24,
        num_mel_bins=16,
        max_source_positions=50,
    )
    theirs = randomise(transformers.models.whisper.modeling_whisper.WhisperEncoder(config), 0)
    folder = tmp_path_factory.mktemp("whisper")
    theirs.save_pretrained(folder)
    ours = WhisperEncoder(WhisperConfig(**SHAPE, bins=16, positions=50))
    wanted = jax.eval_shape(lambda: ours.init(jax.random.key(0), jnp.zeros((1, 8, 16))))
    table = (Part("", ("", "model.encoder."), WHISPER),)
    tree, _ = read_tree(open_folder(folder), table, wanted["params"])
    return theirs, ours, {"params": tree}


def test_whisper_is_that_of_transformers(whisper):
    theirs, ours, variables = whisper
    mel = np.random.default_rng(0).normal(size=(2, 100, 16)).astype(np.float32)
    with torch.no_grad():
        expected = theirs(torch.tensor(mel).mT).last_hidden_state.numpy()
    apply = jax.jit(ours.apply)
    np.testing.assert_allclose(apply(variables, mel), expected, atol=1e-4, rtol=0)
    every = apply(variables, mel, jnp.array([100, 100]))
    np.testing.assert_allclose(every, expected, atol=1e-4, rtol=0)


def test_what_whisper_hears_depends_on_real_frames_alone(whisper):
    _, ours, variables = whisper
    rng = np.random.default_rng(1)
    mel = rng.normal(size=(2, 60, 16)).astype(np.float32)
    frames = jnp.array([31, 44])
    other = np.array(mel)
    other[0, 33:], other[1, 46:] = 7, 9  # after two more frames, as far as an encoder sees
    apply = jax.jit(ours.apply)
    first, second = (np.asarray(apply(variables, x, frames)) for x in (mel, other))
    for row, steps in enumerate((16, 22)):
        np.testing.assert_allclose(first[row, :steps], second[row, :steps], atol=1e-6)
        count = int(frames[row]) + 2
        alone = apply(variables, mel[row : row + 1, :count], frames[row : row + 1])
        np.testing.assert_allclose(first[row, :steps], alone[0, :steps], atol=1e-5)
    assert np.abs(first[0, 16:] - second[0, 16:]).max() > 0.1


def test_positions_begin_as_those_of_whisper():
    expected = transformers.models.whisper.modeling_whisper.sinusoids(1500, 384).numpy()
    np.testing.assert_allclose(sinusoids(1500, 384), expected, atol=1e-4)


def vit(**changes):
    config = AudioVitConfig(**{**SHAPE, **changes})
    ours = AudioVit(config)
    first = jnp.zeros((1, config.frames, config.bins))
    variables = ours.init(jax.random.key(0), first)
    noise = np.random.default_rng(0)
    variables = jax.tree.map(lambda x: x + 0.1 * noise.normal(size=x.shape), variables)
    return config, ours, jax.tree.map(lambda x: x.astype(jnp.float32), variables)


@pytest.mark.slow
def test_sound_of_10_24_s_becomes_32_tokens():
    """LTU's numbers (section 3.1)."""
    config, ours, variables = vit()
    samples = round(10.24 * RATE)
    assert samples == config.window
    values, extents = np.zeros((1, samples), np.float32), np.array([[samples]])
    spectrogram = lambda v, e: ours.apply(variables, v, e, method="spectrogram")  # noqa: E731
    energies, frames = jax.eval_shape(spectrogram, values, extents)
    assert energies.shape == (1, 1024, 128) and frames.shape == (1,)
    assert config.grid == (8, 64) and variables["params"]["position"].shape == (512, 16)
    assert jax.eval_shape(ours.apply, variables, energies).shape == (1, 32, 16)
    assert config.sounds == {"seconds": 10.24, "tokens": 32}


def test_audio_vit_is_that_of_torch():
    """A convolution over the map, torch's own transformer layers, and means."""
    _, ours, variables = vit(frames=96, bins=32)
    x = np.random.default_rng(2).normal(size=(2, 96, 32)).astype(np.float32)
    p = jax.tree.map(lambda leaf: torch.tensor(np.asarray(leaf)), variables["params"])
    kernel = p["patch"]["w"].T.reshape(16, 1, 16, 16)  # bins first, then frames
    image = torch.tensor(x).mT[:, None]
    h = functional.conv2d(image, kernel, p["patch"]["b"], stride=16).flatten(2).mT + p["position"]
    for number in range(2):
        own = jax.tree.map(lambda leaf, n=number: leaf[n], p["layers"])
        layer = torch.nn.TransformerEncoderLayer(
            16, 2, 24, 0.0, functional.gelu, batch_first=True, norm_first=True
        )
        attention, maps = layer.self_attn, [own[name] for name in "qkv"]
        with torch.no_grad():
            attention.in_proj_weight.copy_(torch.cat([m["w"].T for m in maps]))
            attention.in_proj_bias.copy_(torch.cat([m["b"] for m in maps]))
            pairs = {"o": attention.out_proj, "fc1": layer.linear1, "fc2": layer.linear2}
            for name, module in pairs.items():
                module.weight.copy_(own[name]["w"].T)
                module.bias.copy_(own[name]["b"])
            norms = {"attention_norm": layer.norm1, "mlp_norm": layer.norm2}
            for name, module in norms.items():
                module.weight.copy_(own[name]["scale"])
                module.bias.copy_(own[name]["b"])
            h = layer.train()(h)
    h = functional.layer_norm(h, (16,), p["post_norm"]["scale"], p["post_norm"]["b"])
    rows = h.reshape(2, 2, 6, 16).mean(1)  # over frequencies
    pooled = functional.avg_pool1d(rows.mT, 2).mT / 50
    expected = functional.layer_norm(pooled, (16,)).detach().numpy()
    np.testing.assert_allclose(jax.jit(ours.apply)(variables, x), expected, atol=1e-4, rtol=0)


def test_the_spectrogram_of_a_sound_depends_on_no_room_after_it():
    config, ours, variables = vit(frames=96, bins=32)
    spectrogram = jax.jit(partial(ours.apply, method="spectrogram"))
    sound = np.random.default_rng(3).normal(size=9000).astype(np.float32) / 9
    for room in (9000, 12_000, config.window):
        values = np.pad(sound, (0, room - 9000))[None]
        found, _ = spectrogram(variables, values, jnp.array([[9000]]))
        count = fbank_frames(9000)
        expected = (fbank(sound, bins=32) + 5.081) / 4.4849
        np.testing.assert_allclose(found[0, :count], expected, atol=1e-5)
        np.testing.assert_allclose(found[0, count:], 5.081 / 4.4849, atol=1e-6)
