"""The change that an objective makes to the weights once, when their training is over."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from mllm.checkpoints.orbax import Checkpoints
from mllm.parallel.mesh import mesh_of
from mllm.parallel.place import make_on
from mllm.training.journal import state_items
from mllm.training.objective import Objective
from mllm.training.state import TrainState


def before_edit(objective: Objective, trainable: dict[str, Any]) -> dict[str, Any] | None:
    """Return a copy of the weights that train, for ``edited``; None if nothing will be edited.

    Training overwrites the weights themselves.
    """
    return None if objective.edit is None else jax.tree.map(jnp.copy, trainable)


def edited(
    objective: Objective,
    before: dict[str, Any],
    done: TrainState,
    *,
    steps: int,
    folder: Path,
    meta: dict,
) -> TrainState:
    """Apply ``Objective.edit`` to trained weights and write them as the checkpoint after the last.

    A run that was stopped after that continues from this checkpoint, and nothing is edited twice.

    Args:
      before: of ``before_edit``. done: of ``train``, after ``steps`` updates.
      folder, meta: as ``train`` takes them.
    """
    if int(done.step) > steps:
        return done
    trainable = make_on(mesh_of(done), objective.edit, before, done.trainable)
    state = done._replace(step=done.step + 1, trainable=trainable)
    with Checkpoints(folder / "checkpoints") as checkpoints:
        checkpoints.save(steps + 1, state_items(state), meta)
    return state
