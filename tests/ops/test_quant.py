"""Int8 matrices: how far they are from float ones, what they cost, where they lie."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from mllm.decoding.split import split_for_decoding
from mllm.models import llava
from mllm.ops.linear import linear
from mllm.ops.lora import init_lora
from mllm.ops.quant import quantise, quantise_matrix
from mllm.parallel.mesh import make_mesh
from mllm.parallel.place import place
from tests.toy import make_model


def matrix(*shape: int) -> np.ndarray:
    """Columns of very different size, the last of zeros."""
    draw = np.random.default_rng(0)
    weight = draw.normal(size=shape) * 10.0 ** draw.integers(-4, 3, size=shape[-1])
    weight[..., -1] = 0
    return weight.astype(np.float32)


@pytest.mark.parametrize("shape", [(24, 7), (3, 24, 7)])
def test_each_column_is_within_half_of_its_scale(shape):
    weight = matrix(*shape)
    steps, scale = map(np.asarray, quantise_matrix(jnp.asarray(weight)))
    assert steps.dtype == np.int8 and scale.dtype == np.float32
    np.testing.assert_allclose(scale, np.abs(weight).max(axis=-2) / 127, rtol=1e-6)
    error = np.abs(weight - steps * scale[..., None, :])
    assert (error <= scale[..., None, :] * (0.5 + 1e-4)).all()
    largest = np.abs(steps).max(axis=-2)
    assert (largest[..., :-1] == 127).all() and (largest[..., -1] == 0).all()


def test_the_product_is_that_of_dequantised_weights():
    steps, scale = quantise_matrix(jnp.asarray(matrix(24, 7)))
    draw = np.random.default_rng(1)
    x = draw.normal(size=(2, 5, 24)).astype(np.float32)
    bias = draw.normal(size=7).astype(np.float32)
    expected = x.astype(np.float64) @ (np.asarray(steps) * np.asarray(scale, np.float64)) + bias
    found = linear(jnp.asarray(x), steps, jnp.asarray(bias), scale=scale)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert linear(jnp.asarray(x, jnp.bfloat16), steps, scale=scale).dtype == jnp.bfloat16


hidden = jax.jit(llava.hidden, static_argnums=0)


def logits(model, variables) -> np.ndarray:
    tokens = jnp.arange(24).reshape(2, 12) + 4
    images = np.random.default_rng(2).integers(0, 256, (2, 1, 16, 16, 3)).astype(np.uint8)
    batch = {
        "tokens": tokens,
        "positions": jnp.broadcast_to(jnp.arange(12), tokens.shape),
        "segments": jnp.zeros_like(tokens),
        "media": {"image": {"values": images, "slots": jnp.full((2, 1), 2)}},
    }
    states, _ = hidden(model.config, variables, batch)
    return np.asarray(states @ llava.head(model.config, variables))


@pytest.mark.thorough
def test_a_model_answers_nearly_as_before_stacked_and_split():
    model = make_model()
    plain = logits(model, model.variables)
    stacked = logits(model, quantise(model.variables))
    assert 0 < np.abs(stacked - plain).max() < 0.05 * np.abs(plain).max()
    for split in (
        split_for_decoding(quantise(model.variables)),
        quantise(split_for_decoding(model.variables)),
    ):
        np.testing.assert_allclose(logits(model, split), stacked, atol=1e-5)


def test_only_matrices_of_layers_are_quantised_and_fall_to_about_a_quarter():
    params = flatten_dict(make_model().variables["params"])
    found = flatten_dict(quantise(make_model().variables)["params"])
    matrices = {path for path in params if path[-1] == "w" and "layers" in path}
    assert {path[0] for path in matrices} == {"decoder", "vision"}
    assert {path for path in found if found[path].dtype == jnp.int8} == matrices
    scales = {(*path[:-1], "w_scale") for path in matrices}
    assert set(found) - set(params) == scales
    before = sum(params[path].nbytes for path in matrices)
    after = sum(found[path].nbytes for path in matrices | scales)
    assert before / 4 < after < 0.3 * before
    for path in set(params) - matrices:
        np.testing.assert_array_equal(found[path], params[path])


def test_originals_are_given_up_and_what_is_int8_stays():
    variables = make_model().variables
    matrices = [
        leaf
        for path, leaf in flatten_dict(variables["params"]).items()
        if path[-1] == "w" and "layers" in path
    ]
    once = quantise(variables, donate=True)
    assert all(leaf.is_deleted() for leaf in matrices)
    twice = quantise(once, donate=True)
    assert all(map(lambda a, b: a is b, jax.tree.leaves(once), jax.tree.leaves(twice)))


def test_adapters_must_be_merged():
    variables = make_model().variables
    lora = init_lora(variables["params"], jax.random.key(0), rank=2, targets="decoder/layers")
    with pytest.raises(ValueError, match="merge_lora"):
        quantise({**variables, "lora": lora})


@pytest.mark.thorough
def test_scales_lie_where_their_columns_do():
    model, mesh = make_model(), make_mesh(2, 2, 2)
    expected = logits(model, quantise(model.variables))
    placed = place(quantise(place(model.variables, mesh), donate=True), mesh)
    for variables in (placed, split_for_decoding(placed)):
        found = {
            jax.tree_util.keystr(path, simple=True, separator="/"): leaf
            for path, leaf in jax.tree_util.tree_leaves_with_path(place(variables, mesh))
        }

        def share(name, found=found):
            return found[name].sharding.shard_shape(found[name].shape)[-1]

        scales = [name for name in found if name.endswith("/w_scale")]
        assert any("decoder" in name or name.startswith("layers") for name in scales)
        for name in scales:
            assert share(name) == share(name.removesuffix("_scale")) < found[name].shape[-1], name
        np.testing.assert_allclose(logits(model, variables), expected, atol=1e-4)
