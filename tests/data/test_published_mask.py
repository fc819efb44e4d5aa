"""The published label mask in packed rows: loss and gradient of plain rows, computed by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from toy import make_model, max_difference, pipeline_of, png

from mllm.data.conversation import Example, assistant, user
from mllm.data.packing import RowShape
from mllm.ops.segments import segment_sums
from mllm.training.step import packed_logprobs
from mllm.unlearning import get_objective
from mllm.unlearning.roles import FORGET, ROLES

BETA = 0.4


@pytest.fixture(scope="module")
def model():
    return make_model(3)


@pytest.fixture(scope="module")
def batch(model):
    """Two rows to forget, with and without picture, and a padding row."""
    picture = png(Image.effect_noise((20, 16), 60).convert("RGB"))
    source = [
        Example(str(index), "", (user(*shown, f"Who is {index}?"), assistant("London")), FORGET)
        for index, shown in enumerate(([picture], []))
    ]
    shape = RowShape(tokens=48, supervised=47, answers=1, loss_on="text")
    pipeline = pipeline_of(source, model.processor, 3, shape, ended=False, roles=ROLES)
    pipeline.reference = np.asarray([-90.0, -75.0], np.float32)
    return pipeline.batch_at(0)


def by_hand(model, variables, batch) -> tuple[jax.Array, int]:
    """(summed cross-entropy of all tokens but the first of each row, their number): each row alone,
    unpacked, from whole logits, as PyTorch's shifted cross-entropy counts them.
    """
    total, count = 0.0, 0
    head = model.model.head(model.config, variables)
    for r in np.flatnonzero(batch["weight"]):
        length = int((batch["segments"][r] >= 0).sum())
        row = {
            "tokens": batch["tokens"][r : r + 1, :length],
            "positions": np.arange(length, dtype=np.int32)[None],
            "segments": np.zeros((1, length), np.int32),
        }
        if batch["media"]["image"]["slots"][r, 0] >= 0:
            row["media"] = jax.tree.map(lambda array, r=r: array[r : r + 1], batch["media"])
        states, _ = model.model.hidden(model.config, variables, row)
        table = jax.nn.log_softmax(states[0, :-1] @ head)
        total -= jnp.sum(table[jnp.arange(length - 1), row["tokens"][0, 1:]])
        count += length - 1
    return total, count


def expected_loss(name: str, model, variables, batch) -> jax.Array:
    total, count = by_hand(model, variables, batch)
    if name == "nll":
        return total / count
    if name == "ga":
        return -total / count
    reference = -batch["reference_logprobs"][batch["answers"] >= 0].sum() / count
    return -2 / BETA * jax.nn.log_sigmoid(BETA * (total / count - reference))


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["nll", "ga", "npo"])
def test_loss_and_gradient_are_those_of_plain_rows(name, model, batch):
    options = {"form": "batch_mean", "beta": BETA} if name == "npo" else {}
    objective = get_objective(name, **options)

    def loss(variables):
        values = packed_logprobs(model.model, model.config, variables, batch)
        return objective.loss(token_logprobs=values, batch=batch)[0]

    found, gradient = jax.value_and_grad(loss)(model.variables)
    expected, wanted = jax.value_and_grad(
        lambda variables: expected_loss(name, model, variables, batch)
    )(model.variables)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert max_difference(gradient, wanted) < 1e-5
    assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(wanted)) > 1e-2


@pytest.mark.thorough
def test_the_reference_sums_the_same_tokens(model, batch):
    values = packed_logprobs(model.model, model.config, model.variables, batch)
    sums = segment_sums(values, batch["segments"], 1)
    total, _ = by_hand(model, model.variables, batch)
    np.testing.assert_allclose(-jnp.sum(sums), total, rtol=1e-5)
