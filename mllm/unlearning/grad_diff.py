"""Gradient difference (Liu et al. 2022, arXiv:2203.12817), as MLLMU-Bench uses it."""

from typing import Literal

import jax

from mllm.training.objective import Batch, Objective
from mllm.training.reductions import masked_total, mean
from mllm.unlearning.roles import FORGET, RETAIN, ROLES, role_tokens


def grad_diff(
    retain_weight: float = 1.0, order: Literal["joint", "sequential"] = "joint"
) -> Objective:
    """Ascend on the answers to forget while descending on the answers to retain.

    ``-CE_forget + retain_weight * CE_retain``; CE is the mean negative log-likelihood over all
    supervised tokens of that role in the batch. Metrics: ``forget_nll``, ``retain_nll``.

    Args:
      retain_weight: weight of the retain term, > 0.
      order: "joint" has both roles in every batch, so that the two terms are summed; "sequential"
        is the published code: a whole pass over the forget set, then a whole pass over the retain
        set, never summed.

    Raises:
      ValueError: ``retain_weight`` is not positive, or ``order`` is unknown.
    """
    if retain_weight <= 0:
        raise ValueError(
            f"grad_diff needs retain_weight > 0, got {retain_weight}; 0 is the objective 'ga'"
        )
    if order not in ("joint", "sequential"):
        raise ValueError(f"grad_diff: order is {order!r}, expected 'joint' or 'sequential'")

    def loss(token_logprobs: jax.Array, batch: Batch):
        forget_nll = masked_total(-token_logprobs, role_tokens(batch, FORGET))
        retain_nll = masked_total(-token_logprobs, role_tokens(batch, RETAIN))
        value = -mean(forget_nll) + retain_weight * mean(retain_nll)
        return value, {"forget_nll": forget_nll, "retain_nll": retain_nll}

    return Objective(loss, rows=order, roles=ROLES, primary=FORGET)
