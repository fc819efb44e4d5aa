"""Batched generation in one ``while_loop`` with a static cache.

R rows, Q prompt tokens after the prefix, N new tokens, V vocabulary.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mllm.decoding.prefix import Prefix, read
from mllm.decoding.split import decoding_program
from mllm.models.decoder import Level
from mllm.ops.attention import causal


class SamplingState(NamedTuple):
    """What the loop carries.

    Attributes:
      step: i32[], tokens generated so far.
      last: i32[R], the latest token of each row.
      done: bool[R], rows that have ended; carried, so that a row ends once whatever the others do.
      tokens: i32[R, N], generated so far, an end token after the end.
      cache: keys and values of the generated tokens alone; those of prefix and prompt stay outside
        the loop.
    """

    step: jax.Array
    last: jax.Array
    done: jax.Array
    tokens: jax.Array
    cache: Level


@decoding_program("max_new_tokens", "ends", "barred")
def generate(
    model,
    config,
    variables: dict,
    prefix: Prefix | None,
    prompts: jax.Array,
    lengths: jax.Array,
    temperatures: jax.Array | None = None,
    seeds: jax.Array | None = None,
    *,
    max_new_tokens: int,
    ends: tuple[int, ...],
    barred: tuple[int, ...] = (),
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Continue prompts, greedily or by sampling.

    Args:
      prefix: what the R rows continue evenly.
      prompts: i32[R, Q], padded at the right.
      lengths: i32[R], at least 1.
      temperatures: f32[R], above 0; None decodes greedily.
      seeds: u32[R], of the sampled rows: what a row draws depends on its own seed alone.
      ends: ids of the tokens that end a row, at least one.
      barred: ids of tokens that are never chosen.

    Returns:
      (tokens i32[R, N], at the end the token that ended the row, after it the first of ``ends``;
      ended bool[R], whether a row came to an end; finite bool[R], whether the states at the end of
      its prompt are).
    """
    rows, width = prompts.shape
    slots = jnp.broadcast_to(jnp.arange(width), prompts.shape)
    segments = jnp.where(slots < lengths[:, None], 0, -1)
    batch = {"tokens": prompts, "positions": slots, "segments": segments}
    prefix, states = read(model, config, variables, batch, prefix)
    positions = prefix.lengths[:, None] + jnp.arange(max_new_tokens)
    head = model.head(config, variables).astype(states.dtype)

    def choose(states, step):
        logits = jnp.dot(states, head, preferred_element_type=jnp.float32)
        if barred:
            logits = logits.at[:, jnp.asarray(barred)].set(-jnp.inf)
        if temperatures is None:
            return jnp.argmax(logits, axis=-1).astype(jnp.int32)
        draws = jax.vmap(lambda seed: jax.random.fold_in(jax.random.key(seed), step))(seeds)
        drawn = jax.vmap(jax.random.categorical)(draws, logits / temperatures[:, None])
        return drawn.astype(jnp.int32)

    def at_end(tokens):
        return (tokens[:, None] == jnp.asarray(ends)).any(axis=1)

    last = jnp.take_along_axis(states, (lengths - 1)[:, None, None], axis=1)[:, 0]
    finite = jnp.all(jnp.isfinite(last), axis=-1)
    first = choose(last, 0)
    tokens = jnp.full((rows, max_new_tokens), ends[0], jnp.int32).at[:, 0].set(first)
    cache = _room(prefix.levels[-1], positions)
    state = SamplingState(jnp.int32(1), first, at_end(first), tokens, cache)

    def unfinished(state: SamplingState):
        return (state.step < max_new_tokens) & ~jnp.all(state.done)

    def advance(state: SamplingState) -> SamplingState:
        place = state.step - 1  # of the token that goes in; the one that comes out is at ``step``
        asked = jax.lax.dynamic_slice_in_dim(positions, place, 1, axis=1)
        states, cache = model.hidden(
            config,
            variables,
            {"tokens": state.last[:, None]},
            structure=causal(asked, jnp.zeros_like(asked)),
            above=prefix.levels,
            cache=state.cache,
            write_at=place,
        )
        token = jnp.where(state.done, ends[0], choose(states[:, 0], state.step))
        tokens = state.tokens.at[:, state.step].set(token)
        return SamplingState(state.step + 1, token, state.done | at_end(token), tokens, cache)

    state = jax.lax.while_loop(unfinished, advance, state)
    return state.tokens, state.done, finite


def _room(level: Level, positions: jax.Array) -> Level:
    """Return an empty cache at i32[R, N] positions, of the shape of a level's layers.

    Empty slots have later positions than any query, which therefore does not see them.
    """
    rows, slots = positions.shape

    def empty(array: jax.Array) -> jax.Array:
        return jnp.zeros((rows, slots, *array.shape[2:]), array.dtype)

    return Level(jax.tree.map(empty, level.layers), positions, jnp.zeros_like(positions))
