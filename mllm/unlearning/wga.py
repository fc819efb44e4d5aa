"""Weighted gradient ascent (Wang et al. 2025, arXiv:2502.19301)."""

from typing import Literal

import jax.numpy as jnp

from mllm.training.objective import Objective
from mllm.unlearning.reweighted import reweighted


def wga(
    beta: float = 1.0,
    form: Literal["paper", "released"] = "paper",
    keep: Literal["none", "nll", "kl"] = "none",
    retain_weight: float = 1.0,
) -> Objective:
    """Ascend on each token to forget by as much as it is likely.

    Per token ``p ** beta * log p``, where no gradient flows through the weight: a token that is
    forgotten is left alone. With ``beta`` 0 every weight is 1; then "released" is the objective
    "ga". See ``reweighted`` for the forms.

    Args:
      beta: >= 0. form: of ``reweighted``. keep, retain_weight: of ``with_retain``.

    Raises:
      ValueError: ``beta`` is negative, or of ``reweighted``.
    """
    if beta < 0:
        raise ValueError(f"wga needs beta >= 0, got {beta}")
    return reweighted("wga", lambda logp: jnp.exp(beta * logp), form, keep, retain_weight)
