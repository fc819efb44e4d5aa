"""What an objective is: a loss whose parameter names say what it reads, and the rows it sees.

B rows, T tokens, S answers of a row. A row holds a shared prefix and several answers.

The batch of every loss, but one of single media (``Objective.rows``), which has ``weight`` and
``media`` alone:
  segments            int32[B, T]    0 the shared prefix, k >= 1 the k-th answer, -1 padding
  loss_mask           float32[B, T]  1 on supervised tokens
  role                float32[B]     number of the row's role, see ``Objective.roles``
  weight              float32[B]     0 for a padding row, 1 otherwise
  answers             int32[B, S]    id of each answer, -1 for none; column k - 1 is segment k
  twins               int32[B, S]    id of each answer's twin, -1 for none; only with
                                     ``Objective.twin``
  reference_logprobs  float32[B, S]  log-probability of each answer under the reference, summed over
                                     its tokens, computed once before training; only if the loss
                                     reads it (see ``Objective.reference``)
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import jax
import numpy as np

Batch = dict[str, jax.Array]
Metrics = dict[str, tuple[jax.Array, jax.Array]]
Loss = Callable[..., tuple[jax.Array, Metrics]]

Refresh = Callable[[dict, dict, Batch, jax.Array], tuple[dict, Metrics]]
Edit = Callable[[dict, dict], dict]
Salient = Callable[[jax.Array, jax.Array], jax.Array]
Prune = Callable[[Mapping[str, Mapping[str, Mapping[str, np.ndarray]]]], np.ndarray]
Renew = Callable[[dict[str, jax.Array], Metrics, jax.Array], dict[str, jax.Array]]

INPUTS = ("token_logprobs", "divergence", "outputs", "numbers", "batch")
# What a value of tokens can read. N supervised tokens, V vocabulary, D width:
#   logits, reference_logits  float32[N, V]  of the model, and of the one that training starts from
#   targets                   i32[N]         the tokens themselves
#   states, reference_states  float[N, D]    after ``Objective.layer`` layers, at the tokens
#                                            themselves, not where they are predicted
TOKEN_INPUTS = ("logits", "reference_logits", "targets", "states", "reference_states")
TokenValue = Callable[..., jax.Array]


@dataclass(frozen=True)
class Objective:
    """What a stage minimises, as the training step, the pipeline and the study see it.

    Attributes:
      loss: ``loss(...) -> (scalar to minimise, metrics)``; its parameter names, out of ``INPUTS``,
        and the names of ``values`` say what has to be computed: ``token_logprobs`` float32[B, T]
        (log-probability of the token at each supervised position, 0 elsewhere), ``divergence``
        float32[B, T] (KL(reference || model) of the next-token distribution at each supervised
        position, 0 elsewhere),
        ``outputs`` (what the function ``outputs`` of the model's family returns, a dict of arrays
        [B, ...]), ``numbers`` (those of the objective, by name) and ``batch`` (see the module).
        Metrics are (sum, count) scalars, so that they add
        up over devices and steps. None: nothing is trained.
      rows: the rows of a step: "all" (one set, whatever the roles), "primary" (those of the primary
        role), "joint" (as many other rows as primary ones in every batch), "sequential" (a whole
        pass over the primary rows, then one over the others), "media" (no rows of tokens: each
        different medium of the examples by itself) or "none" (no training).
      roles: the number by which the loss knows each role of the examples; {} if it reads none.
      primary: the role that ``rows`` is about.
      reference: the stage that ``reference_logprobs`` comes from: "parent" is the model that
        training starts from; None if the loss does not read them. A divergence and the values of
        tokens always compare with the model that training starts from.
      refuses: whether the answers of the primary role are refusals, not those of the data.
      twin: role of examples that come with the primary ones, each in the same batch as the
        primary example of its name; "" for none. They are the same questions with refusals.
      anchor: role of examples that hold what the model that training starts from says about the
        media of the primary examples; "" for none. The study asks it before training.
      system_prompt: text that is put before every question to the model, or None.
      values: what else is computed of each supervised token: name -> function of some of
        ``TOKEN_INPUTS``, by parameter name, that returns float32[N]. The loss that asks for the
        name is given float32[B, T], 0 where nothing is supervised.
      layer: how many layers of the decoder make the states that ``values`` read, from 1.
      refresh: ``refresh(trainable, outputs, batch, step) -> (trainable, metrics)`` changes, after
        each update, weights that no gradient moves, such as codes that nothing chooses. It is
        given what ``outputs`` was before the update; ``step`` i32[] counts updates from 0. None
        changes nothing.
      edit: ``edit(start, trained) -> trainable`` changes the weights once, after the last update.
        Both are trees of the weights that train: before training, and after it. None changes
        nothing.
      numbers: name -> first value of each number f32[] that belongs to the state of training, such
        as a multiplier. They are kept with checkpoints and logged with the metrics.
      renew: ``renew(numbers, metrics, step) -> numbers`` returns those of the next update, from the
        metrics of this one; ``step`` i32[] counts updates from 0. None keeps them.
      salient: ``salient(primary, others) -> bool`` of each leaf: which weights the gradient of the
        primary rows may move. It is given the mean squares of gradients over the answers of the
        primary role and of the other roles (``mllm.training.squares``), measured once before
        training. None lets it move all.
      activity: name -> function of the activations float[..., F] of the neurons of the decoder's
        MLPs, whose means over tokens ``prune`` is given.
      prune: ``prune({role: {"media" or "text": {name: float32[L, F]}}}) -> bool[L, F]`` chooses the
        neurons that are removed, from the ``activity`` on rows that show a medium and on the
        others (``mllm.training.neurons``). Then nothing is trained. None removes none.
      squares: whose gradient is squared for ``salient``, that of an "answer" or of a "batch".
    """

    loss: Loss | None
    rows: Literal["all", "primary", "joint", "sequential", "media", "none"]
    roles: Mapping[str, float] = field(default_factory=dict, hash=False)
    primary: str = ""
    reference: str | None = None
    refuses: bool = False
    twin: str = ""
    anchor: str = ""
    system_prompt: str | None = None
    refresh: Refresh | None = None
    values: Mapping[str, TokenValue] = field(default_factory=dict, hash=False)
    layer: int | None = None
    edit: Edit | None = None
    numbers: Mapping[str, float] = field(default_factory=dict, hash=False)
    renew: Renew | None = None
    salient: Salient | None = None
    squares: Literal["answer", "batch"] = "answer"
    activity: Mapping[str, Callable[[jax.Array], jax.Array]] = field(
        default_factory=dict, hash=False
    )
    prune: Prune | None = None

    def __post_init__(self):
        given = (*INPUTS, *self.values)
        unknown = [name for name in self.needs if name not in given]
        if unknown:
            raise ValueError(
                f"the loss asks for {', '.join(unknown)}; a loss can ask for {', '.join(given)}"
            )
        for name, read in self.reads.items():
            unknown = [one for one in read if one not in TOKEN_INPUTS]
            if unknown:
                raise ValueError(
                    f"the value {name} reads {', '.join(unknown)}; a value of tokens can read "
                    f"{', '.join(TOKEN_INPUTS)}"
                )
            if self.layer is None and {"states", "reference_states"} & set(read):
                raise ValueError(f"the value {name} reads states, so the objective needs a layer")
        if self.refresh is not None and "outputs" not in self.needs:
            raise ValueError("refresh is given outputs, so the loss has to ask for them")

    @property
    def needs(self) -> tuple[str, ...]:
        """Parameter names of the loss: what the training step has to compute for it."""
        return () if self.loss is None else tuple(inspect.signature(self.loss).parameters)

    @property
    def reads(self) -> dict[str, tuple[str, ...]]:
        """What each value of tokens reads, by its name."""
        return {n: tuple(inspect.signature(f).parameters) for n, f in self.values.items()}

    @property
    def compares(self) -> bool:
        """Whether every step runs the model that training starts from as well."""
        read = {one for several in self.reads.values() for one in several}
        return "divergence" in self.needs or bool({"reference_logits", "reference_states"} & read)
