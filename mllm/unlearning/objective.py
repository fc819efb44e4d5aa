"""What an unlearning objective is: a loss that asks by name for its inputs, and the rows it sees.

B rows, T tokens, S answers of a row. A row holds a shared prefix (the image) and several answers.

The batch of every loss:
  segments            int32[B, T]    0 the shared prefix, k >= 1 the k-th answer, -1 padding
  loss_mask           float32[B, T]  1 on supervised tokens
  forget              float32[B]     1 for a row to forget, 0 for a row to retain
  weight              float32[B]     0 for a padding row, 1 otherwise
  answers             int32[B, S]    id of each answer, -1 for none; column k - 1 is segment k
  reference_logprobs  float32[B, S]  log-probability of each answer under the reference, summed over
                                     its tokens, computed once before training; only where the
                                     loss reads it (see ``Objective.reference``)
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import jax

Batch = dict[str, jax.Array]
Metrics = dict[str, tuple[jax.Array, jax.Array]]
Loss = Callable[..., tuple[jax.Array, Metrics]]

INPUTS = ("token_logprobs", "divergence", "batch")


@dataclass(frozen=True)
class Objective:
    """One method of unlearning (or of teaching), as the training step and the evaluation see it.

    Attributes:
      loss: ``loss(...) -> (scalar to minimise, metrics)``; its parameter names, out of ``INPUTS``,
        say what has to be computed: ``token_logprobs`` float32[B, T] (log-probability of the token
        at each supervised position, 0 elsewhere), ``divergence`` float32[B, T] (KL(reference ||
        model) of the next-token distribution at each supervised position, 0 elsewhere) and
        ``batch`` (see the module). Metrics are (sum, count) scalars, so that they add up over
        devices and steps. None: the method trains nothing.
      rows: the rows of a step: "forget" only, "joint" (as many forget as retain rows in every
        batch), "sequential" (a whole pass over forget, then a whole pass over retain), "all" (one
        set, no roles) or "none" (no training).
      reference: the checkpoint that ``divergence`` or ``reference_logprobs`` comes from: "parent"
        (the model that training starts from), "retain_only" (a model taught without the forget set)
        or None.
      system_prompt: text that the evaluation puts before every question, or None.
    """

    loss: Loss | None
    rows: Literal["forget", "joint", "sequential", "all", "none"]
    reference: Literal["parent", "retain_only"] | None = None
    system_prompt: str | None = None

    def __post_init__(self):
        unknown = [name for name in self.needs if name not in INPUTS]
        if unknown:
            raise ValueError(
                f"the loss asks for {', '.join(unknown)}; a loss can ask for {', '.join(INPUTS)}"
            )

    @property
    def needs(self) -> tuple[str, ...]:
        """Parameter names of the loss: what the training step has to compute for it."""
        return () if self.loss is None else tuple(inspect.signature(self.loss).parameters)
