"""Away from the teacher where it is to be forgotten (Kurmanji et al. 2023, arXiv:2302.09880)."""

from typing import Literal

import jax

from mllm.training.objective import Batch, Objective
from mllm.training.reductions import masked_total, mean
from mllm.unlearning.roles import FORGET, RETAIN, ROLES, role_tokens


def scrub(
    retain_weight: float = 1.0,
    kl_weight: float = 1.0,
    order: Literal["joint", "sequential"] = "joint",
) -> Objective:
    """Leave the starting model where it is to be forgotten, and stay with it elsewhere.

    ``-KL_forget + kl_weight * KL_retain + retain_weight * CE_retain`` with KL(reference || model),
    means over the supervised tokens of a role; the reference is the model that training starts
    from. There KL_forget is 0 with gradient 0, so the first steps are those of the retain terms.
    Metrics: ``forget_kl``, ``forget_nll``, ``kl`` and ``retain_nll``.

    Args:
      retain_weight: >= 0. kl_weight: >= 0; one of the two is positive.
      order: "joint" sums the terms in every batch, as the loss is written; "sequential" is how the
        paper trains: a whole pass over the forget set, then a whole pass over the retain set.

    Raises:
      ValueError: a weight is negative, both are 0, or ``order`` is unknown.
    """
    if min(retain_weight, kl_weight) < 0 or retain_weight + kl_weight == 0:
        raise ValueError(
            "scrub needs retain_weight and kl_weight >= 0 and one of them > 0, got "
            f"{retain_weight} and {kl_weight}"
        )
    if order not in ("joint", "sequential"):
        raise ValueError(f"scrub: order is {order!r}, expected 'joint' or 'sequential'")

    def loss(token_logprobs: jax.Array, divergence: jax.Array, batch: Batch):
        forget, retain = role_tokens(batch, FORGET), role_tokens(batch, RETAIN)
        metrics = {
            "forget_kl": masked_total(divergence, forget),
            "forget_nll": masked_total(-token_logprobs, forget),
            "kl": masked_total(divergence, retain),
            "retain_nll": masked_total(-token_logprobs, retain),
        }
        kept = kl_weight * mean(metrics["kl"]) + retain_weight * mean(metrics["retain_nll"])
        return kept - mean(metrics["forget_kl"]), metrics

    return Objective(loss, rows=order, roles=ROLES, primary=FORGET)
