"""A few steps of training on top of a finished model, which nothing on disk knows of."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
from ml_collections import ConfigDict

from mllm.checkpoints.folder import combine
from mllm.checkpoints.loaded import Loaded
from mllm.data.conversation import Example
from mllm.data.packing import RowShape
from mllm.ops.lora import merge_lora
from mllm.parallel.place import place_rows
from mllm.studies.examples import make_pipeline
from mllm.studies.stage import Stage
from mllm.studies.start import device_mesh
from mllm.studies.train import make_optimizer, make_rate, make_step
from mllm.studies.weights import divide
from mllm.training import state
from mllm.training.nll import nll


@dataclass(frozen=True)
class Relearning:
    """What a model is trained on, and for how long.

    Attributes:
      examples: the conversations; they are repeated until the steps are done.
      steps: updates; 0 changes nothing.
      schedule: a section made by ``configs.common.stage``, whose ``epochs`` are not read.
    """

    examples: Sequence[Example]
    steps: int
    schedule: ConfigDict


class _WholeRows(RowShape):
    """Rows of one length, however little is in them: one program for every batch."""

    def fitted(self, rows) -> RowShape:
        return self


def relearned(loaded: Loaded, plan: Relearning, config) -> dict:
    """Return {"params"} of a model after a few updates on the log-likelihood of examples.

    The same model, plan and seed give the same weights. All runs of one shape share a program.

    Args:
      loaded: the model, whose adapter is merged first. A new one is trained where the schedule's
        ``trainable`` is "lora".
      config: of the study; its ``seed``, ``mesh``, ``rows`` and ``lora`` are read.
    """
    mesh, schedule, objective = device_mesh(config), plan.schedule, _OBJECTIVE
    start = loaded.merged(mesh)
    pipeline = make_pipeline(config, schedule, start, plan.examples, objective, config.seed)
    pipeline.shape = _WholeRows(**vars(pipeline.shape))
    weights = divide(start, schedule.trainable, config, mesh)
    optimizer = make_optimizer(schedule)
    stage = Stage("relearning", (), schedule=schedule, objective=objective)
    step = make_step(config, stage, start, weights, optimizer, mesh)
    now = state.create(weights.trainable, optimizer, mesh, make_rate(schedule, plan.steps))
    for number in range(plan.steps):
        now, _ = step(now, weights.frozen, place_rows(pipeline.batch_at(number), mesh))
    return merge_lora(jax.block_until_ready(combine(weights.frozen, now.trainable)))


_OBJECTIVE = nll()  # one object, so that all steps share a program
