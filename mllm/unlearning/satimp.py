"""Saturation and importance (Yang et al. 2025, arXiv:2505.11953)."""

from typing import Literal

import jax.numpy as jnp

from mllm.training.objective import Objective
from mllm.unlearning.reweighted import reweighted


def satimp(
    beta1: float = 5.0,
    beta2: float = 1.0,
    form: Literal["paper", "released"] = "paper",
    keep: Literal["none", "nll", "kl"] = "none",
    retain_weight: float = 1.0,
) -> Objective:
    """Ascend on each token to forget, least on those that are forgotten or certain.

    Per token ``p ** beta1 * (1 - p) ** beta2 * log p``, where no gradient flows through the weight.
    With ``beta2`` 0 it is "wga". See ``reweighted`` for the forms.

    Args:
      beta1, beta2: >= 0. form: of ``reweighted``. keep, retain_weight: of ``with_retain``.

    Raises:
      ValueError: an exponent is negative, or of ``reweighted``.
    """
    for name, exponent in (("beta1", beta1), ("beta2", beta2)):
        if exponent < 0:
            raise ValueError(f"satimp needs {name} >= 0, got {exponent}")

    def weigh(logprobs):
        return jnp.exp(beta1 * logprobs) * jnp.maximum(-jnp.expm1(logprobs), 0) ** beta2

    return reweighted("satimp", weigh, form, keep, retain_weight)
