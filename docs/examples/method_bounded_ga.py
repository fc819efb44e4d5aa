"""Gradient ascent up to a bound."""

import jax
import jax.numpy as jnp

from mllm.training.objective import Batch, Objective
from mllm.training.reductions import masked_total, mean
from mllm.unlearning.roles import FORGET, ROLES, role_tokens


def bounded_ga(bound: float = 4.0) -> Objective:
    """Raise the negative log-likelihood of the answers to forget until it reaches ``bound``.

    The loss is ``max(0, bound - CE_forget)``, with CE in nats per token. Metric: ``forget_nll``.

    Raises:
      ValueError: ``bound`` is not positive.
    """
    if bound <= 0:
        raise ValueError(f"bounded_ga needs bound > 0, got {bound}")

    def loss(token_logprobs: jax.Array, batch: Batch):
        forget_nll = masked_total(-token_logprobs, role_tokens(batch, FORGET))
        present = forget_nll[1] > 0  # a batch without forget rows has no loss
        value = jnp.where(present, jnp.maximum(0.0, bound - mean(forget_nll)), 0.0)
        return value, {"forget_nll": forget_nll}

    return Objective(loss, rows="primary", roles=ROLES, primary=FORGET)
