"""Attention whose mask is structure: order and segments, turned into a mask only where the scores
are.

B batch, T queries, S keys, H heads, K key-value heads, G = H / K, D head width.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Structure(NamedTuple):
    """Who attends to whom in a batch of rows that hold a shared prefix and branches behind it.

    A query sees a key when the key is not later (``order``) and belongs to the shared prefix
    (segment 0) or to the query's own segment. Segment -1 marks padding: never seen. For a query
    that is padding the result is meaningless.

    Attributes:
      query_order, query_segments: i32[B, T].
      key_order, key_segments: i32[B, S].
    """

    query_order: jax.Array
    query_segments: jax.Array
    key_order: jax.Array
    key_segments: jax.Array

    def mask(self) -> jax.Array:
        """bool[B, T, S], true where query t may attend to key s."""
        query_order, query_segments = self.query_order[:, :, None], self.query_segments[:, :, None]
        key_order, key_segments = self.key_order[:, None, :], self.key_segments[:, None, :]
        same = (key_segments == 0) | (key_segments == query_segments)
        return (key_order <= query_order) & (key_segments >= 0) & same


def causal(segments: jax.Array) -> Structure:
    """The structure of whole rows, i32[B, T] segments in order of their tokens."""
    order = jnp.broadcast_to(jnp.arange(segments.shape[1], dtype=jnp.int32), segments.shape)
    return Structure(order, segments, order, segments)


def attention(
    q: jax.Array, k: jax.Array, v: jax.Array, structure: Structure | None = None
) -> jax.Array:
    """Softmax attention with grouped heads; keys and values are never repeated.

    Args:
      q: float[B, T, H, D].
      k, v: float[B, S, K, D], K divides H; query head h reads key-value head h // (H / K).
      structure: who attends to whom; None lets every query see every key.

    Returns:
      float[B, T, H, D] in the dtype of ``q``; scores and softmax are float32.
    """
    batch, queries, heads, width = q.shape
    grouped = q.reshape(batch, queries, k.shape[2], heads // k.shape[2], width)
    scores = jnp.einsum("btkgd,bskd->bkgts", grouped, k, preferred_element_type=jnp.float32)
    scores = scores * width**-0.5
    if structure is not None:
        scores = jnp.where(structure.mask()[:, None, None], scores, jnp.finfo(jnp.float32).min)
    weights = jax.nn.softmax(scores, axis=-1).astype(v.dtype)
    return jnp.einsum("bkgts,bskd->btkgd", weights, v).reshape(q.shape)
