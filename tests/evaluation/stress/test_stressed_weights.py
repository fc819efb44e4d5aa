"""What attacks on weights make of a model's variables, against NumPy."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from mllm.evaluation.stress.adapter import with_share
from mllm.evaluation.stress.rounding import rounded
from mllm.evaluation.stress.saving import saved_in
from mllm.evaluation.stress.weights import AS_SAVED, WEIGHTS
from mllm.ops.quant import quantise


def draw(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


@pytest.fixture
def params():
    layers = {"q": {"w": jnp.asarray(draw(2, 8, 6)), "b": jnp.asarray(draw(2, 6))}}
    return {"decoder": {"layers": layers, "embedding": {"w": jnp.asarray(draw(9, 8))}}}


def by_hand(weight, bits, group):
    """Round one number after the other."""
    found, levels = np.empty_like(weight), 2 ** (bits - 1) - 1
    for layer in range(weight.shape[0]):
        for column in range(weight.shape[2]):
            for first in range(0, weight.shape[1], group):
                part = weight[layer, first : first + group, column]
                scale = max(abs(part)) / levels
                near = [scale * round(float(value / scale)) for value in part]
                found[layer, first : first + group, column] = near
    return found


@pytest.mark.parametrize(
    "bits, group, size", [(4, 4, 4), (4, 0, 8), (4, 5, 8), (8, 0, 8), (2, 2, 2)]
)
def test_matrices_of_layers_are_rounded_by_group_and_output(params, bits, group, size):
    found = rounded(params, bits=bits, group=group)["decoder"]
    weight = np.asarray(params["decoder"]["layers"]["q"]["w"])
    np.testing.assert_allclose(found["layers"]["q"]["w"], by_hand(weight, bits, size), rtol=1e-6)
    for tree in (lambda t: t["layers"]["q"]["b"], lambda t: t["embedding"]["w"]):
        np.testing.assert_array_equal(tree(found), tree(params["decoder"]))


def test_eight_bits_are_the_int8_weights_of_an_evaluation(params):
    kept = quantise({"params": params})["params"]["decoder"]["layers"]["q"]
    found = rounded(params, bits=8)["decoder"]["layers"]["q"]["w"]
    np.testing.assert_allclose(found, kept["w"] * kept["w_scale"][:, None], rtol=1e-6)


def test_zeros_stay_zeros():
    found = rounded({"layers": {"w": jnp.zeros((1, 4, 2))}}, bits=4)["layers"]["w"]
    np.testing.assert_array_equal(found, np.zeros((1, 4, 2)))


def test_floats_lose_what_a_smaller_type_cannot_hold(params):
    found = saved_in({**params, "count": jnp.arange(300)}, dtype="bfloat16")
    weight = np.asarray(params["decoder"]["embedding"]["w"])
    wanted = weight.astype(ml_dtypes.bfloat16).astype(np.float32)
    np.testing.assert_array_equal(found["decoder"]["embedding"]["w"], wanted)
    assert found["decoder"]["embedding"]["w"].dtype == jnp.float32
    np.testing.assert_array_equal(found["count"], np.arange(300))
    again = saved_in(found, dtype="bfloat16")
    assert jax.tree.all(jax.tree.map(np.array_equal, again, found))


@pytest.fixture
def adapted(params):
    lora = {"decoder": {"layers": {"q": {"a": draw(2, 8, 3), "b": draw(2, 3, 6)}}}}
    return {"params": params, "lora": jax.tree.map(jnp.asarray, lora)}


@pytest.mark.parametrize("share", [1.0, 0.5, -1.0])
def test_a_share_of_the_adapter_is_merged(adapted, share):
    pair = adapted["lora"]["decoder"]["layers"]["q"]
    weight = np.asarray(adapted["params"]["decoder"]["layers"]["q"]["w"], np.float64)
    wanted = weight + share * (
        np.asarray(pair["a"], np.float64) @ np.asarray(pair["b"], np.float64)
    )
    found = with_share(adapted, share=share)["params"]["decoder"]["layers"]["q"]["w"]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_attacks_on_the_adapter_spare_a_model_without_one(params, adapted):
    assert with_share({"params": params}, share=0.5) is None
    assert with_share(adapted, share=0)["params"] is params
    assert set(WEIGHTS) >= {AS_SAVED, "adapter_half", "adapter_none", "rounded_4"}


def test_weights_as_saved_are_not_changed_to_the_bit(params, adapted):
    assert WEIGHTS[AS_SAVED]({"params": params})["params"] is params
    merged = WEIGHTS[AS_SAVED](adapted)
    whole = with_share(adapted, share=1.0)
    assert jax.tree.all(jax.tree.map(np.array_equal, merged, whole))
