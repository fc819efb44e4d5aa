"""Networks that read a history from its first item on and say, after each, what comes next.

A score is the product of the state after the last item and the vector of the next one. Training
looks at every place of a user's log: the item that came next against one that the user did not
take, by binary cross-entropy (Kang & McAuley 2018, eq. 8).

R rows, T places, N items, U users, W width.
"""

from dataclasses import dataclass
from functools import cached_property, partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mllm.benchmarks.msr.baselines.items import Items
from mllm.benchmarks.msr.baselines.log import Histories, TrainingLog
from mllm.benchmarks.msr.baselines.recommender import Epochs, Recommender, Shape, divided
from mllm.training.objective import Batch, Metrics, Objective
from mllm.training.reductions import masked_total, mean

ROWS = 64  # users of a program that scores


class Network(nn.Module):
    """The base of a network over histories: ``setup_reader`` declares what ``read`` uses.

    Histories stand on the left of a row; segment 0 is an item, -1 padding. What is read at a place
    depends on the items up to there alone.
    """

    shape: Shape

    def setup(self):
        self.items = Items(self.shape)
        self.setup_reader()

    def setup_reader(self):
        raise NotImplementedError(f"{type(self).__name__} declares no network")

    def read(
        self, x: jax.Array, segments: jax.Array, rate: jax.Array, key: jax.Array | None
    ) -> jax.Array:
        """Return the states float32[R, T, W] after each of the items with vectors ``x``.

        Args:
          x: float32[R, T, W]. segments: i32[R, T].
          rate: the share of activations that training drops. key: None drops nothing.
        """
        raise NotImplementedError(f"{type(self).__name__} reads nothing")

    def pairs(self, batch: Batch, given: dict) -> tuple[jax.Array, jax.Array]:
        """Return the scores float32[R, T] of the next items and of the others."""
        vectors, key = self.items(given), jax.random.key(batch["draw"][0])
        states = self.read(vectors[batch["items"]], batch["segments"], given["dropout"], key)
        taken, other = (vectors[batch[name]] for name in ("positives", "negatives"))
        return jnp.sum(states * taken, axis=-1), jnp.sum(states * other, axis=-1)

    def __call__(self, items: jax.Array, segments: jax.Array, given: dict) -> jax.Array:
        """Return the scores float32[R, N] of all items after the last one of each history."""
        vectors = self.items(given)
        states = self.read(vectors[items], segments, given["dropout"], None)
        last = jnp.maximum(jnp.sum(segments >= 0, axis=1) - 1, 0)
        state = jnp.take_along_axis(states, last[:, None, None], axis=1)[:, 0]
        # Of an empty history nothing is known: all items are alike.
        return jnp.where(segments[:, :1] >= 0, state @ vectors.T, 0.0)


def _loss(outputs: dict, batch: Batch) -> tuple[jax.Array, Metrics]:
    real = (batch["segments"] >= 0).astype(jnp.float32)
    wrong = jax.nn.softplus(-outputs["taken"]) + jax.nn.softplus(outputs["other"])
    total = masked_total(wrong, real)
    right = masked_total((outputs["taken"] > outputs["other"]).astype(jnp.float32), real)
    return mean(total), {"cross_entropy": total, "in_order": right}


@dataclass(frozen=True, eq=False)
class SequenceBatches:
    """The log of every user once an epoch, its last places if it is longer than a row."""

    log: TrainingLog
    shape: Shape
    rows: int
    seed: int

    def steps(self, epochs: int) -> int:
        """Return the number of steps; the last batch of an epoch may hold fewer users."""
        return epochs * self._epochs.batches

    @property
    def _epochs(self) -> Epochs:
        return Epochs(len(self._users), self.rows, self.seed)

    @cached_property
    def _users(self) -> np.ndarray:
        return np.array([u for u, items in enumerate(self.log.sequences) if len(items) > 1])

    @cached_property
    def _places(self) -> int:
        """T: no more places than the longest log needs, and ``shape.length`` at most."""
        return min(self.shape.length, max(map(len, self.log.sequences)) - 1)

    def batch_at(self, step: int) -> dict[str, np.ndarray]:
        """Return ``items``, ``positives`` (the item that came next), ``negatives`` and ``segments``
        i32[R, T], and ``draw`` u32[R], of which dropout follows.
        """
        users = self._users[self._epochs.chosen(step)]
        sequences = [self.log.sequences[user] for user in users]
        items, segments = left_aligned([one[:-1] for one in sequences], self.rows, self._places)
        positives, _ = left_aligned([one[1:] for one in sequences], self.rows, self._places)
        rng = np.random.default_rng([self.seed, step, 1])
        whose = np.broadcast_to(np.resize(users, self.rows)[:, None], items.shape)
        return {
            "items": items,
            "positives": positives,
            "negatives": self.log.untaken(whose, rng),
            "segments": segments,
            "draw": rng.integers(0, 2**32, self.rows, np.uint32),
        }


def left_aligned(
    sequences: list[np.ndarray], rows: int, places: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the last items of sequences from the left of rows on, and segments, i32[R, T].

    Args:
      rows: R; those without a sequence are padding. places: T.
    """
    items = np.zeros((rows, places), np.int32)
    segments = np.full((rows, places), -1, np.int32)
    for row, sequence in enumerate(sequences):
        last = sequence[-places:]
        items[row, : len(last)], segments[row, : len(last)] = last, 0
    return items, segments


def recommender(network: type[Network]) -> Recommender:
    """Return the functions by which a network is trained and asked."""

    def init(shape: Shape, key: jax.Array) -> dict:
        shown = {"seen": jnp.ones(shape.items), "dropout": jnp.zeros(())}
        if shape.features:
            shown["features"] = jnp.zeros((shape.items, shape.features))
        empty = jnp.zeros((1, shape.length), jnp.int32)
        return network(shape).init(key, empty, empty, shown)["params"]

    def outputs(shape: Shape, variables: dict, batch: Batch) -> dict[str, jax.Array]:
        weights, given = divided(variables)
        taken, other = network(shape).apply(weights, batch, given, method="pairs")
        return {"taken": taken, "other": other}

    @partial(jax.jit, static_argnums=0)
    def scored(shape: Shape, variables: dict, items: jax.Array, segments: jax.Array) -> jax.Array:
        weights, given = divided(variables)
        return network(shape).apply(weights, items, segments, given)

    def scores(shape: Shape, variables: dict, histories: Histories) -> np.ndarray:
        found = []
        for first in range(0, len(histories), ROWS):
            lot = list(histories.items[first : first + ROWS])
            rows = left_aligned(lot, ROWS, shape.length)
            found.append(np.asarray(scored(shape, variables, *rows))[: len(lot)])
        return np.concatenate(found)

    return Recommender(init, outputs, Objective(_loss, rows="all"), SequenceBatches, scores)
