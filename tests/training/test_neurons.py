"""Neurons of a decoder: what each adds to its layer, their means, and a decoder without them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy import make_model, make_pipeline

from mllm.models.states import layer_states, neurons_of_layers
from mllm.parallel.mesh import one_device
from mllm.parallel.place import place_rows
from mllm.training.neurons import mean_activity, without_neurons

pytestmark = pytest.mark.thorough
FUNCTIONS = {"size": jnp.abs, "square": jnp.square}


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture(scope="module")
def batch(model):
    return dict(make_pipeline(model, "joint").batch_at(0))


def neurons(model, params, batch) -> np.ndarray:
    run = jax.jit(
        lambda p: jnp.stack(
            list(neurons_of_layers(model.model, model.config, {"params": p}, batch))
        )
    )
    return np.asarray(run(params))


def test_a_neuron_adds_its_activation_times_its_row_of_down(model, batch):
    params = model.variables["params"]
    found = neurons(model, params, batch)
    assert found.shape == (2, *batch["tokens"].shape, 48)
    removed = np.zeros((2, 48), bool)
    removed[0, 5] = True
    less = {**params, "decoder": without_neurons(params["decoder"], removed)}
    states_of = jax.jit(lambda p: layer_states(model.model, model.config, {"params": p}, batch))
    states, without = (np.asarray(states_of(p)) for p in (params, less))
    row = np.asarray(params["decoder"]["layers"]["down"]["w"])[0, 5]
    np.testing.assert_allclose(states[1] - without[1], found[0][..., 5:6] * row, atol=1e-5)
    assert np.abs(found[0][..., 5:6] * row).max() > 1e-3


def test_removed_neurons_are_silent_and_the_others_of_the_first_layer_as_before(model, batch):
    params = model.variables["params"]
    removed = np.random.default_rng(0).random((2, 48)) < 0.3
    less = {**params, "decoder": without_neurons(params["decoder"], removed)}
    before, after = (neurons(model, p, batch) for p in (params, less))
    for layer in range(2):
        assert not after[layer][..., removed[layer]].any()
    np.testing.assert_array_equal(after[0][..., ~removed[0]], before[0][..., ~removed[0]])
    for name in ("q", "o"):
        old, new = (tree["decoder"]["layers"][name]["w"] for tree in (params, less))
        np.testing.assert_array_equal(new, old)


def test_means_are_over_real_tokens_of_rows_with_a_picture_and_of_those_without(model):
    pipeline, mesh = make_pipeline(model, "joint"), one_device()
    batches = list(pipeline.once_over("retain"))
    placed = [place_rows(one, mesh) for one in batches]
    given = model.model, model.config, model.variables
    found = mean_activity(*given, placed, FUNCTIONS, mesh=mesh)
    tokens = {"media": [], "text": []}
    for one in batches:
        values = neurons(model, model.variables["params"], one)
        shown = (one["media"]["image"]["slots"] >= 0).any(1)
        for r in np.flatnonzero(one["weight"]):
            kind = "media" if shown[r] else "text"
            tokens[kind].append(values[:, r][:, one["segments"][r] >= 0])
    for kind, several in tokens.items():
        z = np.concatenate(several, axis=1).astype("float64")
        np.testing.assert_allclose(found[kind]["size"], np.abs(z).mean(1), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(found[kind]["square"], (z**2).mean(1), rtol=1e-4, atol=1e-6)
    assert mean_activity(*given, [], FUNCTIONS, mesh=mesh) == {}
