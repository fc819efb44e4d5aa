"""Batched generation in one ``while_loop`` with a static cache.

R rows, Q prompt tokens after the prefix, N new tokens, V vocabulary.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mllm.decoding.prefix import Prefix, read
from mllm.decoding.sampling import Allowed, Sampler, choose
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


@decoding_program("max_new_tokens", "ends", "barred", "allowed")
def generate(
    model,
    config,
    variables: dict,
    prefix: Prefix | None,
    prompts: jax.Array,
    lengths: jax.Array,
    temperatures: jax.Array | None = None,
    seeds: jax.Array | None = None,
    top_k: jax.Array | None = None,
    top_p: jax.Array | None = None,
    guidance: jax.Array | None = None,
    *,
    max_new_tokens: int,
    ends: tuple[int, ...],
    barred: tuple[int, ...] = (),
    allowed: Allowed | None = None,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Continue prompts, greedily or by sampling.

    Args:
      prefix: what the R rows continue evenly.
      prompts: i32[R, Q], padded at the right.
      lengths: i32[R], at least 1.
      temperatures, seeds, top_k, top_p: [R], of ``sampling.Sampler``; without temperatures the
        likeliest token is taken.
      guidance: f32[R], the strength of ``sampling.guided``: rows 2 i and 2 i + 1 are a prompt and
        the one that it is pushed away from, and both go on with the same tokens.
      ends: ids of the tokens that end a row, at least one.
      barred: ids of tokens that are never chosen. allowed: which tokens may be chosen at each step.

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

    sampler = None if temperatures is None else Sampler(temperatures, seeds, top_k, top_p)

    def chosen(states, tokens, step):
        logits = jnp.dot(states, head, preferred_element_type=jnp.float32)
        limits = {"strength": guidance, "allowed": allowed, "barred": barred}
        return choose(logits, tokens, step, sampler, **limits)

    def at_end(tokens):
        return (tokens[:, None] == jnp.asarray(ends)).any(axis=1)

    last = jnp.take_along_axis(states, (lengths - 1)[:, None, None], axis=1)[:, 0]
    finite = jnp.all(jnp.isfinite(last), axis=-1)
    tokens = jnp.full((rows, max_new_tokens), ends[0], jnp.int32)
    first = chosen(last, tokens, 0)
    tokens = tokens.at[:, 0].set(first)
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
        token = chosen(states[:, 0], state.tokens, state.step)
        token = jnp.where(state.done, ends[0], token)
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
