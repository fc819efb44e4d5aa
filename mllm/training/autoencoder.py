"""Teach the vector-quantised autoencoder of a family to draw pictures again from their codes.

B pictures, S pixels of a side, K codes of a picture, C width of a code, V codes of the codebook.
"""

import jax
import jax.numpy as jnp

from mllm.ops import vq
from mllm.registry import lookup
from mllm.training.objective import Batch, Metrics, Objective
from mllm.training.reductions import masked_total, mean

MEMORY = 1000  # batches that the mean picture remembers


def autoencoder(
    *,
    beta: float = 0.25,
    convention: str = "standard",
    code_weight: float = 0.05,
    edge_weight: float = 0.0,
    mean_decay: float = 0.0,
    usage_decay: float = 0.9,
    restart_below: float = 0.2,
    part: str = "codec",
    seed: int = 0,
) -> Objective:
    """Minimise the squared error of the pixels and the distance of vectors to their codes.

    After each update, codes have length 1, codes that are hardly chosen any more move to vectors
    of the batch, and the mean picture takes the batch into account. The loss reads ``outputs`` as
    ``mllm.models.interleaved`` gives them.

    Metrics: ``squared_error`` of pixels in [-1, 1]; ``code_distance``, the squared distance of
    vectors to their codes; ``perplexity`` of the codes of a batch; ``restarted``, codes moved.

    Args:
      beta, convention: of ``mllm.ops.vq.losses``.
      code_weight: weight of the distance of vectors to their codes. With a large one, vectors
        gather around few codes before a picture has been learned.
      edge_weight: weight of the squared error of differences between neighbouring pixels.
      mean_decay: if above 0, codes are the moving means of their vectors with this decay per
        update, instead of being moved by the gradient alone.
      usage_decay: of the moving average of how often codes are chosen.
      restart_below: codes move when that average is below this share of even use.
      part: name of the autoencoder among the model's parameters.
      seed: of the vectors that codes move to.

    Raises:
      ValueError: an unknown convention.
    """
    lookup(vq.CONVENTIONS, convention, "convention of the losses")

    def loss(outputs: dict, batch: Batch) -> tuple[jax.Array, Metrics]:
        weight, error = batch["weight"], outputs["drawn"] - outputs["pixels"]
        squared = masked_total(_each(jnp.square(error)), weight)
        apart = jnp.sum(jnp.square(outputs["vectors"] - outputs["chosen"]), axis=-1)
        coded = vq.losses(outputs["vectors"], outputs["chosen"], beta, convention)
        coded = masked_total(_each(coded * outputs["vectors"].shape[-1]), weight)
        total = mean(squared) + code_weight * mean(coded)
        if edge_weight:
            edges = [_each(jnp.square(jnp.diff(error, axis=axis))) for axis in (1, 2)]
            total = total + edge_weight * mean(masked_total(sum(edges), weight))
        distance = masked_total(_each(apart), weight)
        return total, {"squared_error": squared, "code_distance": distance}

    def refresh(
        trainable: dict, outputs: dict, batch: Batch, step: jax.Array
    ) -> tuple[dict, Metrics]:
        codec, weight = trainable["params"][part], batch["weight"]
        vectors, codes, book = outputs["vectors"], outputs["codes"], vq.unit(codec["codebook"])
        chosen = vq.counts(codes, book.shape[0], weight)
        usage = vq.moving_usage(codec["usage"], chosen, usage_decay)
        if mean_decay:
            book = vq.unit(vq.moving_means(book, vectors, codes, mean_decay, weight))
        dead = usage < restart_below
        key = jax.random.fold_in(jax.random.key(seed), step)
        book = vq.restart(book, dead, vectors, weight, key)
        usage = jnp.where(dead, 1.0, usage)  # as if used evenly, until it is known
        # The mean of all pictures so far, and after a while a moving one.
        center = masked_mean(outputs["pixels"], weight)
        center = codec["mean"] + (center - codec["mean"]) / (jnp.minimum(step, MEMORY - 1) + 1)
        codec = {**codec, "codebook": book, "usage": usage, "mean": center}
        one = jnp.ones(())
        metrics = {
            "perplexity": (vq.perplexity(chosen), one),
            "restarted": (jnp.sum(dead).astype(jnp.float32), one),
        }
        return {**trainable, "params": {**trainable["params"], part: codec}}, metrics

    return Objective(loss, rows="media", refresh=refresh)


def masked_mean(values: jax.Array, weight: jax.Array) -> jax.Array:
    """Return the mean of float[B, ...] over the rows of weight 1, zeros if there are none."""
    total = jnp.tensordot(weight, values, axes=1)
    return total / jnp.maximum(jnp.sum(weight), 1)


def _each(values: jax.Array) -> jax.Array:
    """Return the mean of each row, float[B], of float[B, ...]."""
    return jnp.mean(values, axis=range(1, values.ndim))
