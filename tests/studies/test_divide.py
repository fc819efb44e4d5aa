"""Weights are divided as a schedule says, and together they are the whole model."""

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict
from toy import make_model

from mllm.checkpoints.folder import combine
from mllm.parallel.mesh import one_device
from mllm.studies.weights import divide


@pytest.fixture(scope="module")
def model():
    return make_model(0)


def divided(model, trainable: str, targets: str = r"decoder/layers/\w+$", **options):
    lora = dict(rank=2, targets=targets, dropout=0.0, **options)
    return divide(model, trainable, ConfigDict({"seed": 0, "lora": lora}), one_device())


@pytest.mark.parametrize("trainable", ["params", "projector", "decoder"])
def test_the_parts_are_the_whole(model, trainable):
    weights = divided(model, trainable)
    whole = combine(weights.frozen, weights.trainable)
    same = jax.tree.map(lambda a, b: a is b, whole["params"], model.variables["params"])
    assert all(jax.tree.leaves(same)) and weights.lora is None
    assert weights.parts == (None if trainable == "params" else [trainable])
    assert weights.media_stay == (trainable == "decoder")


@pytest.mark.thorough
def test_an_adapter_leaves_the_weights_frozen(model):
    weights = divided(model, "lora")
    scaled = divided(model, "lora", alpha=0.5).trainable["lora"]["decoder"]["layers"]["q"]
    plain = weights.trainable["lora"]["decoder"]["layers"]["q"]
    np.testing.assert_allclose(scaled["a"], plain["a"] * 0.25, rtol=1e-6)
    assert not scaled["b"].any()
    assert set(weights.trainable) == {"lora"} and weights.parts is None
    assert weights.frozen == {"params": model.variables["params"]}
    assert weights.lora["rank"] == 2 and weights.media_stay
    assert not divided(model, "lora", r"(decoder|vision)/layers/\w+$").media_stay


def test_an_unknown_part_is_named(model):
    with pytest.raises(ValueError, match="'projektor'; did you mean 'projector'"):
        divided(model, "projektor")
