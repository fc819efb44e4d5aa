"""Which blocks of keys a block of queries sees, from the extreme positions and segments of each.

B rows, T queries, S keys, I blocks of queries, J blocks of keys.
"""

import jax
import jax.numpy as jnp

LEAST, MOST = jnp.iinfo(jnp.int32).min, jnp.iinfo(jnp.int32).max


def reach(
    queries: jax.Array, keys: jax.Array, rows: int, columns: int, window: int | None = None
) -> tuple[jax.Array, jax.Array]:
    """Compare blocks of ``rows`` queries with blocks of ``columns`` keys.

    The mask is that of ``mllm.ops.attention.Structure``.

    Args:
      queries: i32[B, 2, T], positions and segments; T is a multiple of ``rows``.
      keys: i32[B, 2, S], the same; S is a multiple of ``columns``.
      window: how many positions a query sees, its own included; None: all.

    Returns:
      (some, whole), both bool[B, I, J]. A query of block i may see a key of block j only if
      ``some`` is true. If ``whole`` is true, every query of block i that is no padding sees every
      key of block j.
    """
    batch = queries.shape[0]
    place, segment = (queries[:, n].reshape(batch, -1, 1, rows) for n in (0, 1))
    first, last = _extremes(place, segment >= 0)
    low, high = _extremes(segment, segment >= 0)
    place, segment = (keys[:, n].reshape(batch, 1, -1, columns) for n in (0, 1))
    earliest, latest = _extremes(place, segment >= 0)
    lowest, highest = _extremes(segment, segment > 0)

    prefix = jnp.any(segment == 0, axis=-1)
    some = (last >= earliest) & (prefix | ((lowest <= high) & (highest >= low)))
    same = (lowest == low) & (highest == high) & (low == high)
    whole = (first >= latest) & jnp.all(segment >= 0, axis=-1) & ((highest < 0) | same)
    if window is not None:
        # Differences of padding blocks overflow; nothing else is true of such blocks.
        some = some & (first - latest < window)
        whole = whole & (last - earliest < window)
    return some, whole & some


def _extremes(values: jax.Array, real: jax.Array) -> tuple[jax.Array, jax.Array]:
    low = jnp.min(jnp.where(real, values, MOST), axis=-1)
    return low, jnp.max(jnp.where(real, values, LEAST), axis=-1)


def schedule(some: jax.Array, whole: jax.Array) -> tuple[jax.Array, jax.Array]:
    """List the blocks to visit on the last axis: first the whole ones, then the others seen.

    Args:
      some, whole: bool[B, I, J], from ``reach``.

    Returns:
      (order i32[B, I, J]; ends i32[B, I, 2], how many blocks are whole and how many are seen).
    """
    order = jnp.argsort(2 - some.astype(jnp.int32) - whole, axis=-1, stable=True)
    ends = jnp.stack([jnp.sum(x, axis=-1, dtype=jnp.int32) for x in (whole, some)], axis=-1)
    return order.astype(jnp.int32), ends
