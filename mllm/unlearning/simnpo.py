"""Simple negative preference optimisation (Fan et al. 2024, arXiv:2410.07163)."""

from typing import Literal

import jax
import jax.numpy as jnp

from mllm.training.objective import Batch, Objective
from mllm.training.reductions import masked_total, mean
from mllm.unlearning.retain import with_retain
from mllm.unlearning.roles import FORGET, answer_sums


def simnpo(
    beta: float = 4.5,
    margin: float = 0.0,
    form: Literal["paper", "released"] = "paper",
    keep: Literal["none", "nll", "kl"] = "none",
    retain_weight: float = 1.0,
) -> Objective:
    """Push down the mean log-probability of each answer to forget, without a reference model.

    "paper": per answer of n tokens ``-(2 / beta) * log sigmoid(-(beta / n) * logp - margin)``,
    averaged over answers. "released": the published code has the margin within the bracket,
    ``-(2 / beta) * log sigmoid(beta * (-logp / n - margin))``. They agree where the margin is 0.

    As ``beta`` goes to 0 the gradient is that of gradient ascent on the mean over answers of
    ``-logp / n``. Metrics: of ``with_retain``.

    Args:
      beta: inverse temperature, > 0.
      margin: the negative log-probability a token that an answer is to exceed, >= 0; in "paper"
        times beta.
      keep, retain_weight: of ``with_retain``.

    Raises:
      ValueError: ``beta`` is not positive, ``margin`` is negative, ``form`` is unknown, or of
        ``with_retain``.
    """
    if beta <= 0:
        raise ValueError(f"simnpo needs beta > 0, got {beta}")
    if margin < 0:
        raise ValueError(f"simnpo needs margin >= 0, got {margin}")
    if form not in ("paper", "released"):
        raise ValueError(f"simnpo: form is {form!r}, expected 'paper' or 'released'")
    offset = margin if form == "paper" else beta * margin

    def loss(token_logprobs: jax.Array, batch: Batch):
        logprobs, tokens, present = answer_sums(token_logprobs, batch, FORGET)
        inner = -beta * logprobs / jnp.maximum(tokens, 1) - offset
        return mean(masked_total(-2 / beta * jax.nn.log_sigmoid(inner), present)), {}

    return with_retain(loss, "simnpo", keep, retain_weight)
