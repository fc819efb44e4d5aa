"""Sums over the tokens and the answers of packed rows.

B rows, T tokens, S answers of a row. The batch is described in ``objective.py``.
"""

import jax
import jax.numpy as jnp

from mllm.unlearning.objective import Batch

Total = tuple[jax.Array, jax.Array]


def role_rows(batch: Batch, *, forget: bool) -> jax.Array:
    """float32[B]: 1 for the real rows of one role, 0 for the other role and for padding rows."""
    return (batch["forget"] if forget else 1 - batch["forget"]) * batch["weight"]


def role_tokens(batch: Batch, *, forget: bool) -> jax.Array:
    """float32[B, T]: 1 on the supervised tokens of one role."""
    return batch["loss_mask"] * role_rows(batch, forget=forget)[:, None]


def role_answers(batch: Batch, *, forget: bool) -> jax.Array:
    """float32[B, S]: 1 for the answers of one role that are there."""
    return (batch["answers"] >= 0) * role_rows(batch, forget=forget)[:, None]


def masked_total(values: jax.Array, mask: jax.Array) -> Total:
    """(sum, count) of the values where ``mask`` is 1; whatever stands elsewhere is not read."""
    return jnp.sum(jnp.where(mask > 0, values, 0)), jnp.sum(mask)


def mean(total: Total) -> jax.Array:
    """The mean of a (sum, count) pair, and 0 for an empty one: an absent role adds nothing."""
    return total[0] / jnp.maximum(total[1], 1)
