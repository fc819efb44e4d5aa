"""Primal-dual unlearning (Entesari et al. 2025, PDU, arXiv:2506.05314)."""

import jax
import jax.numpy as jnp

from mllm.training.objective import Batch, Metrics, Objective
from mllm.training.reductions import masked_total, mean
from mllm.unlearning.roles import FORGET, RETAIN, ROLES, role_tokens


def pdu(
    limit: float = 0.1, multiplier: float = 1.0, pace: float = 1.0, warmup: int = 0
) -> Objective:
    """Flatten the logits of the answers to forget, as far as those to retain stay likely.

    The loss is the Lagrangian ``spread + multiplier * (CE_retain - limit)``, where ``spread`` is
    the mean over the tokens to forget of ``(max_v z - mean_v z) ** 2`` for logits z, and CE_retain
    is a mean over tokens. After each update the multiplier becomes
    ``max(0, multiplier + pace * (CE_retain - limit))``: it grows while too much is lost and falls
    to 0 while less than the limit is.

    A factor of the spread, as frameworks have it, equals ``multiplier`` and ``pace`` divided by it
    up to the scale of the loss. Metrics: ``spread``, ``forget_nll``, ``retain_nll``, and the
    number ``multiplier`` that the update used.

    Args:
      limit: CE_retain that is allowed, in nats a token, >= 0.
      multiplier: its first value, >= 0. pace: > 0; the step of the dual ascent.
      warmup: updates before the multiplier moves, >= 0.

    Raises:
      ValueError: an option is out of range.
    """
    for name, value in (("limit", limit), ("multiplier", multiplier), ("warmup", warmup)):
        if value < 0:
            raise ValueError(f"pdu needs {name} >= 0, got {value}")
    if pace <= 0:
        raise ValueError(f"pdu needs pace > 0, got {pace}")

    def spread_of(logits: jax.Array) -> jax.Array:
        return (jnp.max(logits, axis=-1) - jnp.mean(logits, axis=-1)) ** 2

    def loss(token_logprobs: jax.Array, spread: jax.Array, numbers: dict, batch: Batch):
        forget, retain = role_tokens(batch, FORGET), role_tokens(batch, RETAIN)
        metrics = {
            "spread": masked_total(spread, forget),
            "forget_nll": masked_total(-token_logprobs, forget),
            "retain_nll": masked_total(-token_logprobs, retain),
        }
        excess = mean(metrics["retain_nll"]) - limit
        there = metrics["retain_nll"][1] > 0
        bound = jnp.where(there, numbers["multiplier"] * excess, 0)
        return mean(metrics["spread"]) + bound, metrics

    def renew(numbers: dict, metrics: Metrics, step: jax.Array) -> dict:
        found = metrics["retain_nll"]
        moves = (step >= warmup) & (found[1] > 0)
        moved = jnp.maximum(numbers["multiplier"] + pace * (mean(found) - limit), 0)
        return {"multiplier": jnp.where(moves, moved, numbers["multiplier"])}

    return Objective(
        loss,
        rows="joint",
        roles=ROLES,
        primary=FORGET,
        values={"spread": spread_of},
        numbers={"multiplier": multiplier},
        renew=renew,
    )
