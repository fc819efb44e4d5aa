"""Mean squares of gradients against the Jacobian of dense log-probabilities, squared in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy import make_model, make_source, pipeline_of

from mllm.data.packing import RowShape
from mllm.parallel.mesh import one_device
from mllm.parallel.place import place_rows
from mllm.training.squares import mean_squares
from mllm.unlearning.roles import FORGET, ROLES

pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module")
def model():
    return make_model()


def batches_of(model, answers: int) -> list[dict]:
    """Ten questions to forget, some with a picture, in rows of so many answers."""
    shape = RowShape(tokens=32 * answers, supervised=16 * answers, answers=answers)
    options = dict(schedule="joint", roles=ROLES, primary=FORGET)
    return list(
        pipeline_of(make_source(30), model.processor, 4, shape, **options).once_over(FORGET)
    )


def jacobians(model, batches, params) -> list[dict]:
    """The gradient of the summed log-probability of each answer, in rows of their own."""

    @jax.jit
    def of(params, batch):
        def logprobs(params):
            states, _ = model.model.hidden(model.config, {"params": params}, batch)
            table = jax.nn.log_softmax(states @ model.model.head(model.config, {"params": params}))
            ahead = jnp.roll(batch["tokens"], -1, axis=1)
            each = jnp.take_along_axis(table, ahead[..., None], 2)[..., 0]
            return (each * jnp.roll(batch["loss_mask"], -1, axis=1)).sum(1)

        return jax.jacrev(logprobs)(params)

    found = []
    for batch in batches:
        rows = jax.tree.map(lambda x: np.asarray(x, "float64"), of(params, batch))
        found += [jax.tree.map(lambda x, r=r: x[r], rows) for r in np.flatnonzero(batch["weight"])]
    return found


def test_each_answer_counts_once_where_it_reaches(model):
    params, mesh = model.variables["params"], one_device()
    given = dict(mesh=mesh)
    rows = [place_rows(batch, mesh) for batch in batches_of(model, 3)]
    found = mean_squares(model.model, model.config, {"params": params}, {}, rows, **given)["params"]
    each = jacobians(model, batches_of(model, 1), params)
    assert len(each) == 10
    shown = sum(bool(np.any(one["projector"]["fc1"]["w"])) for one in each)
    assert 0 < shown < 10

    def mean(*gradients):
        reached = [g for g in gradients if g.any()]
        return sum(g**2 for g in reached) / max(len(reached), 1)

    expected = jax.tree.map(mean, *each)
    for mine, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-5 * max(theirs.max(), 1e-9))


@pytest.mark.slow
def test_published_squares_are_those_of_the_mean_of_a_batch(model):
    params, mesh = model.variables["params"], one_device()
    plain = batches_of(model, 1)
    rows = [place_rows(batch, mesh) for batch in plain]
    options = dict(mesh=mesh, each="batch")
    found = mean_squares(model.model, model.config, {"params": params}, {}, rows, **options)
    each = jacobians(model, plain, params)
    means, first = [], 0
    for batch in plain:
        count = int(batch["weight"].sum())
        tokens = batch["loss_mask"].sum()
        own = each[first : first + count]
        means.append(jax.tree.map(lambda *g, n=tokens: sum(g) / n, *own))
        first += count
    head = [one["decoder"]["embed"] for one in means]
    np.testing.assert_allclose(
        found["params"]["decoder"]["embed"],
        sum(g**2 for g in head) / len(head),
        rtol=1e-3,
        atol=1e-8,
    )
