"""KL minimisation (Maini et al. 2024, arXiv:2401.06121), as MLLMU-Bench uses it."""

from typing import Literal

import jax
import jax.numpy as jnp

from mllm.training.objective import Batch, Objective
from mllm.training.reductions import masked_total, mean
from mllm.unlearning.roles import FORGET, RETAIN, ROLES, role_answers, role_tokens


def kl_min(
    retain_weight: float = 1.0,
    kl_weight: float = 1.0,
    kl_reduction: Literal["per_token", "per_answer"] = "per_token",
    order: Literal["joint", "sequential"] = "joint",
) -> Objective:
    """Ascend on the answers to forget; on those to retain, stay close to the starting model.

    ``-CE_forget + retain_weight * CE_retain + kl_weight * KL_retain`` with KL(reference || model)
    and, as reference, the model that training starts from. Metrics: ``forget_nll``, ``retain_nll``,
    ``kl`` (per token, whatever the reduction, so that runs compare).

    Args:
      retain_weight: weight of the retain likelihood, >= 0.
      kl_weight: weight of the divergence, > 0.
      kl_reduction: "per_token" is the mean over supervised retain tokens. "per_answer" is the sum
        over them divided by the number of retain answers: larger by the mean number of tokens of an
        answer. It comes closest to the published code, whose "batchmean" also counts the last token
        of each row and the padding.
      order: "joint" has both roles in every batch; "sequential" is the published code: a whole pass
        over the forget set, then a whole pass over the retain set.

    Raises:
      ValueError: a weight is out of range, or ``kl_reduction`` or ``order`` is unknown.
    """
    if retain_weight < 0:
        raise ValueError(f"kl_min needs retain_weight >= 0, got {retain_weight}")
    if kl_weight <= 0:
        raise ValueError(
            f"kl_min needs kl_weight > 0, got {kl_weight}; 0 is the objective 'grad_diff'"
        )
    if kl_reduction not in ("per_token", "per_answer"):
        raise ValueError(
            f"kl_min: kl_reduction is {kl_reduction!r}, expected 'per_token' or 'per_answer' "
            "(once called 'published', but the published sum also counts padding)"
        )
    if order not in ("joint", "sequential"):
        raise ValueError(f"kl_min: order is {order!r}, expected 'joint' or 'sequential'")

    def loss(token_logprobs: jax.Array, divergence: jax.Array, batch: Batch):
        retain = role_tokens(batch, RETAIN)
        forget_nll = masked_total(-token_logprobs, role_tokens(batch, FORGET))
        retain_nll = masked_total(-token_logprobs, retain)
        kl = masked_total(divergence, retain)
        if kl_reduction == "per_token":
            reduced = mean(kl)
        else:
            reduced = mean((kl[0], jnp.sum(role_answers(batch, RETAIN))))
        value = -mean(forget_nll) + retain_weight * mean(retain_nll) + kl_weight * reduced
        return value, {"forget_nll": forget_nll, "retain_nll": retain_nll, "kl": kl}

    return Objective(loss, rows=order, roles=ROLES, primary=FORGET)
