"""What many questions share, image and template, is computed once; questions branch from its keys
and values.

P prefixes, R branches, S prefix slots, T new tokens.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mllm.models.decoder import Cache
from mllm.ops.attention import Structure


class Prefix(NamedTuple):
    """Attributes:
    cache: keys and values float[L, P, S, K, C].
    segments: i32[P, S], 0 for a token, -1 for padding.
    lengths: i32[P], tokens so far: the position of the next one.
    """

    cache: Cache
    segments: jax.Array
    lengths: jax.Array


def empty_cache(config, rows: int, slots: int) -> Cache:
    """A cache of zeros, float[L, rows, slots, K, C] in the dtype of activations."""
    c = config.decoder
    shape = (c.layers, rows, slots, c.kv_heads, c.head_dim)
    return {name: jnp.zeros(shape, config.dtype) for name in ("k", "v")}


@partial(jax.jit, static_argnames=("model", "config"))
def prefill(model, config, variables: dict, batch: dict) -> tuple[Prefix, jax.Array]:
    """Run whole prompts.

    Args:
      batch: tokens, positions, segments i32[P, S] (segments -1 on padding, at the right), and
        images with image_slots.

    Returns:
      (the prefix, the final states float[P, S, D]).
    """
    rows, slots = batch["tokens"].shape
    states, cache = model.hidden(config, variables, batch, cache=empty_cache(config, rows, slots))
    lengths = jnp.sum(batch["segments"] >= 0, axis=1, dtype=jnp.int32)
    return Prefix(cache, batch["segments"], lengths), states


def branch(prefix: Prefix, groups: jax.Array) -> Prefix:
    """One row a question: row r continues prefix ``groups[r]``, i32[R]."""
    cache = {name: jnp.take(array, groups, axis=1) for name, array in prefix.cache.items()}
    return Prefix(cache, prefix.segments[groups], prefix.lengths[groups])


def extended(prefix: Prefix, room: int) -> Cache:
    """The prefix cache with ``room`` empty slots behind it."""
    pad = [(0, 0), (0, 0), (0, room), (0, 0), (0, 0)]
    return {name: jnp.pad(array, pad) for name, array in prefix.cache.items()}


def continuation(
    prefix: Prefix, positions: jax.Array, segments: jax.Array, first: jax.Array | int, count: int
) -> Structure:
    """Structure of ``count`` new tokens from slot ``first`` on, over prefix slots and all slots
    behind it.

    Args:
      positions, segments: i32[R, N] of all slots behind the prefix; segment -1 where nothing may be
        seen.
      first: index among those slots of the first query.
    """
    before = jnp.cumsum(prefix.segments >= 0, axis=1, dtype=jnp.int32) - 1
    keys = [
        jnp.concatenate(parts, axis=1)
        for parts in ((before, positions), (prefix.segments, segments))
    ]
    queries = [
        jax.lax.dynamic_slice_in_dim(array, first, count, axis=1) for array in (positions, segments)
    ]
    return Structure(*queries, *keys)
