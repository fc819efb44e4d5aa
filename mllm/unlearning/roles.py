"""The two roles of unlearning: what each is called, and its tokens and answers in packed rows.

B rows, T tokens, S answers of a row; ``mllm.training.objective`` describes the batch.
"""

import jax

from mllm.training.objective import Batch

FORGET, RETAIN = "forget", "retain"
ROLES = {FORGET: 1.0, RETAIN: 0.0}  # the numbers in ``batch["role"]``


def role_rows(batch: Batch, role: str) -> jax.Array:
    """Return float32[B]: 1 for the real rows of one role, 0 for other rows and padding rows."""
    forget = batch["role"]
    return (forget if role == FORGET else 1 - forget) * batch["weight"]


def role_tokens(batch: Batch, role: str) -> jax.Array:
    """Return float32[B, T]: 1 on the supervised tokens of one role."""
    return batch["loss_mask"] * role_rows(batch, role)[:, None]


def role_answers(batch: Batch, role: str) -> jax.Array:
    """Return float32[B, S]: 1 for the answers of one role that are there."""
    return (batch["answers"] >= 0) * role_rows(batch, role)[:, None]
