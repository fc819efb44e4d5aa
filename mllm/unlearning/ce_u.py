"""Cross-entropy unlearning (Yang 2025, CE-U, arXiv:2503.01224)."""

from typing import Literal

import jax
import jax.numpy as jnp

from mllm.ops.segments import segment_sums
from mllm.training.objective import Batch, Objective
from mllm.training.reductions import masked_total, mean
from mllm.unlearning.retain import with_retain
from mllm.unlearning.roles import FORGET, role_tokens


def ce_u(
    skip: int = 0,
    keep: Literal["none", "nll", "kl"] = "none",
    retain_weight: float = 1.0,
) -> Objective:
    """Teach the model its own distribution without the true token.

    The mean over the tokens to forget of the cross-entropy between ``softmax(z)`` with ``z_y`` at
    minus infinity, through which no gradient flows, and the model. The gradient of the true
    token's logit is its probability: it vanishes once the token is forgotten. Metrics:
    ``others_nll``, the loss, and those of ``with_retain``.

    Args:
      skip: how many first tokens of each answer are left out, >= 0. The published code leaves out
        1, so that the model is not taught which word begins an answer.
      keep, retain_weight: of ``with_retain``.

    Raises:
      ValueError: ``skip`` is negative, or of ``with_retain``.
    """
    if skip < 0:
        raise ValueError(f"ce_u needs skip >= 0, got {skip}")

    def others(logits: jax.Array, targets: jax.Array):
        true = jax.nn.one_hot(targets, logits.shape[-1], dtype=bool)
        wanted = jax.nn.softmax(jax.lax.stop_gradient(jnp.where(true, -jnp.inf, logits)))
        return -jnp.sum(wanted * jax.nn.log_softmax(logits), axis=-1)

    def loss(others_nll: jax.Array, batch: Batch):
        tokens = role_tokens(batch, FORGET)
        total = masked_total(others_nll, tokens * (number_in_answer(batch) >= skip))
        return mean(total), {"others_nll": total}

    return with_retain(loss, "ce_u", keep, retain_weight, values={"others_nll": others})


def number_in_answer(batch: Batch) -> jax.Array:
    """Return float32[B, T], the number of each supervised token within its answer, from 0."""
    taught, segments = batch["loss_mask"], batch["segments"]
    lengths = segment_sums(taught, segments, batch["answers"].shape[1])
    before = jnp.cumsum(lengths, axis=1) - lengths
    own = jnp.take_along_axis(before, jnp.maximum(segments - 1, 0), axis=1)
    return jnp.cumsum(taught, axis=1) - taught - own
