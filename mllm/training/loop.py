"""The loop: batches in, checkpoints and metrics out; a run stopped at any moment resumes to the
same bits.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mllm.data.pipeline import read_ahead
from mllm.parallel.mesh import mesh_of
from mllm.parallel.place import place_rows
from mllm.training.journal import Journal
from mllm.training.state import TrainState
from mllm.training.step import Step

Batch = dict[str, np.ndarray]


def train(
    step: Step,
    state: TrainState,
    frozen: dict[str, Any],
    batch_at: Callable[[int], Batch],
    *,
    steps: int,
    folder: Path,
    name: str,
    meta: dict,
    save_every: int = 200,
    log_every: int = 10,
) -> TrainState:
    """Run ``steps`` updates, from the last checkpoint below ``folder`` where there is one.

    Args:
      step, state, frozen: as of ``mllm.training.step.make_train_step``; batches are placed on the
        mesh that the state lies on.
      batch_at: the batch of a step, from 0 on, called from several threads; every process gives
        the same whole batches.
      folder: the run's folder, see ``mllm.training.journal.Journal``.
      meta: JSON values stored with each checkpoint, and compared with those of the one that
        training continues from.

    Raises:
      mllm.training.diverged.Diverged: the loss is not finite; the checkpoints before it stay.
      ValueError: the checkpoints are those of another run, or the last one cannot be read.
      ValueError: batches since the last line of metrics differ between processes.
      jax.errors.JaxRuntimeError: the step asks for an array that does not lie on its devices.
    """
    journal = Journal(folder, name, steps, meta, save_every=save_every, log_every=log_every)
    with journal:
        state = journal.restored(state)
        mesh = mesh_of(state)

        def draw(number: int):
            batch = batch_at(number)
            return [batch], place_rows(batch, mesh)

        def update(state: TrainState, placed: Batch):
            state, metrics = step(state, frozen, placed)
            return state, [metrics]

        return run_steps(update, state, draw, [journal], lambda state: [state])


def run_steps(
    update: Callable[[TrainState, Any], tuple[TrainState, Sequence[dict]]],
    state: TrainState,
    draw: Callable[[int], tuple[Sequence[Batch], Any]],
    journals: Sequence[Journal],
    states_of: Callable[[TrainState], Sequence[TrainState]],
) -> TrainState:
    """Run the updates that one or several runs, which are at the same step, still need.

    Args:
      update: returns the new state, and the metrics of each run.
      draw: of a step, the batch of each run, and what ``update`` is given: it is placed on the
        devices while the step before it is still running.
      journals: of the runs, opened; all need equally many steps.
      states_of: returns the state of each run.
    """
    done, steps = journals[0].done, journals[0].steps
    batches = read_ahead(draw, done)
    with closing(batches):
        for journal in journals:
            journal.begin()
        for number in range(done + 1, steps + 1):
            seen, placed = next(batches)
            with jax.transfer_guard("disallow"):  # nothing may make the host wait in a step
                state, metrics = update(state, placed)
            for journal in journals:  # the device has its next step: it does not wait for lines
                journal.report(1 / len(journals))
            noted = zip(journals, seen, metrics, strict=True)
            if any([journal.add(number, batch, found) for journal, batch, found in noted]):
                for journal, own in zip(journals, states_of(state), strict=True):
                    journal.report(1 / len(journals))
                    journal.keep(number, own)
    return state
