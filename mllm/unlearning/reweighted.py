"""Gradient ascent that weighs each token by how likely it still is."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from mllm.training.objective import Batch, Objective
from mllm.training.reductions import masked_total, mean
from mllm.unlearning.retain import with_retain
from mllm.unlearning.roles import FORGET, answer_sums, role_tokens

Weigh = Callable[[jax.Array], jax.Array]


def reweighted(name: str, weigh: Weigh, form: str, keep: str, retain_weight: float) -> Objective:
    """Return the objective that lowers ``weigh(log p) * log p`` of the tokens to forget.

    No gradient flows through the weights. Metrics: ``forget_weight``, the mean weight of a token,
    and those of ``with_retain``.

    Args:
      form: "paper" sums over the tokens of an answer and averages over answers; "released" is the
        mean over all supervised tokens of the batch.

    Raises:
      ValueError: ``form`` is unknown, or of ``with_retain``.
    """
    if form not in ("paper", "released"):
        raise ValueError(f"{name}: form is {form!r}, expected 'paper' or 'released'")

    def loss(token_logprobs: jax.Array, batch: Batch):
        tokens = role_tokens(batch, FORGET)
        logprobs = jnp.where(tokens > 0, token_logprobs, 0)
        weights = jax.lax.stop_gradient(weigh(logprobs))
        if form == "paper":
            sums, _, present = answer_sums(weights * logprobs, batch, FORGET)
            value = mean(masked_total(sums, present))
        else:
            value = mean(masked_total(weights * logprobs, tokens))
        return value, {"forget_weight": masked_total(weights, tokens)}

    return with_retain(loss, name, keep, retain_weight)
