"""The loop: batches in, checkpoints and metrics out; a run stopped at any moment resumes to the
same bits.
"""

import math
import time
import zlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mllm.checkpoints.orbax import UNREADABLE, Checkpoints, brief, set_aside_damaged
from mllm.data.pipeline import read_ahead
from mllm.parallel.launch import require_same
from mllm.parallel.mesh import mesh_of
from mllm.parallel.place import place_rows
from mllm.training.progress import MetricsWriter, Progress, tell
from mllm.training.state import TrainState
from mllm.training.step import Step


def train(
    step: Step,
    state: TrainState,
    frozen: dict[str, Any],
    batch_at: Callable[[int], dict[str, np.ndarray]],
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
      folder: the run's folder; checkpoints go to ``checkpoints/``, metrics to ``metrics.jsonl``.
      meta: JSON values stored with each checkpoint, and compared with those of the one that
        training continues from.

    A damaged checkpoint is set aside, and training continues from the one before it. A line of
    metrics holds those of the step, the real ``tokens`` (rows, in batches without tokens), their
    share ``fill`` of the places computed, and the seconds since the line before.

    Raises:
      FloatingPointError: a loss that is not finite; the checkpoints before it stay.
      ValueError: the checkpoints are those of another run, or the last one cannot be read.
      ValueError: batches since the last line of metrics differ between processes.
      jax.errors.JaxRuntimeError: the step asks for an array that does not lie on its devices.
    """
    damaged = set_aside_damaged(folder / "checkpoints")
    with Checkpoints(folder / "checkpoints") as checkpoints:
        done = checkpoints.latest() or 0
        for line in damaged:
            tell(f"{line}; {name} continues from step {done}")
        if done:
            state = restore_state(checkpoints, done, state, meta)
        progress, mesh = Progress(name, steps, start=done), mesh_of(state)

        def draw(number: int):
            batch = batch_at(number)
            return batch, place_rows(batch, mesh)

        # A batch is placed on the devices while the step before it is still running.
        batches = read_ahead(draw, done)
        with closing(MetricsWriter(folder, resume_step=done)) as writer, closing(batches):
            began = time.monotonic()

            def report(number: int, line: Line) -> None:
                nonlocal began
                require_same(f"{name}: the batch of a step up to {number}", str(line.seen))
                values = reduce_metrics(line.sums)  # waits for the step, and for no later one
                if not math.isfinite(values["loss"]):
                    raise FloatingPointError(f"{name}: loss is {values['loss']} at step {number}")
                began, seconds = time.monotonic(), time.monotonic() - began
                rate = line.tokens / seconds
                fill = line.tokens / line.slots
                values.update(
                    tokens=line.tokens, fill=fill, seconds=seconds, tokens_per_second=rate
                )
                writer.write(number, values)
                progress.update(number, loss=values["loss"], tokens_per_s=rate)

            line, due = Line(), None
            for number in range(done + 1, steps + 1):
                batch, placed = next(batches)
                with jax.transfer_guard("disallow"):  # nothing may make the host wait in a step
                    state, metrics = step(state, frozen, placed)
                if due is not None:  # the device has its next step: it does not wait for the line
                    report(*due)
                    due = None
                line.add(batch, metrics)
                # A checkpoint ends a line, so that a resumed run writes the same lines.
                last = number % save_every == 0 or number == steps
                if number % log_every == 0 or last:
                    due, line = (number, line), Line(seen=line.seen)
                if last:
                    report(*due)
                    due = None
                    checkpoints.save(number, state_items(state), meta)
    return state


@dataclass
class Line:
    """What a line of metrics is made of.

    Attributes:
      sums: (total, count) of each step by the name of the metric, on the devices.
      tokens, slots: real tokens, and places computed.
      seen: checksum of all batches so far.
    """

    sums: dict[str, list[tuple]] = field(default_factory=dict)
    tokens: int = 0
    slots: int = 0
    seen: int = 0

    def add(self, batch: dict[str, np.ndarray], metrics: dict[str, tuple]) -> None:
        """Count a step."""
        real = batch["segments"] >= 0 if "segments" in batch else batch["weight"] > 0
        self.tokens += int(real.sum())
        self.slots += real.size
        self.seen = checksum(batch, self.seen)
        for key, pair in metrics.items():
            self.sums.setdefault(key, []).append(pair)


def checksum(batch: dict[str, np.ndarray], seen: int = 0) -> int:
    """Return the CRC-32 over the bytes of a batch, continuing that of the batches ``seen``; 0 if
    there is no other process to compare with.
    """
    if jax.process_count() > 1:
        for array in jax.tree.leaves(batch):  # in the order of their names
            seen = zlib.crc32(np.ascontiguousarray(array), seen)
    return seen


def reduce_metrics(sums: dict[str, list[tuple]]) -> dict[str, float]:
    """Return the mean of each metric over the steps since the last line: sum of sums over sum of
    counts; empty ones left out.
    """
    means = {}
    for key, pairs in jax.device_get(sums).items():
        total, count = np.sum(np.asarray(pairs, np.float64), axis=0)
        if count > 0:
            means[key] = float(total / count)
    return means


def state_items(state: TrainState) -> dict[str, dict]:
    """Return the state as checkpoint items: its collections by name, and ``opt`` with the step and
    the numbers of the objective.
    """
    opt = {"state": state.opt, "step": state.step}
    if state.numbers:
        opt["numbers"] = state.numbers
    return {**state.trainable, "opt": opt}


def restore_state(checkpoints: Checkpoints, step: int, like: TrainState, meta: dict) -> TrainState:
    """Restore the state of a checkpointed step, placed as ``like``, whose arrays are deleted.

    Raises:
      ValueError: the checkpoint was stored with other ``meta``, or cannot be read.
    """

    def emptied(leaf):
        described = jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)
        leaf.delete()
        return described

    where = f"{checkpoints.folder}, step {step}"
    advice = "delete this checkpoint to continue from the one before it"
    try:
        found = checkpoints.meta(step)
    except UNREADABLE as error:
        raise ValueError(f"{where}: cannot be read ({brief(error)}); {advice}") from None
    if found != meta:
        raise ValueError(
            f"{where}: is a checkpoint of another run: it was stored with {found}, expected {meta}"
            "; choose another --workdir, or delete the checkpoints to train anew"
        )
    try:
        items = checkpoints.restore(step, jax.tree.map(emptied, state_items(like)))
    except UNREADABLE as error:
        raise ValueError(f"{where}: cannot be read ({brief(error)}); {advice}") from None
    opt = items.pop("opt")
    return TrainState(opt["step"], items, opt["state"], opt.get("numbers", {}))
