"""Train a baseline once, by the training loop of all models, into a folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import jax

from mllm.benchmarks.msr.baselines.log import TrainingLog
from mllm.benchmarks.msr.baselines.recommender import GIVEN, Recommender, Shape
from mllm.parallel.mesh import one_device
from mllm.training import state
from mllm.training.loop import train
from mllm.training.optimizers import Schedule, make_optimizer
from mllm.training.step import Step, make_train_step

DECAY = "linear"  # of the learning rate


@dataclass(frozen=True)
class Options:
    """What is tuned.

    Attributes:
      learning_rate: the first one; it falls to 0 in a straight line.
      epochs: passes over the log.
      dropout: share of activations that is dropped; of networks over histories.
      decay: weight of the squares of the vectors; of matrix factorisation.
    """

    learning_rate: float = 1e-3
    epochs: int = 30
    dropout: float = 0.0
    decay: float = 0.0


def train_once(
    recommender: Recommender,
    shape: Shape,
    log: TrainingLog,
    given: Mapping[str, Any],
    options: Options,
    folder: Path,
    *,
    name: str,
    rows: int,
    seed: int,
    meta: Mapping[str, Any],
    save_every: int = 1000,
) -> dict[str, Any]:
    """Return the variables of a trained baseline; what is on disk in ``folder`` is not done again,
    and a run that was stopped ends with the same bits.

    Args:
      given: of ``mllm.benchmarks.msr.baselines.recommender.given``.
      rows: of a batch. seed: of the first weights and of the batches.
      meta: JSON values that name this training, for its checkpoints.

    Raises:
      ValueError: the folder holds another training.
      FloatingPointError: the loss is not finite.
    """
    batches = recommender.batches(log, shape, rows, seed)
    steps = batches.steps(options.epochs)
    frozen = {"params": {GIVEN: jax.device_put(dict(given))}}
    params = _init(recommender, shape)(jax.random.key(seed))
    rate = Schedule(options.learning_rate, steps, decay=DECAY)
    first = state.create({"params": params}, _optimizer(), one_device(), rate)
    done = train(
        _step(recommender, shape),
        first,
        frozen,
        batches.batch_at,
        steps=steps,
        folder=folder,
        name=name,
        meta=dict(meta),
        save_every=save_every,
        log_every=100,
    )
    return {"params": {**done.trainable["params"], **frozen["params"]}}


@lru_cache(maxsize=1)
def _optimizer():
    return make_optimizer("adamw", Schedule(1.0, 1, decay=DECAY))


@lru_cache(maxsize=16)
def _init(recommender: Recommender, shape: Shape):
    return jax.jit(partial(recommender.init, shape))


@lru_cache(maxsize=16)
def _step(recommender: Recommender, shape: Shape) -> Step:
    """Return the training step; trials share it and its program."""
    return make_train_step(recommender, shape, recommender.objective, _optimizer())
