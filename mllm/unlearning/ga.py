"""Gradient ascent, the first baseline of MLLMU-Bench (Liu et al. 2024, arXiv:2410.22108)."""

import jax

from mllm.training.objective import Batch, Objective
from mllm.training.reductions import masked_total, mean
from mllm.unlearning.roles import FORGET, ROLES, role_tokens


def ga() -> Objective:
    """Raise the negative log-likelihood of the answers to forget, without a bound.

    ``-CE_forget``, where CE is the mean negative log-likelihood over all supervised tokens of that
    role in the batch. Metric: ``forget_nll``.
    """

    def loss(token_logprobs: jax.Array, batch: Batch):
        forget_nll = masked_total(-token_logprobs, role_tokens(batch, FORGET))
        return -mean(forget_nll), {"forget_nll": forget_nll}

    return Objective(loss, rows="primary", roles=ROLES, primary=FORGET)
