"""Self-distillation from adjusted logits (Dong et al. 2024, UNDIAL, arXiv:2402.10052)."""

from typing import Literal

import jax
import jax.numpy as jnp

from mllm.training.objective import Batch, Objective
from mllm.training.reductions import masked_total, mean
from mllm.unlearning.retain import with_retain
from mllm.unlearning.roles import FORGET, role_tokens


def undial(
    beta: float = 10.0,
    keep: Literal["none", "nll", "kl"] = "none",
    retain_weight: float = 1.0,
) -> Objective:
    """Teach the model its own starting distribution with the logit of the true token lowered.

    The mean over the tokens to forget of the cross-entropy between ``softmax(z_ref - beta * e_y)``
    and the model, where ``z_ref`` are the logits of the model that training starts from and ``e_y``
    is 1 at the true token. With ``beta`` 0 the starting model is a minimum. Metrics:
    ``adjusted_nll``, the loss, and those of ``with_retain``.

    Args:
      beta: how far the logit is lowered, >= 0. keep, retain_weight: of ``with_retain``.

    Raises:
      ValueError: ``beta`` is negative, or of ``with_retain``.
    """
    if beta < 0:
        raise ValueError(f"undial needs beta >= 0, got {beta}")

    def adjusted(logits: jax.Array, reference_logits: jax.Array, targets: jax.Array):
        true = jax.nn.one_hot(targets, logits.shape[-1])
        wanted = jax.nn.softmax(reference_logits - beta * true)
        return -jnp.sum(wanted * jax.nn.log_softmax(logits), axis=-1)

    def loss(adjusted_nll: jax.Array, batch: Batch):
        total = masked_total(adjusted_nll, role_tokens(batch, FORGET))
        return mean(total), {"adjusted_nll": total}

    return with_retain(loss, "undial", keep, retain_weight, values={"adjusted_nll": adjusted})
