"""What a trained baseline is: pure functions of (shape, variables, ...), as models have them.

N items, U users, W width, D features of an item.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from mllm.benchmarks.msr.baselines.log import Histories, TrainingLog
from mllm.training.objective import Objective

GIVEN = "given"  # the part of the parameters that does not train


@dataclass(frozen=True)
class Shape:
    """The sizes of a baseline.

    Attributes:
      items, users: N, and users of the log.
      width: W, of the vectors of items and users.
      length: the most items of a history that are read, the last ones.
      blocks, heads: of a network over histories.
      features: D; 0 for a model that knows items by their number alone.
    """

    items: int
    users: int
    width: int = 64
    length: int = 50
    blocks: int = 2
    heads: int = 1
    features: int = 0


class Batches(Protocol):
    """Batches that follow from a seed and the step."""

    def steps(self, epochs: int) -> int:
        """Return the number of steps of so many epochs."""
        ...

    def batch_at(self, step: int) -> dict[str, np.ndarray]:
        """Return the batch of a step, from 0 on, without end; from any thread."""
        ...


@dataclass(frozen=True)
class Epochs:
    """Which of ``count`` examples each step sees: all of them once an epoch, in another order each.

    Attributes:
      rows: of a batch; the last one of an epoch may have fewer examples. seed: of the orders.
    """

    count: int
    rows: int
    seed: int

    @property
    def batches(self) -> int:
        """Steps of one epoch."""
        return -(-self.count // self.rows)

    def chosen(self, step: int) -> np.ndarray:
        """Return the numbers i64[at most rows] of the examples of a step, from 0 on."""
        epoch, batch = divmod(step, self.batches)
        order = np.random.default_rng([self.seed, epoch]).permutation(self.count)
        return order[batch * self.rows : (batch + 1) * self.rows]


@dataclass(frozen=True)
class Recommender:
    """A baseline that is trained by ``mllm.training``.

    Attributes:
      init: ``init(shape, key)`` returns random parameters.
      outputs: ``outputs(shape, variables, batch)`` returns what the loss reads.
      objective: the loss.
      batches: ``batches(log, shape, rows, seed)`` returns the batches.
      scores: ``scores(shape, variables, histories)`` returns float32[U, N], how much each user is
        drawn to each item; the sigmoid of it is the probability of "yes".
    """

    init: Callable[[Shape, jax.Array], dict[str, Any]]
    outputs: Callable[[Shape, dict, dict], dict[str, jax.Array]]
    objective: Objective
    batches: Callable[[TrainingLog, Shape, int, int], Batches]
    scores: Callable[[Shape, dict, Histories], np.ndarray]


def given(
    log: TrainingLog,
    features: np.ndarray | None = None,
    *,
    dropout: float = 0.0,
    decay: float = 0.0,
) -> dict[str, np.ndarray]:
    """Return what a baseline is given besides its weights, as data: trials share one program.

    Args:
      features: float[N, D]; they are centred and scaled to a variance of 1 over the items of the
        log, all with one factor.

    Raises:
      ValueError: features are not one finite row for each item.
    """
    seen = (log.counts > 0).astype(np.float32)
    found = {"seen": seen, "dropout": np.float32(dropout), "decay": np.float32(decay)}
    if features is None:
        return found
    features = np.asarray(features, np.float32)
    if features.ndim != 2 or len(features) != len(log.items):
        raise ValueError(
            f"features: expected a row for each of {len(log.items)} items, found {features.shape}"
        )
    if not np.isfinite(features).all():
        row = int(np.argwhere(~np.isfinite(features))[0, 0])
        raise ValueError(f"features: of item {log.items[row]!r} are not finite")
    centred = features - features[seen > 0].mean(axis=0)
    size = np.sqrt(np.square(centred[seen > 0]).mean())
    return {**found, "features": (centred / max(size, 1e-12)).astype(np.float32)}


def divided(variables: dict) -> tuple[dict, dict]:
    """Return the variables of a network alone, and what it is given (``given``)."""
    weights = {name: w for name, w in variables["params"].items() if name != GIVEN}
    return {"params": weights}, variables["params"][GIVEN]


def dropped(x: jax.Array, rate: jax.Array, key: jax.Array | None) -> jax.Array:
    """Set a share ``rate`` of ``x`` to 0 and scale up the rest; None keeps all of it."""
    if key is None:
        return x
    kept = jax.random.bernoulli(key, 1 - rate, x.shape)
    return jnp.where(kept, x / (1 - rate), 0)
