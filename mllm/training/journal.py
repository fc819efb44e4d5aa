"""What a run leaves while it trains: checkpoints, lines of metrics, progress on the terminal."""

import contextlib
import math
import time
from pathlib import Path

import jax
import numpy as np

from mllm.checkpoints.orbax import UNREADABLE, Checkpoints, brief, set_aside_damaged
from mllm.parallel.launch import require_same
from mllm.training.diverged import Diverged
from mllm.training.lines import Line, reduce_metrics
from mllm.training.progress import MetricsWriter, Progress, tell
from mllm.training.state import TrainState


class Journal:
    """The checkpoints and metrics of one run, as a context; checkpoints go to ``checkpoints/`` of
    its folder, metrics to ``metrics.jsonl``.

    A damaged checkpoint is set aside, and training continues from the one before it. A line of
    metrics holds those of the step, the real ``tokens`` (rows, in batches without tokens), their
    share ``fill`` of the places computed, and the seconds since the line before.

    Attributes:
      steps: updates of the whole run. done: those of the last checkpoint when it was opened.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        steps: int,
        meta: dict,
        *,
        save_every: int = 200,
        log_every: int = 10,
    ):
        self.folder, self.name, self.steps, self.meta = Path(folder), name, steps, meta
        self._save_every, self._log_every = save_every, log_every
        self._line, self._due = Line(), None

    def __enter__(self) -> "Journal":
        with contextlib.ExitStack() as stack:
            damaged = set_aside_damaged(self.folder / "checkpoints")
            self._checkpoints = stack.enter_context(Checkpoints(self.folder / "checkpoints"))
            self.done = self._checkpoints.latest() or 0
            for line in damaged:
                tell(f"{line}; {self.name} continues from step {self.done}")
            self._open = stack.pop_all()
        return self

    def __exit__(self, *error) -> None:
        self._open.__exit__(*error)

    def restored(self, state: TrainState) -> TrainState:
        """Return the state of the last checkpoint, placed as ``state``, or ``state`` itself if
        there is none.
        """
        if not self.done:
            return state
        return restore_state(self._checkpoints, self.done, state, self.meta)

    def begin(self) -> None:
        """Open the metrics, and start the clock."""
        writer = MetricsWriter(self.folder, resume_step=self.done)
        self._writer = self._open.enter_context(contextlib.closing(writer))
        self._progress = Progress(self.name, self.steps, start=self.done)
        self._began = time.monotonic()

    def add(self, number: int, batch: dict[str, np.ndarray], metrics: dict[str, tuple]) -> bool:
        """Note the step of a number, which the device may still be working on.

        Returns:
          whether ``keep`` is to be called with the state after it.
        """
        self._line.add(batch, metrics)
        # A checkpoint ends a line, so that a resumed run writes the same lines.
        last = number % self._save_every == 0 or number == self.steps
        if number % self._log_every == 0 or last:
            self._due, self._line = (number, self._line), Line(seen=self._line.seen)
        return last

    def report(self, share: float = 1.0) -> None:
        """Write the line that is due, if one is; this waits for its step, and for no later one.

        Args:
          share: of the time since the line before that this run is charged with, where several
            train at once.

        Raises:
          Diverged: the loss is not finite; the checkpoints before it stay.
          ValueError: batches since the last line of metrics differ between processes.
        """
        if self._due is None:
            return
        (number, line), self._due = self._due, None
        require_same(f"{self.name}: the batch of a step up to {number}", str(line.seen))
        values = reduce_metrics(line.sums)
        if not math.isfinite(values["loss"]):
            raise Diverged(self.folder, f"its loss is {values['loss']} at step {number}")
        now = time.monotonic()
        self._began, seconds = now, share * (now - self._began)
        rate, fill = line.tokens / seconds, line.tokens / line.slots
        values.update(tokens=line.tokens, fill=fill, seconds=seconds, tokens_per_second=rate)
        self._writer.write(number, values)
        self._progress.update(number, loss=values["loss"], tokens_per_s=rate)

    def keep(self, number: int, state: TrainState) -> None:
        """Save the state after a step as a checkpoint, in the background."""
        self._checkpoints.save(number, state_items(state), self.meta)


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
