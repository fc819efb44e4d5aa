"""The model of CONTRIBUTING.md, registered and used as that page says."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest
from toy import make_model, make_pipeline

from mllm.checkpoints.folder import load_model, save_model
from mllm.models import CONFIGS, MODELS, config_from_dict, config_to_dict
from mllm.parallel.mesh import make_mesh
from mllm.parallel.place import place, place_rows
from mllm.training.values import packed_logprobs


@pytest.fixture
def loaded(load_example, monkeypatch):
    """The toy model with its tower taken away: the same decoder, with the same weights."""
    blind = load_example("model_blind")
    monkeypatch.setitem(MODELS, "blind", blind)
    monkeypatch.setitem(CONFIGS, "blind", blind.BlindConfig)
    seeing = make_model()
    config = blind.BlindConfig(seeing.config.decoder, image_tokens=seeing.config.image_tokens)
    params = {"decoder": seeing.variables["params"]["decoder"]}
    return replace(seeing, family="blind", config=config, variables={"params": params})


def test_its_parameters_are_those_of_the_decoder(loaded):
    made = loaded.model.init(loaded.config, jax.random.key(0))["params"]
    shapes = jax.tree.map(np.shape, loaded.variables["params"])
    assert jax.tree.map(np.shape, made) == shapes
    abstract = loaded.model.abstract(loaded.config)["params"]
    assert jax.tree.map(lambda leaf: leaf.shape, abstract) == shapes


@pytest.mark.thorough
@pytest.mark.slow
def test_it_answers_as_the_seeing_model_does_where_there_is_no_image(loaded):
    seeing = make_model()
    batch = make_pipeline(seeing).batch_at(0)
    blind = packed_logprobs(loaded.model, loaded.config, loaded.variables, batch)
    seen = packed_logprobs(seeing.model, seeing.config, seeing.variables, batch)
    without = (batch["media"]["image"]["slots"] < 0).all(axis=1)
    assert without.any() and not without.all()
    np.testing.assert_allclose(blind[without], seen[without], rtol=1e-5, atol=1e-6)
    assert np.abs(blind[~without] - seen[~without]).max() > 1e-3


def test_the_picture_changes_nothing(loaded):
    batch = make_pipeline(loaded).batch_at(0)
    first = packed_logprobs(loaded.model, loaded.config, loaded.variables, batch)
    image = batch["media"]["image"]
    other = batch | {"media": {"image": image | {"values": 255 - image["values"]}}}
    again = packed_logprobs(loaded.model, loaded.config, loaded.variables, other)
    np.testing.assert_array_equal(first, again)


@pytest.mark.thorough
def test_it_computes_the_same_on_a_mesh(loaded):
    mesh = make_mesh(2, 2, 2)
    batch = make_pipeline(loaded).batch_at(0)
    expected = packed_logprobs(loaded.model, loaded.config, loaded.variables, batch)
    variables, placed = place(loaded.variables, mesh), place_rows(batch, mesh)
    found = packed_logprobs(loaded.model, loaded.config, variables, placed)
    np.testing.assert_allclose(found[: len(expected)], expected, rtol=1e-5, atol=1e-5)


def test_it_is_saved_and_loaded_like_any_family(loaded, tmp_path):
    values = json.loads(json.dumps(config_to_dict("blind", loaded.config)))
    assert config_from_dict(values) == ("blind", loaded.config)
    save_model(tmp_path / "blind", loaded)
    again = load_model(tmp_path / "blind")
    assert again.family == "blind" and again.digest() == loaded.digest()
