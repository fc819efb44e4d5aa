"""Direct preference for refusals (Rafailov et al. 2023, arXiv:2305.18290, eq. 7)."""

from typing import Literal

import jax
import jax.numpy as jnp

from mllm.training.objective import Batch, Objective
from mllm.training.reductions import masked_total, mean
from mllm.unlearning.retain import with_retain
from mllm.unlearning.roles import FORGET, PAIRED, REFUSAL, answer_sums


def dpo(
    beta: float = 0.1,
    form: Literal["paper", "released"] = "paper",
    keep: Literal["none", "nll", "kl"] = "none",
    retain_weight: float = 1.0,
) -> Objective:
    """Prefer a refusal to the answer to forget, as seen from the starting model.

    "paper": per question ``-log sigmoid(beta * (margin_refusal - margin_answer))``, averaged, where
    a margin is ``logp - logp_ref`` summed over the tokens. "released" is that times ``2 / beta``,
    as the code of the frameworks has it. Metrics: ``forget_margin`` and ``refusal_margin``, means
    of the margins, and those of ``with_retain``.

    Args:
      beta: inverse temperature, > 0. form: see above.
      keep, retain_weight: of ``with_retain``.

    Raises:
      ValueError: ``beta`` is not positive, ``form`` is unknown, or of ``with_retain``.
    """
    if beta <= 0:
        raise ValueError(f"dpo needs beta > 0, got {beta}")
    if form not in ("paper", "released"):
        raise ValueError(f"dpo: form is {form!r}, expected 'paper' or 'released'")
    scale = 1.0 if form == "paper" else 2 / beta

    def loss(token_logprobs: jax.Array, batch: Batch):
        def margins(role: str) -> tuple[jax.Array, jax.Array]:
            logprobs, _, present = answer_sums(token_logprobs, batch, role)
            here = jnp.where(present > 0, logprobs - batch["reference_logprobs"], 0)
            return here.reshape(-1), present.reshape(-1)

        (lost, asked), (won, refused) = margins(FORGET), margins(REFUSAL)
        same = batch["twins"].reshape(-1, 1) == batch["answers"].reshape(1, -1)
        pairs = same * asked[:, None] * refused[None, :]
        preferred = jax.nn.log_sigmoid(beta * (won[None, :] - lost[:, None]))
        metrics = {
            "forget_margin": masked_total(lost, asked),
            "refusal_margin": masked_total(won, refused),
        }
        return mean(masked_total(-scale * preferred, pairs)), metrics

    fields = {"reference": "parent", "roles": PAIRED, "twin": REFUSAL}
    return with_retain(loss, "dpo", keep, retain_weight, **fields)
