"""Divergence from the uniform distribution (Yuan et al. 2024, ME, arXiv:2410.08109)."""

from typing import Literal

import jax
import jax.numpy as jnp

from mllm.training.objective import Batch, Objective
from mllm.training.reductions import mean
from mllm.unlearning.retain import with_retain
from mllm.unlearning.roles import FORGET, total_of_means


def kl_uniform(
    direction: Literal["to_uniform", "from_uniform"] = "to_uniform",
    keep: Literal["none", "nll", "kl"] = "none",
    retain_weight: float = 1.0,
) -> Objective:
    """Make the model guess: each next token of the answers to forget is to be as likely as any.

    "to_uniform", as in the paper, is KL(model || uniform) = log V - entropy, which is at most
    log V. "from_uniform" is KL(uniform || model), which has no bound. Both are 0 for a model that
    guesses. The loss is the mean over an answer's tokens, averaged over answers. Metrics:
    ``uniform_kl``, the loss, and those of ``with_retain``.

    Args:
      direction: see above. keep, retain_weight: of ``with_retain``.

    Raises:
      ValueError: ``direction`` is unknown, or of ``with_retain``.
    """
    if direction not in ("to_uniform", "from_uniform"):
        known = "'to_uniform' or 'from_uniform'"
        raise ValueError(f"kl_uniform: direction is {direction!r}, expected {known}")

    def divergence(logits: jax.Array):
        logprobs, size = jax.nn.log_softmax(logits), jnp.log(logits.shape[-1])
        if direction == "to_uniform":
            return size + jnp.sum(jnp.exp(logprobs) * logprobs, axis=-1)
        return -size - jnp.mean(logprobs, axis=-1)

    def loss(uniform_kl: jax.Array, batch: Batch):
        total = total_of_means(uniform_kl, batch, FORGET)
        return mean(total), {"uniform_kl": total}

    options = {"values": {"uniform_kl": divergence}}
    return with_retain(loss, "kl_uniform", keep, retain_weight, **options)
