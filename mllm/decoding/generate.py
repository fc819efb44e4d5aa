"""Batched generation in one ``while_loop`` with a static cache.

R rows, Q prompt tokens behind the prefix, N new tokens, V vocabulary.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mllm.decoding.prefix import Prefix, branch, continuation, extended
from mllm.models.decoder import Cache


class SamplingState(NamedTuple):
    """Attributes:
    step: i32[], tokens generated so far.
    last: i32[R], the latest token of each row.
    done: bool[R], rows that have ended; carried, so that a row ends once whatever the others do.
    tokens: i32[R, N], generated so far, the end token after the end.
    cache: keys and values of prefix, prompt and generated tokens.
    """

    step: jax.Array
    last: jax.Array
    done: jax.Array
    tokens: jax.Array
    cache: Cache


@partial(jax.jit, static_argnames=("model", "config", "max_new_tokens", "eos_id", "temperature"))
def generate(
    model,
    config,
    variables: dict,
    prefix: Prefix,
    groups: jax.Array,
    prompts: jax.Array,
    lengths: jax.Array,
    *,
    max_new_tokens: int,
    eos_id: int,
    temperature: float = 0.0,
    key: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Continue prompts greedily, or by sampling at ``temperature`` > 0 with ``key``.

    Args:
      prefix, groups: row r continues prefix ``groups[r]``, i32[R].
      prompts: i32[R, Q], padded at the right; lengths: i32[R], at least 1.

    Returns:
      (tokens i32[R, N], the end token at and after the end; ended bool[R], whether a row reached
      its end token).
    """
    prefix = branch(prefix, groups)
    rows, width = prompts.shape
    past = prefix.segments.shape[1]
    in_prompt = jnp.arange(width) < lengths[:, None]
    segments = jnp.concatenate(
        [jnp.where(in_prompt, 0, -1), jnp.zeros((rows, max_new_tokens), jnp.int32)], axis=1
    )
    asked = jnp.broadcast_to(jnp.arange(width), prompts.shape)
    places = jnp.concatenate([asked, lengths[:, None] + jnp.arange(max_new_tokens)], axis=1)
    positions = prefix.lengths[:, None] + places

    def forward(tokens, first, cache):
        count = tokens.shape[1]
        structure = continuation(prefix, positions, segments, first, count)
        batch = {"tokens": tokens, "positions": structure.query_positions}
        return model.hidden(
            config, variables, batch, structure=structure, cache=cache, write_at=past + first
        )

    def choose(states, step):
        head = model.head(config, variables).astype(states.dtype)
        logits = jnp.dot(states, head, preferred_element_type=jnp.float32)
        if temperature == 0:
            return jnp.argmax(logits, axis=-1).astype(jnp.int32)
        draw = jax.random.fold_in(key, step)
        return jax.random.categorical(draw, logits / temperature).astype(jnp.int32)

    states, cache = forward(prompts, 0, extended(prefix, width + max_new_tokens))
    last = jnp.take_along_axis(states, (lengths - 1)[:, None, None], axis=1)[:, 0]
    first = choose(last, 0)
    tokens = jnp.full((rows, max_new_tokens), eos_id, jnp.int32).at[:, 0].set(first)
    state = SamplingState(jnp.int32(1), first, first == eos_id, tokens, cache)

    def unfinished(state: SamplingState):
        return (state.step < max_new_tokens) & ~jnp.all(state.done)

    def advance(state: SamplingState) -> SamplingState:
        place = state.step - 1  # of the token that goes in; the one that comes out is at ``step``
        states, cache = forward(state.last[:, None], width + place, state.cache)
        token = jnp.where(state.done, eos_id, choose(states[:, 0], state.step))
        tokens = state.tokens.at[:, state.step].set(token)
        return SamplingState(state.step + 1, token, state.done | (token == eos_id), tokens, cache)

    state = jax.lax.while_loop(unfinished, advance, state)
    return state.tokens, state.done
