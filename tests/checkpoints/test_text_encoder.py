"""A text encoder of a Hugging Face folder equals transformers' in torch, and names what differs."""

import json
import shutil

import jax
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from tiny_bert import POSITIONS, write_bert

from mllm.checkpoints.text_encoder import read_text_encoder
from mllm.models.text_encoder import TextEncoder, embed_texts

SHAPES = [
    {},
    dict(width=24, layers=3, heads=3, mlp_width=40, activation="relu"),
    dict(width=8, layers=1, heads=1, mlp_width=8, activation="gelu_new"),
]


def rows():
    """Texts of several lengths as padded rows of token ids."""
    draws = np.random.default_rng(0)
    lengths = np.asarray([1, 5, 12, 9])
    real = np.arange(12) < lengths[:, None]
    return np.where(real, draws.integers(1, 15, real.shape), 0), real


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_states_and_embeddings_are_those_of_transformers(shape, tmp_path):
    model = write_bert(tmp_path, **shape)
    ours = read_text_encoder(tmp_path)
    tokens, real = rows()
    with torch.no_grad():
        states = model(torch.tensor(tokens), attention_mask=torch.tensor(real)).last_hidden_state
    states = states.numpy()
    found = jax.jit(TextEncoder(ours.config).apply)(ours.variables, tokens, real)
    np.testing.assert_allclose(found[real], states[real], atol=1e-4, rtol=1e-4)
    means = np.stack([one[own].mean(0) for one, own in zip(states, real, strict=True)])
    expected = means / np.linalg.norm(means, axis=1, keepdims=True)
    embedded = jax.jit(embed_texts, static_argnums=0)(ours.config, ours.variables, tokens, real)
    np.testing.assert_allclose(embedded, expected, atol=1e-5)


def test_what_pads_a_text_changes_nothing(tmp_path):
    write_bert(tmp_path)
    ours = read_text_encoder(tmp_path)
    tokens, real = rows()
    embed = jax.jit(embed_texts, static_argnums=0)
    together = embed(ours.config, ours.variables, np.where(real, tokens, 7), real)
    for row, own, expected in list(zip(tokens, real, np.asarray(together), strict=True))[:2]:
        alone = embed(ours.config, ours.variables, row[own][None], own[own][None])
        np.testing.assert_allclose(alone[0], expected, atol=1e-6)


def test_long_texts_are_cut_as_sentence_transformers_does(tmp_path):
    write_bert(tmp_path)
    assert read_text_encoder(tmp_path).limit == POSITIONS
    (tmp_path / "sentence_bert_config.json").write_text('{"max_seq_length": 6}')
    ours = read_text_encoder(tmp_path)
    ids = ours.tokenizer.encode("the photo is dark and the sky is bright").ids
    assert ours.limit == 6 and len(ids) == 6 and (ids[0], ids[-1]) == (2, 3)


def settings(**values):
    def change(folder):
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def without(tensor):
    def change(folder):
        tensors = load_file(folder / "model.safetensors")
        del tensors[tensor]
        save_file(tensors, folder / "model.safetensors")

    return change


def pooling(**modes):
    def change(folder):
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(modes))

    return change


@pytest.mark.parametrize(
    "damage, message",
    [
        (settings(model_type="roberta"), r"key 'model_type': expected one of bert, found 'ro"),
        (settings(hidden_size=12), r"expected shape .*12.*, found .*16"),
        (settings(num_attention_heads=3), r"a divisor of hidden_size 16, found 3"),
        (settings(vocab_size=14), r"tokenizer.json: its highest token has ID 14.*vocab_size 14"),
        (settings(position_embedding_type="relative_key"), r"'position_embedding_type'"),
        (without("encoder.layer.1.output.dense.bias"), r"'encoder.layer.1.output.dense.bias' is"),
        (lambda folder: (folder / "tokenizer.json").unlink(), r"tokenizer.json"),
        (pooling(pooling_mode_cls_token=True, pooling_mode_mean_tokens=False),
         r"1_Pooling/config.json: expected pooling_mode_mean_tokens alone, found pooling_mode_cls"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(damage, message, tmp_path):
    (tmp_path / "whole").mkdir()
    write_bert(tmp_path / "whole")
    folder = shutil.copytree(tmp_path / "whole", tmp_path / "copy")
    damage(folder)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        read_text_encoder(folder)
