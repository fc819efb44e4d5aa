"""A decoder of a folder, read alone, is that of transformers, and says what it cannot read."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import published_folders as published
import pytest
import torch
from tiny_text import KINDS, write_text_model

from mllm.checkpoints.folder import load_model
from mllm.checkpoints.text_model import read_text_model, text_files
from mllm.data.conversation import user
from mllm.models import llava


@pytest.mark.parametrize("kind", KINDS)
def test_logits_are_those_of_transformers(kind, tmp_path):
    model = write_text_model(tmp_path, kind)
    loaded = read_text_model(str(tmp_path))
    tokens = np.random.default_rng(0).integers(0, 300, (2, 9))
    places = jnp.broadcast_to(jnp.arange(9), tokens.shape)
    batch = {"tokens": tokens, "positions": places, "segments": jnp.zeros_like(places)}

    @jax.jit
    def logits(variables):
        states, _ = llava.hidden(loaded.config, variables, batch)
        return states @ llava.head(loaded.config, variables)

    with torch.no_grad():
        expected = model(torch.tensor(tokens)).logits.numpy()
    np.testing.assert_allclose(logits(loaded.variables), expected, atol=1e-4, rtol=1e-4)
    named = loaded.processor.config
    assert (named.bos, named.eos, named.pad, named.image) == ("<s>", "</s>", "<pad>", None)


def test_weights_are_cast_and_templates_are_kept(tmp_path):
    write_text_model(tmp_path)
    (tmp_path / "chat_template.jinja").write_text(
        "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
    )
    loaded = read_text_model(str(tmp_path), "bfloat16")
    assert loaded.config.dtype == "bfloat16"
    assert {leaf.dtype for leaf in jax.tree.leaves(loaded.variables)} == {jnp.dtype("bfloat16")}
    written = loaded.processor.format([user("Who?")], False)
    assert "".join(text for text, _ in written) == "[user]Who?"


def test_the_decoder_of_a_model_that_sees_is_read_alone(tmp_path):
    published.write("llava", tmp_path / "hf")
    whole = load_model(tmp_path / "hf")
    loaded = read_text_model(str(tmp_path / "hf"))
    assert loaded.config.decoder == whole.config.decoder
    expected = {"decoder": whole.variables["params"]["decoder"]}
    jax.tree.map(np.testing.assert_array_equal, loaded.variables["params"], expected)


@pytest.mark.parametrize(
    "damage, message",
    [
        (dict(model_type="gpt2"), r"config.json: key 'model_type': expected one of l.*'gpt2'"),
        (dict(hidden_size=20), r"expected shape .*20.*found .*16"),
        (dict(num_hidden_layers=1), r"'model.layers.1.*' is unexpected"),
        (dict(rope_scaling={"rope_type": "yarn"}, rope_parameters=None),
         r"key 'rope_scaling.rope_type': expected default, linear or llama3, found 'yarn'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(damage, message, tmp_path):
    write_text_model(tmp_path / "whole")
    folder = shutil.copytree(tmp_path / "whole", tmp_path / "copy")
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | damage))
    with pytest.raises(ValueError, match=message):
        read_text_model(str(folder))


def test_sources_that_are_not_there_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"source is 'vicuna': no such folder.*smol"):
        read_text_model("vicuna")
    with pytest.raises(FileNotFoundError, match=r"none\.gguf"):
        read_text_model(str(tmp_path / "none.gguf"))
    write_text_model(tmp_path / "whole")
    assert {"config.json", "tokenizer.json", "model.safetensors"} <= set(
        text_files(str(tmp_path / "whole"))
    )
    (tmp_path / "whole" / "tokenizer.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"tokenizer.json: no such file; write it with"):
        read_text_model(str(tmp_path / "whole"))
