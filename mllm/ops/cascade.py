"""Attention over a tree of keys: many rows read the keys and values of a shared prefix once, in
place, instead of one copy per row (Juravsky et al. 2024, "Hydragen", arXiv:2402.05099, section 3).

R rows, T queries per row, N nodes per level, S keys per node, H heads, K key-value heads,
G = H / K, D head width.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mllm.ops.attention import Structure, flash_part


class Keys(NamedTuple):
    """The keys and values of one level of the tree, or those of the rows themselves.

    Attributes:
      k, v: float[N, S, K, D]; N divides R, and row r reads node r // (R / N).
      positions, segments: i32[N, S], as in ``Structure``.
      k_scale, v_scale: float32[N, S, K], by which 8-bit ``k`` and ``v`` are multiplied
        (``mllm.ops.kv``), or None.
    """

    k: jax.Array
    v: jax.Array
    positions: jax.Array
    segments: jax.Array
    k_scale: jax.Array | None = None
    v_scale: jax.Array | None = None


def cascade(
    q: jax.Array,
    positions: jax.Array,
    segments: jax.Array,
    levels: Sequence[Keys],
    *,
    window: int | None = None,
) -> jax.Array:
    """Compute softmax attention of each row over the keys of all its nodes, as in one long row.

    The rows of a node are the queries of one batched product, which reads the node's keys once; the
    softmaxes of the levels are combined through their maxima and sums. Where a kernel is declared
    and rows ask several queries, a long level takes the flash kernel, and its scores are not kept.

    Args:
      q: float[R, T, H, D]; positions, segments: i32[R, T] of the queries.
      window: see ``Structure.mask``.

    Returns:
      float[R, T, H, D] in the dtype of ``q``; scores and sums are float32.
    """
    rows, tokens, heads, width = q.shape
    parts = []
    for keys in levels:
        if (part := _by_kernel(q, positions, segments, keys, window)) is not None:
            parts.append(part)
            continue
        nodes, _, groups, _ = keys.k.shape
        # Where levels have equally many nodes, XLA would merge their products with the same queries
        # on a GPU, and for that copy all their keys into one array.
        asked, _ = jax.lax.optimization_barrier((q, keys.positions))
        asked = asked.reshape(nodes, -1, groups, heads // groups, width)
        k, v = keys.k, keys.v
        if keys.k_scale is not None:  # 8-bit numbers are exact in every dtype of queries
            k, v = k.astype(q.dtype), v.astype(q.dtype)
        scores = jnp.einsum("ntkgd,nskd->nkgts", asked, k, preferred_element_type=jnp.float32)
        if keys.k_scale is not None:
            scores = scores * _by_key(keys.k_scale)
        queries = positions.reshape(nodes, -1), segments.reshape(nodes, -1)
        seen = Structure(*queries, keys.positions, keys.segments).mask(window)[:, None, None]
        scores = jnp.where(seen, scores * width**-0.5, jnp.finfo(jnp.float32).min)
        most = jnp.max(scores, axis=-1)
        weights = jnp.exp(scores - most[..., None])
        total = jnp.sum(weights, axis=-1)
        if keys.v_scale is not None:
            weights = weights * _by_key(keys.v_scale)
        found = jnp.einsum(
            "nkgts,nskd->ntkgd",
            weights.astype(v.dtype),
            v,
            preferred_element_type=jnp.float32,
        )
        most, total = (jnp.moveaxis(x, 3, 1).reshape(rows, tokens, heads, 1) for x in (most, total))
        parts.append((most, total, found.reshape(q.shape)))
    top = jnp.max(jnp.stack([most for most, _, _ in parts]), axis=0)
    scales = [jnp.exp(most - top) for most, _, _ in parts]
    total = sum(scale * total for scale, (_, total, _) in zip(scales, parts, strict=True))
    found = sum(scale * found for scale, (_, _, found) in zip(scales, parts, strict=True))
    return (found / total).astype(q.dtype)


def _by_kernel(q, positions, segments, keys: Keys, window):
    """Return what a level adds, (maxima, sums, unnormalised result), or None without a kernel."""
    rows, tokens, heads, width = q.shape
    if tokens == 1:  # a step of decoding, whose blocks of queries would be nearly empty
        return None
    nodes = keys.k.shape[0]
    queries = positions.reshape(nodes, -1), segments.reshape(nodes, -1)
    structure = Structure(*queries, keys.positions, keys.segments)
    found = flash_part(q.reshape(nodes, -1, heads, width), *keys[:2], structure, window=window)
    if found is None:
        return None
    out, lse = found
    most = jnp.maximum(lse, jnp.finfo(jnp.float32).min).reshape(rows, tokens, heads, 1)
    return most, jnp.ones_like(most), out.astype(jnp.float32).reshape(q.shape)


def _by_key(scale: jax.Array) -> jax.Array:
    """Return [N, S, K] as [N, K, 1, 1, S], which multiplies scores."""
    return jnp.moveaxis(scale, 1, 2)[:, :, None, None]
