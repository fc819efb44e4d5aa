"""MMUnlearner (Huo et al. 2025, arXiv:2502.11051): ascent on the weights that matter most to what
is to be forgotten.
"""

from typing import Literal

import jax

from mllm.training.objective import Batch, Objective
from mllm.training.reductions import masked_total, mean
from mllm.unlearning.retain import with_retain
from mllm.unlearning.roles import FORGET, role_tokens

TINY = 1e-15  # of the released code, which adds it to both sides of the ratio


def mmunlearner(
    threshold: float = 1.0,
    form: Literal["paper", "released"] = "paper",
    keep: Literal["none", "nll", "kl"] = "nll",
    retain_weight: float = 1.0,
) -> Objective:
    """Ascend on the answers to forget by salient weights alone; all weights learn to retain.

    Before training, F is measured for each weight: the mean over answers of the squared gradient
    of an answer's log-probability, over those to forget and over those to retain. A weight is
    salient if ``F_forget >= threshold * F_retain`` and F_forget is positive. The gradient of an
    update is then ``-m * grad CE_forget + retain_weight * grad CE_retain``, with m 1 for salient
    weights and 0 for the others, so the optimizer's moments of the others know the retain term
    alone.

    "released" is the published estimate: the gradient of the mean over a batch is squared, not that
    of an answer, and 1e-15 is added to both sides, so that a weight that nothing reaches is salient
    at thresholds up to 1. Metrics: of ``with_retain``.

    Args:
      threshold: > 0. form: see above. keep, retain_weight: of ``with_retain``.

    Raises:
      ValueError: ``threshold`` is not positive, ``form`` is unknown, or of ``with_retain``.
    """
    if threshold <= 0:
        raise ValueError(
            f"mmunlearner needs threshold > 0, got {threshold}; every weight moves in 'grad_diff'"
        )
    if form not in ("paper", "released"):
        raise ValueError(f"mmunlearner: form is {form!r}, expected 'paper' or 'released'")

    def salient(forget: jax.Array, retain: jax.Array) -> jax.Array:
        if form == "released":
            return (forget + TINY) / (retain + TINY) >= threshold
        return (forget > 0) & (forget >= threshold * retain)

    def loss(token_logprobs: jax.Array, batch: Batch):
        return -mean(masked_total(-token_logprobs, role_tokens(batch, FORGET))), {}

    each = "answer" if form == "paper" else "batch"
    return with_retain(loss, "mmunlearner", keep, retain_weight, salient=salient, squares=each)
