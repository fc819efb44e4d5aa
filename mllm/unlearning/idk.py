"""Refusals instead of the answers to forget (Maini et al. 2024, TOFU, arXiv:2401.06121)."""

from typing import Literal

import jax

from mllm.training.objective import Batch, Objective
from mllm.training.reductions import masked_total, mean
from mllm.unlearning.retain import with_retain
from mllm.unlearning.roles import FORGET, role_tokens


def idk(keep: Literal["none", "nll", "kl"] = "nll", retain_weight: float = 1.0) -> Objective:
    """Teach a refusal as the answer to each question to forget.

    ``CE_refusal + retain_weight * CE_retain``, the preference optimisation of TOFU; without a
    retain term it is what others call IDK-NLL. Metrics: of ``with_retain``; ``forget_nll`` is that
    of the refusals.

    Args:
      keep, retain_weight: of ``with_retain``.

    Raises:
      ValueError: of ``with_retain``.
    """

    def loss(token_logprobs: jax.Array, batch: Batch):
        return mean(masked_total(-token_logprobs, role_tokens(batch, FORGET))), {}

    return with_retain(loss, "idk", keep, retain_weight, refuses=True)
