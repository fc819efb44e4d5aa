"""Matrix factorisation by Bayesian personalised ranking (Rendle et al. 2009, arXiv:1205.2618).

A user's score of an item is the product of their vectors plus a bias of the item. The order of a
history is not read.

R rows of a batch, N items, U users, W width.
"""

from dataclasses import dataclass
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mllm.benchmarks.msr.baselines.items import SPREAD, Items
from mllm.benchmarks.msr.baselines.log import Histories, TrainingLog
from mllm.benchmarks.msr.baselines.recommender import Epochs, Recommender, Shape, divided
from mllm.training.objective import Batch, Metrics, Objective
from mllm.training.reductions import masked_total, mean


class Factors(nn.Module):
    """Vectors of users, and vectors and biases of items."""

    shape: Shape

    @nn.compact
    def __call__(self, given: dict) -> tuple[jax.Array, jax.Array]:
        """Return float32[users, W + 1] and float32[N, W + 1], whose product is the score."""
        shape = self.shape
        size = (shape.users, shape.width)
        users = self.param("user_table", nn.initializers.normal(SPREAD), size)
        bias = self.param("item_bias", nn.initializers.zeros, (shape.items, 1))
        # A cold item has the mean bias too.
        seen = given["seen"][:, None]
        bias = jnp.where(seen > 0, bias, jnp.sum(seen * bias) / jnp.sum(seen))
        items = jnp.concatenate([Items(shape, name="items")(given), bias], axis=1)
        return jnp.pad(users, ((0, 0), (0, 1)), constant_values=1.0), items


def outputs(shape: Shape, variables: dict, batch: Batch) -> dict[str, jax.Array]:
    """Return ``margin`` float32[R], the score of the item less that of the other one, and
    ``penalty`` float32[R], the squares of what was read times the decay.
    """
    weights, given = divided(variables)
    users, items = Factors(shape).apply(weights, given)
    user, taken, other = users[batch["users"]], items[batch["items"]], items[batch["negatives"]]
    squares = sum(jnp.sum(jnp.square(x), axis=-1) for x in (user[:, :-1], taken, other))
    return {
        "margin": jnp.sum(user * (taken - other), axis=-1),
        "penalty": given["decay"] * squares,
    }


def _loss(outputs: dict, batch: Batch) -> tuple[jax.Array, Metrics]:
    weight = batch["weight"]
    ranked = masked_total(jax.nn.softplus(-outputs["margin"]), weight)
    return mean(ranked) + mean(masked_total(outputs["penalty"], weight)), {"ranking": ranked}


def init(shape: Shape, key: jax.Array) -> dict:
    """Return random parameters."""
    shown = {"seen": jnp.ones(shape.items)}
    if shape.features:
        shown["features"] = jnp.zeros((shape.items, shape.features))
    return Factors(shape).init(key, shown)["params"]


@partial(jax.jit, static_argnums=0)
def _scores(shape: Shape, variables: dict, users: jax.Array) -> jax.Array:
    vectors, items = Factors(shape).apply(*divided(variables))
    known = vectors[jnp.maximum(users, 0)]
    chosen = jnp.where(users[:, None] >= 0, known, jnp.mean(vectors, axis=0))
    return chosen @ items.T


def scores(shape: Shape, variables: dict, histories: Histories) -> np.ndarray:
    """Return float32[U, N]; a user that the log does not have is an average user."""
    return np.asarray(_scores(shape, variables, histories.users))


@dataclass(frozen=True, eq=False)
class PairBatches:
    """Every interaction once an epoch, each with an item that its user did not take."""

    log: TrainingLog
    rows: int
    seed: int

    def steps(self, epochs: int) -> int:
        """Return the number of steps; the last batch of an epoch may hold fewer pairs."""
        return epochs * self._epochs.batches

    @property
    def _epochs(self) -> Epochs:
        return Epochs(len(self.log.pairs), self.rows, self.seed)

    def batch_at(self, step: int) -> dict[str, np.ndarray]:
        """Return ``users``, ``items``, ``negatives`` i32[R] and ``weight`` float32[R], 0 where a
        row holds no pair.
        """
        chosen = self._epochs.chosen(step)
        weight = (np.arange(self.rows) < len(chosen)).astype(np.float32)
        pairs = self.log.pairs[np.resize(chosen, self.rows)]
        rng = np.random.default_rng([self.seed, step, 1])
        return {
            "users": pairs[:, 0],
            "items": pairs[:, 1],
            "negatives": self.log.untaken(pairs[:, 0], rng),
            "weight": weight,
        }


def _batches(log: TrainingLog, shape: Shape, rows: int, seed: int) -> PairBatches:
    return PairBatches(log, rows, seed)


BPR = Recommender(init, outputs, Objective(_loss, rows="all"), _batches, scores)
