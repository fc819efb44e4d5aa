"""Examples that share rows, of any share of the capacity, give what each gives in its own row.

The rows of their own are written by hand: no packing, no prefix apart, no width but the capacity's.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy import make_model, tokenized

from mllm.data.images import Picture
from mllm.data.packing import RowShape, pack
from mllm.data.pictures import Pictures
from mllm.data.pipeline import Pipeline
from mllm.data.tokenized import Tokenized
from mllm.models import llava
from mllm.models.states import states_after
from mllm.ops.losses import (
    gather_states,
    supervised_logprobs,
    token_kl,
    token_values,
    wanted_tokens,
)
from mllm.ops.segments import segment_sums
from mllm.training.values import predicting_states, scatter_values
from mllm.unlearning import OBJECTIVES, get_objective
from mllm.unlearning.roles import FORGET, RETAIN, ROLES

pytestmark = pytest.mark.thorough

SHAPE = RowShape(tokens=48, supervised=20, answers=4)
# The question is supervised too: its first token is predicted across the end of the prefix.
QUESTIONS = RowShape(tokens=48, supervised=44, answers=4, loss_on="all")
MOST, ROWS = 24, 12  # examples, and so rows of their own; shared rows, some of them padding
# What needs no weights of its own (``prompting``) has nothing to compute; twins have their own test
# (tests/data/test_refused_examples.py).
TRAINED = {n: o for n in OBJECTIVES if (o := get_objective(n)).loss is not None and not o.twin}


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture(scope="module")
def other(model):
    """The weights that divergences are taken from."""
    return llava.init(model.config, jax.random.key(7))["params"]


def draw(seed: int, image_id: int) -> tuple[list[Tokenized], list[Picture], np.ndarray]:
    """Groups of random size about no picture, one, or one of two tiles; references of each."""
    rng = np.random.default_rng(seed)
    ids = lambda low, high: tuple(rng.integers(5, 290, rng.integers(low, high)).tolist())  # noqa: E731
    pictures, examples = [], []
    for tiles in (0, 1, 2):
        image = -1
        if tiles:
            image = len(pictures)
            pixels = rng.integers(0, 256, (tiles, 16, 16, 3)).astype(np.uint8)
            pictures.append(Picture(pixels, ((16, 16),) * tiles))
        before = ids(1, 4)
        prefix = (*before, *([image_id] * 4 + [9]) * tiles)
        spans = [(len(before) + 5 * tile, 4, 0) for tile in range(tiles)]
        shown = dict(media=[image] if tiles else [], spans=spans)
        for role in (FORGET, RETAIN):
            # The seed bounds the size of groups, so that seeds differ in the shape they need.
            for _ in range(rng.integers(1, min(seed, MOST // 6) + 1)):
                index = len(examples)
                suffix, answer = ids(1, 7), ids(1, 6)
                examples.append(tokenized(index, prefix, suffix, answer, role=role, **shown))
    return examples, pictures, -rng.exponential(size=len(examples)).astype(np.float32)


def alone(examples, pictures, reference, shape) -> dict[str, np.ndarray]:
    """A row for each example, as one would write it for a model without shared rows."""
    batch = {
        "tokens": np.zeros((MOST, shape.tokens), np.int32),
        "positions": np.zeros((MOST, shape.tokens), np.int32),
        "segments": np.full((MOST, shape.tokens), -1, np.int32),
        "loss_mask": np.zeros((MOST, shape.tokens), np.float32),
        "targets": np.full((MOST, shape.supervised), shape.tokens, np.int32),
        "sources": np.zeros((MOST, shape.supervised), np.int32),
        "answers": np.full((MOST, 1), -1, np.int32),
        "weight": np.zeros(MOST, np.float32),
        "role": np.zeros(MOST, np.float32),
        "reference_logprobs": np.zeros((MOST, 1), np.float32),
    }
    image = {
        "values": np.zeros((MOST, 2, 16, 16, 3), np.uint8),
        "slots": np.full((MOST, 2), -1, np.int32),
        "extents": np.zeros((MOST, 2, 2), np.int32),
    }
    for r, example in enumerate(examples):
        ids = example.ids.tolist()
        first = example.supervised[0, 0] if shape is SHAPE else example.prefix
        taught = np.arange(first, len(ids))
        batch["tokens"][r, : len(ids)] = ids
        batch["positions"][r, : len(ids)] = np.arange(len(ids))
        batch["segments"][r, : len(ids)] = 1
        batch["loss_mask"][r, taught] = 1
        batch["targets"][r, : len(taught)] = taught
        batch["sources"][r, : len(taught)] = taught - 1
        batch["answers"][r], batch["reference_logprobs"][r] = r, reference[r]
        batch["weight"][r], batch["role"][r] = 1, example.role == FORGET
        if len(example.media):
            tiles = pictures[example.media[0]].tiles
            start = example.prefix - 5 * len(tiles)
            image["values"][r, : len(tiles)] = tiles
            image["slots"][r, : len(tiles)] = start + 5 * np.arange(len(tiles))
            image["extents"][r, : len(tiles)] = 16
    return batch | {"media": {"image": image}}


class Drawn:
    """A processor that knows the pictures of ``draw`` by their numbers."""

    def __init__(self, pictures: list[Picture]):
        self.pictures = pictures

    def prepared(self, number, read, where) -> Picture:
        return self.pictures[number]


@pytest.fixture(scope="module")
def outcome(model, other):
    """batch -> (log-probability of each answer [R, S], and of each objective its loss and the
    gradient of the parameters), one program a shape.
    """

    @jax.jit
    def outcome(params, other, batch):
        def values_of(params):
            states, kept = (
                predicting_states(llava, model.config, {"params": p}, batch)
                for p in (params, other)
            )
            head, kept_head = (llava.head(model.config, {"params": p}) for p in (params, other))
            places = jnp.minimum(batch["targets"], batch["tokens"].shape[1] - 1)
            taught, taught_kept = (
                gather_states(states_after(llava, model.config, {"params": p}, batch, 2), places)
                for p in (params, other)
            )
            given = {"logits": states, "reference_logits": kept, "states": taught}
            given |= {"reference_states": taught_kept, "targets": wanted_tokens(batch)}
            heads = {"logits": head, "reference_logits": kept_head}
            more = {
                f"{method} {name}": scatter_values(
                    token_values(
                        objective.values[name],
                        {one: given[one] for one in read},
                        {one: heads[one] for one in read if one in heads},
                    ),
                    batch,
                )
                for method, objective in TRAINED.items()
                for name, read in objective.reads.items()
            }
            return {
                **more,
                "token_logprobs": scatter_values(supervised_logprobs(states, head, batch), batch),
                "divergence": scatter_values(token_kl(kept, kept_head, states, head), batch),
            }

        values, pull = jax.vjp(values_of, params)
        sums = segment_sums(values["token_logprobs"], batch["segments"], batch["answers"].shape[1])
        losses, cotangents = [], []
        for method, objective in TRAINED.items():

            def loss(values, method=method, objective=objective):
                own = {name: values[f"{method} {name}"] for name in objective.values}
                own |= {"batch": batch, "numbers": objective.numbers}
                needed = {n: v for n, v in (values | own).items() if n in objective.needs}
                return objective.loss(**needed)[0]

            one, cotangent = jax.value_and_grad(loss)(values)
            losses.append(one)
            cotangents.append(cotangent)
        stacked = jax.tree.map(lambda *each: jnp.stack(each), *cotangents)
        return sums, losses, jax.lax.map(lambda cotangent: pull(cotangent)[0], stacked)

    return lambda batch: jax.device_get(outcome(model.variables["params"], other, batch))


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "seed", "width"), [(SHAPE, 4, 40), (QUESTIONS, 7, 48)])
def test_shared_rows_equal_rows_of_their_own(model, outcome, shape, seed, width):
    examples, pictures, reference = draw(seed, model.processor.image_id)
    shown = Pictures(Drawn(pictures), most=2, height=16, width=16)
    pipeline = Pipeline(examples, [], shown, ROWS, shape, roles=ROLES, reference=reference)
    rows = pack(examples, shape)
    batch = pipeline.batch(rows, np.random.default_rng(0))
    assert batch["tokens"].shape == (ROWS, width)
    sums, losses, gradients = outcome(batch)
    expected_sums, expected_losses, expected_gradients = outcome(
        alone(examples, pictures, reference, shape)
    )
    known = batch["answers"] >= 0
    assert sorted(batch["answers"][known]) == list(range(len(examples)))
    found = np.zeros(len(examples))
    found[batch["answers"][known]] = sums[known]
    np.testing.assert_allclose(found, expected_sums[: len(examples), 0], rtol=1e-5)
    for number, name in enumerate(TRAINED):
        np.testing.assert_allclose(
            losses[number], expected_losses[number], rtol=1e-5, atol=1e-5, err_msg=name
        )
        mine, theirs = (
            [leaf[number] for leaf in jax.tree.leaves(tree)]
            for tree in (gradients, expected_gradients)
        )
        size = np.sqrt(sum(float((leaf**2).sum()) for leaf in theirs))
        assert size > 0
        for a, b in zip(mine, theirs, strict=True):
            assert np.linalg.norm(a - b) <= 1e-5 * size, name
