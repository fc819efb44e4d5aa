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
from mllm.training.values import packed_logprobs
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


@pytest.fixture(scope="module")
def truth(model, batch):
    """(summed cross-entropy, number of tokens, gradient of the sum) by hand; one program serves all
    objectives.
    """
    counted = []

    def total(variables):
        summed, count = by_hand(model, variables, batch)
        counted.append(count)
        return summed

    summed, gradient = jax.jit(jax.value_and_grad(total))(model.variables)
    return summed, counted[0], gradient


@pytest.fixture(scope="module")
def packed(model, batch):
    """(log-probabilities of the packed tokens, what pulls a slope by them back to the weights)."""

    @jax.jit
    def pulled(variables, slope):
        values, pull = jax.vjp(
            lambda variables: packed_logprobs(model.model, model.config, variables, batch),
            variables,
        )
        return values, pull(slope)[0]

    values, _ = pulled(model.variables, jnp.zeros(batch["tokens"].shape, jnp.float32))
    return values, lambda slope: pulled(model.variables, slope)[1]


def expected_loss(name: str, total: jax.Array, count: int, batch) -> jax.Array:
    if name == "nll":
        return total / count
    if name == "ga":
        return -total / count
    reference = -batch["reference_logprobs"][batch["answers"] >= 0].sum() / count
    return -2 / BETA * jax.nn.log_sigmoid(BETA * (total / count - reference))


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["nll", "ga", "npo"])
def test_loss_and_gradient_are_those_of_plain_rows(name, batch, truth, packed):
    options = {"form": "batch_mean", "beta": BETA} if name == "npo" else {}
    objective = get_objective(name, **options)

    def loss(values):
        return objective.loss(token_logprobs=values, batch=batch)[0]

    (values, pull), (total, count, summed) = packed, truth
    found, slope = jax.value_and_grad(loss)(values)
    expected, share = jax.value_and_grad(expected_loss, argnums=1)(name, total, count, batch)
    gradient, wanted = pull(slope), jax.tree.map(lambda leaf: share * leaf, summed)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert max_difference(gradient, wanted) < 1e-5
    assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(wanted)) > 1e-2


@pytest.mark.thorough
def test_the_reference_sums_the_same_tokens(batch, truth, packed):
    sums = segment_sums(packed[0], batch["segments"], 1)
    np.testing.assert_allclose(-jnp.sum(sums), truth[0], rtol=1e-5)
