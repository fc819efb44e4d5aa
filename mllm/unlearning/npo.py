"""Negative preference optimisation (Zhang et al. 2024, arXiv:2404.05868, eq. 4)."""

from typing import Literal

import jax
import jax.numpy as jnp

from mllm.training.objective import Batch, Objective
from mllm.training.reductions import Total, masked_total, mean
from mllm.unlearning.retain import with_retain
from mllm.unlearning.roles import FORGET, answer_sums, role_tokens


def npo(
    beta: float = 0.1,
    form: Literal["sequence", "batch_mean"] = "sequence",
    retain_weight: float = 0.0,
    keep: Literal["none", "nll", "kl"] = "nll",
) -> Objective:
    """Push the answers to forget below a reference model, and stop pushing once they are there.

    "sequence" is the paper: per answer ``-(2 / beta) * log sigmoid(-beta * (logp - logp_ref))``
    with log-probabilities summed over the answer, averaged over answers; the reference is the
    model that training starts from. The factor 2 / beta makes the gradient that of gradient ascent
    on the answers as ``beta`` goes to 0 (section 3.2 of the paper).

    "batch_mean" is the published code of MLLMU-Bench: ``-(2 / beta) * log sigmoid(beta * (CE -
    CE_ref))`` with CE the mean over all answer tokens of the batch, and a retain-tuned model as
    reference. There the factor makes the limit gradient ascent on the token mean.

    Metrics: ``forget_margin``, the mean over answers of ``logp - logp_ref``, and those of
    ``with_retain``.

    Args:
      beta: inverse temperature, > 0. The paper uses 0.1; the published code of MLLMU-Bench 0.4.
      form: see above.
      retain_weight, keep: of ``with_retain``. With weight 0 no retain row is asked for.

    Raises:
      ValueError: ``beta`` is not positive, ``form`` is unknown, or of ``with_retain``.
    """
    if beta <= 0:
        raise ValueError(f"npo needs beta > 0, got {beta}; beta -> 0 is the objective 'ga'")
    if form not in ("sequence", "batch_mean"):
        raise ValueError(f"npo: form is {form!r}, expected 'sequence' or 'batch_mean'")

    def loss(token_logprobs: jax.Array, batch: Batch):
        pushed, forget_margin = pushed_below(token_logprobs, batch, beta)
        value = mean(pushed)
        if form == "batch_mean":
            in_answers = role_tokens(batch, FORGET) * (batch["segments"] > 0)
            per_token = mean((forget_margin[0], jnp.sum(in_answers)))
            # without a forget row the constant (2 / beta) log 2 would be reported as a loss
            there = forget_margin[1] > 0
            value = jnp.where(there, -2 / beta * jax.nn.log_sigmoid(-beta * per_token), 0)
        return value, {"forget_margin": forget_margin}

    reference = "parent" if form == "sequence" else "retain_only"
    return with_retain(loss, "npo", keep, retain_weight, reference=reference)


def pushed_below(token_logprobs: jax.Array, batch: Batch, beta: float) -> tuple[Total, Total]:
    """Return (sum, count) over the answers to forget of ``-(2 / beta) * log sigmoid(-beta *
    margin)``, and of the margin ``logp - logp_ref`` itself.
    """
    logprobs, _, present = answer_sums(token_logprobs, batch, FORGET)
    margin = logprobs - batch["reference_logprobs"]
    pushed = -2 / beta * jax.nn.log_sigmoid(-beta * margin)
    return masked_total(pushed, present), masked_total(margin, present)
