"""The roles of unlearning: what each is called, and its tokens and answers in packed rows.

B rows, T tokens, S answers of a row; ``mllm.training.objective`` describes the batch.
"""

import jax
import jax.numpy as jnp

from mllm.ops.segments import segment_sums
from mllm.training.objective import Batch
from mllm.training.reductions import Total, masked_total

FORGET, RETAIN = "forget", "retain"
REFUSAL = "refusal"  # a question to forget, with a refusal as its answer
ROLES = {FORGET: 1.0, RETAIN: 0.0}  # the numbers in ``batch["role"]``
PAIRED = {**ROLES, REFUSAL: 2.0}
ANCHOR = "anchor"  # a question about what a picture shows, with the starting model's own answer
ANCHORED = {FORGET: 1.0, ANCHOR: 3.0}
_NUMBERS = {**PAIRED, **ANCHORED}


def role_rows(batch: Batch, role: str) -> jax.Array:
    """Return float32[B]: 1 for the real rows of one role, 0 for other rows and padding rows."""
    return (batch["role"] == _NUMBERS[role]) * batch["weight"]


def role_tokens(batch: Batch, role: str) -> jax.Array:
    """Return float32[B, T]: 1 on the supervised tokens of one role."""
    return batch["loss_mask"] * role_rows(batch, role)[:, None]


def role_answers(batch: Batch, role: str) -> jax.Array:
    """Return float32[B, S]: 1 for the answers of one role that are there."""
    return (batch["answers"] >= 0) * role_rows(batch, role)[:, None]


def answer_sums(
    values: jax.Array, batch: Batch, role: str
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Sum values of tokens float32[B, T] over each answer of a role.

    Returns:
      float32[B, S] each: the sums, the numbers of supervised tokens, and ``role_answers``. What
      stands elsewhere than on supervised tokens of the role is not read.
    """
    tokens, present = role_tokens(batch, role), role_answers(batch, role)
    segments, most = batch["segments"], present.shape[1]
    sums = segment_sums(jnp.where(tokens > 0, values, 0), segments, most)
    return sums, segment_sums(tokens, segments, most), present


def total_of_means(values: jax.Array, batch: Batch, role: str) -> Total:
    """Return (sum, count) over the answers of a role of the mean value of each one's tokens."""
    sums, tokens, present = answer_sums(values, batch, role)
    return masked_total(sums / jnp.maximum(tokens, 1), present)
