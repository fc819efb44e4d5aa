"""Plain negative log-likelihood, for teaching a model."""

import jax

from mllm.training.objective import Batch, Objective
from mllm.training.reductions import masked_total, mean


def nll() -> Objective:
    """Minimise the negative log-likelihood of every supervised token.

    The mean is over all supervised tokens of the batch together, not per answer; roles are not
    read. Metric: ``nll``.
    """
    return Objective(_loss, rows="all")


def _loss(token_logprobs: jax.Array, batch: Batch):
    total = masked_total(-token_logprobs, batch["loss_mask"] * batch["weight"][:, None])
    return mean(total), {"nll": total}
