"""Batched generation in one ``while_loop`` with a static cache.

R rows, Q prompt tokens after the prefix, N new tokens, V vocabulary.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mllm.decoding.prefix import Prefix, read
from mllm.decoding.sampling import Allowed, Sampler, choose
from mllm.decoding.score import read_choices
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
    limits: jax.Array | None = None,
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
      limits: i32[R], the most tokens of each row; None: ``max_new_tokens``, the room that there is
        for them. Limits are data and share a program; another room takes another one.
      ends: ids of the tokens that end a row, at least one.
      barred: ids of tokens that are never chosen. allowed: which tokens may be chosen at each step.

    Returns:
      (tokens i32[R, N], at the end the token that ended the row, after it, or after its limit, the
      first of ``ends``; ended bool[R], whether a row came to an end; finite bool[R], whether the
      states at the end of its prompt are).
    """
    slots = jnp.broadcast_to(jnp.arange(prompts.shape[1]), prompts.shape)
    segments = jnp.where(slots < lengths[:, None], 0, -1)
    batch = {"tokens": prompts, "positions": slots, "segments": segments}
    prefix, states = read(model, config, variables, batch, prefix)
    sampler = None if temperatures is None else Sampler(temperatures, seeds, top_k, top_p)
    narrowing = {"strength": guidance, "allowed": allowed, "barred": barred}
    pick = partial(choose, sampler=sampler, **narrowing)
    last = _last(states, lengths)
    room = {"limits": limits, "max_new_tokens": max_new_tokens, "ends": ends}
    return _continue(model, config, variables, prefix, last, pick, **room)


@decoding_program("max_new_tokens", "ends", "barred")
def score_and_generate(
    model,
    config,
    variables: dict,
    prefix: Prefix | None,
    batch: dict,
    lengths: jax.Array,
    temperatures: jax.Array | None = None,
    seeds: jax.Array | None = None,
    top_k: jax.Array | None = None,
    top_p: jax.Array | None = None,
    limits: jax.Array | None = None,
    *,
    max_new_tokens: int,
    ends: tuple[int, ...],
    barred: tuple[int, ...] = (),
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Score the choices of questions, and continue the same questions, which are read once.

    Args:
      batch: as for ``score_choices``; its last M slots hold the choices.
      lengths: i32[R], of the questions, at least 1. The other arguments are those of ``generate``.

    Returns:
      (scores of ``score_choices``, and the three results of ``generate``).
    """
    scores, prefix, states = read_choices(model, config, variables, prefix, batch)
    questions = batch["tokens"].shape[1] - batch["targets"].shape[1]
    # The loop would read the choices at every step, to ignore them.
    level = jax.tree.map(lambda array: array[:, :questions], prefix.levels[-1])
    prefix = prefix._replace(levels=(*prefix.levels[:-1], level))
    sampler = None if temperatures is None else Sampler(temperatures, seeds, top_k, top_p)
    pick = partial(choose, sampler=sampler, barred=barred)
    last = _last(states, lengths)
    room = {"limits": limits, "max_new_tokens": max_new_tokens, "ends": ends}
    return scores, *_continue(model, config, variables, prefix, last, pick, **room)


def _last(states: jax.Array, lengths: jax.Array) -> jax.Array:
    """Return float[R, D], the state of the last of ``lengths`` i32[R] tokens of each row."""
    return jnp.take_along_axis(states, (lengths - 1)[:, None, None], axis=1)[:, 0]


def _continue(
    model,
    config,
    variables: dict,
    prefix: Prefix,
    last: jax.Array,
    pick: Callable,
    *,
    limits: jax.Array | None,
    max_new_tokens: int,
    ends: tuple[int, ...],
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Continue the R nodes of a prefix that end in the states ``last`` float[R, D]; see
    ``generate``.

    Args:
      pick: ``sampling.choose(logits, tokens, step)`` with its options.
    """
    rows = last.shape[0]
    limits = jnp.full(rows, max_new_tokens) if limits is None else limits
    positions = prefix.lengths[:, None] + jnp.arange(max_new_tokens)
    head = model.head(config, variables).astype(last.dtype)

    def chosen(states, tokens, step):
        logits = jnp.dot(states, head, preferred_element_type=jnp.float32)
        return pick(logits, tokens, step)

    def at_end(tokens):
        return (tokens[:, None] == jnp.asarray(ends)).any(axis=1)

    finite = jnp.all(jnp.isfinite(last), axis=-1)
    tokens = jnp.full((rows, max_new_tokens), ends[0], jnp.int32)
    first = chosen(last, tokens, 0)
    tokens = tokens.at[:, 0].set(first)
    cache = _room(prefix.levels[-1], positions)
    state = SamplingState(jnp.int32(1), first, at_end(first), tokens, cache)

    def unfinished(state: SamplingState):
        return (state.step < max_new_tokens) & jnp.any(~state.done & (state.step < limits))

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
        going = ~state.done & (state.step < limits)
        token = jnp.where(going, chosen(states[:, 0], state.tokens, state.step), ends[0])
        tokens = state.tokens.at[:, state.step].set(token)
        done = state.done | (going & at_end(token))
        return SamplingState(state.step + 1, token, done, tokens, cache)

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
