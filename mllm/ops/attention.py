"""Attention whose mask is structure: positions and segments, turned into a mask only where the
scores are.

B batch, T queries, S keys, H heads, K key-value heads, G = H / K, D head width.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Structure(NamedTuple):
    """Who attends to whom in a batch of rows that hold a shared prefix and branches behind it.

    A query sees a key when the key does not stand later (``positions``, which go on from the prefix
    in each segment) and belongs to the shared prefix (segment 0) or to the query's own segment.
    Segment -1 marks padding: never seen. For a query that is padding the result is meaningless.

    Attributes:
      query_positions, query_segments: i32[B, T].
      key_positions, key_segments: i32[B, S].
    """

    query_positions: jax.Array
    query_segments: jax.Array
    key_positions: jax.Array
    key_segments: jax.Array

    def mask(self, window: int | None = None) -> jax.Array:
        """bool[B, T, S], true where query t may attend to key s; ``window`` hides keys that stand
        that many positions or more before the query (Mistral 7B, arXiv:2310.06825, section 2).
        """
        keys = self.key_segments[:, None, :]
        ahead = self.query_positions[:, :, None] - self.key_positions[:, None, :]
        same = (keys == 0) | (keys == self.query_segments[:, :, None])
        seen = (ahead >= 0) & (keys >= 0) & same
        return seen if window is None else seen & (ahead < window)


def causal(positions: jax.Array, segments: jax.Array) -> Structure:
    """The structure of whole rows: i32[B, T] positions and segments of their tokens."""
    return Structure(positions, segments, positions, segments)


def every_query_sees(keys: jax.Array, queries: int) -> Structure:
    """The structure without order in which each of ``queries`` sees the keys true in bool[B, S]."""
    zeros = jnp.zeros((keys.shape[0], queries), jnp.int32)
    return Structure(zeros, zeros, jnp.zeros(keys.shape, jnp.int32), jnp.where(keys, 0, -1))


def attention(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    structure: Structure | None = None,
    *,
    window: int | None = None,
) -> jax.Array:
    """Softmax attention with grouped heads; keys and values are never repeated.

    Args:
      q: float[B, T, H, D].
      k, v: float[B, S, K, D], K divides H; query head h reads key-value head h // (H / K).
      structure: who attends to whom; None lets every query see every key.
      window: of ``Structure.mask``.

    Returns:
      float[B, T, H, D] in the dtype of ``q``; scores and softmax are float32.
    """
    batch, queries, heads, width = q.shape
    grouped = q.reshape(batch, queries, k.shape[2], heads // k.shape[2], width)
    scores = jnp.einsum("btkgd,bskd->bkgts", grouped, k, preferred_element_type=jnp.float32)
    scores = scores * width**-0.5
    if structure is not None:
        seen = structure.mask(window)[:, None, None]
        scores = jnp.where(seen, scores, jnp.finfo(jnp.float32).min)
    weights = jax.nn.softmax(scores, axis=-1).astype(v.dtype)
    return jnp.einsum("bkgts,bskd->btkgd", weights, v).reshape(q.shape)
