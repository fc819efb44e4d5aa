"""How much each weight matters to some answers: the squared gradient of their log-probability, the
diagonal of the empirical Fisher information (Kunstner et al. 2019, arXiv:1905.12558, section 2).

R rows, T tokens, S answers of a row.
"""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from mllm.checkpoints.folder import combine
from mllm.ops.attention import kernels_for
from mllm.parallel.kernels import kernels_on
from mllm.parallel.states import keep_rows
from mllm.training.values import packed_logprobs

Batch = dict[str, Any]
Totals = tuple[Any, Any]


def mean_squares(
    model,
    config,
    trainable: dict[str, Any],
    frozen: dict[str, Any],
    batches: Iterable[Batch],
    *,
    mesh: Mesh,
    each: str = "answer",
) -> dict[str, Any]:
    """Return, for each weight that trains, the mean over answers of the squared gradient of an
    answer's log-probability, which is summed over its tokens.

    Of a leaf, only answers count that reach it: what is asked without a picture says nothing of an
    encoder of pictures.

    Args:
      trainable, frozen: as of ``mllm.training.step.make_train_step``.
      batches: packed rows on ``mesh``, each answer once.
      each: "answer", or "batch" for the gradient of a batch's mean log-probability of a token, as
        published code has it; it depends on the size of batches.

    Returns:
      A tree like ``trainable`` of float32; 0 where no answer reaches.
    """
    add = _adds(model, config, mesh, each)
    zeros = jax.tree.map(lambda w: jnp.zeros(w.shape, jnp.float32), trainable)
    totals = zeros, jax.tree.map(lambda _: jnp.zeros(()), trainable)
    for batch in batches:
        totals = add(totals, trainable, frozen, batch)
    return jax.tree.map(lambda total, count: total / jnp.maximum(count, 1), *totals)


def _adds(model, config, mesh: Mesh, each: str) -> Callable[..., Totals]:
    """Return the program that adds a batch to sums of squares and counts."""

    def gradients(trainable: dict, frozen: dict, batch: Batch):
        """Return the pull of token weights float32[R, T] back to the weights."""

        def logprobs(trainable):
            return packed_logprobs(model, config, combine(frozen, trainable), batch)

        _, pull = jax.vjp(logprobs, trainable)
        taught = batch["loss_mask"] * batch["weight"][:, None]
        return taught, lambda weights: pull(weights)[0]

    def added(totals: Totals, gradient: dict) -> Totals:
        squares = jax.tree.map(lambda total, g: total + g**2, totals[0], gradient)
        reached = jax.tree.map(lambda n, g: n + jnp.any(g != 0), totals[1], gradient)
        return squares, reached

    def by_batch(totals: Totals, trainable: dict, frozen: dict, batch: Batch) -> Totals:
        taught, pull = gradients(trainable, frozen, batch)
        return added(totals, pull(taught / jnp.maximum(taught.sum(), 1)))

    def by_answer(totals: Totals, trainable: dict, frozen: dict, batch: Batch) -> Totals:
        def row(totals, one):
            taught, pull = gradients(trainable, frozen, one)

            def answer(totals, number):
                return added(totals, pull(taught * (one["segments"] == number))), None

            numbers = jnp.arange(1, one["answers"].shape[1] + 1)
            return jax.lax.scan(answer, totals, numbers)[0], None

        return jax.lax.scan(row, totals, jax.tree.map(lambda x: x[:, None], batch))[0]

    chosen = {"answer": by_answer, "batch": by_batch}[each]

    def add(*given) -> Totals:
        with keep_rows(mesh), kernels_for(*kernels_on(mesh)):
            return chosen(*given)

    return jax.jit(add, donate_argnums=0)
