"""How the next token of each row is chosen from its logits.

In order: guidance by a second prompt, tokens that may not be chosen, temperature, top-k, top-p, and
the draw. R rows, N new tokens, V vocabulary.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp


class Sampler(NamedTuple):
    """How each row draws.

    Attributes:
      temperatures: f32[R], above 0.
      seeds: u32[R]; what a row draws depends on its own seed alone.
      top_k: i32[R], how many of the likeliest tokens may be drawn, 0 for all; None: all in each
        row.
      top_p: f32[R], the probability that the tokens which may be drawn hold together, 1 for all of
        it; None: all in each row.
    """

    temperatures: jax.Array
    seeds: jax.Array
    top_k: jax.Array | None = None
    top_p: jax.Array | None = None


# Whether each of ids i32[V] may come next, bool[V] or bool[R, V], given the tokens i32[R, N] chosen
# so far and the step i32[] that is to be chosen. It is hashable, and so a part of the program.
Allowed = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]


@dataclass(frozen=True)
class Pattern:
    """Replies in which each place holds a token of a range of its own.

    Attributes:
      ranges: of each place, (the first id, the one after the last).
    """

    ranges: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.ranges)

    def __call__(self, tokens: jax.Array, step: jax.Array, ids: jax.Array) -> jax.Array:
        first, end = jnp.asarray(self.ranges, jnp.int32)[step]
        return (ids >= first) & (ids < end)


def guided(logits: jax.Array, strength: jax.Array) -> jax.Array:
    """Push the logits of a prompt away from those of another one.

    With c of the prompt and u of the other one, the result is ``c + s (c - u)``. Classifier-free
    guidance of scale g, ``u + g (c - u)`` (Ho and Salimans 2022, arXiv:2207.12598), has s = g - 1,
    and contrastive guidance, ``(1 + a) c - a u``, has s = a.

    Args:
      logits: f32[2 P, V], a prompt and its other one by turns. strength: f32[2 P], of each pair.

    Returns:
      f32[P, V]; where s is 0, c to the bit.
    """
    asked, other = logits[0::2], logits[1::2]
    return asked + strength[0::2, None] * (asked - other)


def narrowed(
    logits: jax.Array, top_k: jax.Array | None = None, top_p: jax.Array | None = None
) -> jax.Array:
    """Return logits f32[R, V] that are -inf outside of the tokens that may be drawn.

    First the ``top_k`` likeliest stay; of these, the fewest of the likeliest whose probabilities,
    renormalised, sum to ``top_p`` or more (Holtzman et al. 2019, arXiv:1904.09751). Tokens as
    likely as the last one that stays stay too.

    Args:
      top_k, top_p: see ``Sampler``.
    """
    if top_k is None and top_p is None:
        return logits
    size = logits.shape[-1]
    ranked = -jnp.sort(-logits, axis=-1)
    if top_k is not None:
        last = jnp.where(top_k > 0, jnp.minimum(top_k, size), size) - 1
        least = jnp.take_along_axis(ranked, last[:, None], axis=-1)
        ranked, logits = (jnp.where(x >= least, x, -jnp.inf) for x in (ranked, logits))
    if top_p is not None:
        likely = jax.nn.softmax(ranked, axis=-1)
        above = jnp.cumsum(likely, axis=-1) - likely  # of likelier tokens together
        stays = (above < top_p[:, None]) | (top_p >= 1)[:, None]
        least = jnp.min(jnp.where(stays, ranked, jnp.inf), axis=-1, keepdims=True)
        logits = jnp.where(logits >= least, logits, -jnp.inf)
    return logits


def choose(
    logits: jax.Array,
    tokens: jax.Array,
    step: jax.Array,
    sampler: Sampler | None = None,
    *,
    strength: jax.Array | None = None,
    allowed: Allowed | None = None,
    barred: tuple[int, ...] = (),
) -> jax.Array:
    """Return the next token i32[R] of each row.

    Args:
      logits: f32[R, V]. tokens: i32[R, N], chosen so far. step: i32[], which one is chosen now.
      sampler: None takes the likeliest token.
      strength: f32[R], of ``guided``: rows are pairs that go on with one token, which is drawn as
        the first of the two draws.
      allowed: which tokens may come. barred: ids that are never chosen.
    """
    if strength is not None:
        logits, tokens = guided(logits, strength), tokens[0::2]
        sampler = None if sampler is None else jax.tree.map(lambda x: x[0::2], sampler)
    if allowed is not None:
        fine = allowed(tokens, step, jnp.arange(logits.shape[-1], dtype=jnp.int32))
        logits = jnp.where(fine, logits, -jnp.inf)
    if barred:
        logits = logits.at[:, jnp.asarray(barred)].set(-jnp.inf)
    if sampler is None:
        chosen = jnp.argmax(logits, axis=-1)
    else:
        keys = jax.vmap(lambda seed: jax.random.fold_in(jax.random.key(seed), step))(sampler.seeds)
        warm = narrowed(logits / sampler.temperatures[:, None], sampler.top_k, sampler.top_p)
        chosen = jax.vmap(jax.random.categorical)(keys, warm)
    chosen = chosen.astype(jnp.int32)
    return chosen if strength is None else jnp.repeat(chosen, 2)
