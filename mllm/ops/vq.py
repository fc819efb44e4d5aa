"""Vector quantisation (van den Oord et al. 2017, arXiv:1711.00937): nearest codes, their losses,
and how evenly a codebook is used.

N vectors, C width of a vector, V codes. Leading axes of vectors may be any.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

# How the two terms of the loss are weighed. The first one of each pair moves codes towards vectors,
# the second one (commitment) moves vectors towards codes; beta is the weight of the smaller one.
# "standard" is equation 3 of the paper; "legacy" is what the code of taming-transformers (Esser et
# al. 2021, arXiv:2012.09841) did for long, with beta at the term of the codes.
CONVENTIONS: dict[str, Callable[[float], tuple[float, float]]] = {
    "standard": lambda beta: (1.0, beta),
    "legacy": lambda beta: (beta, 1.0),
}


def unit(vectors: jax.Array, eps: float = 1e-6) -> jax.Array:
    """Return vectors of length 1 along the last axis (Yu et al. 2022, arXiv:2110.04627, sec. 3.2).

    A vector shorter than ``eps`` is divided by ``eps``, so that its gradient stays finite.
    """
    squares = jnp.sum(jnp.square(vectors), axis=-1, keepdims=True)
    return vectors * jax.lax.rsqrt(jnp.maximum(squares, eps**2))


def nearest(vectors: jax.Array, codebook: jax.Array) -> jax.Array:
    """Return i32[...], the code at the smallest Euclidean distance of each vector; the first one of
    several.

    Args:
      vectors: float[..., C]. codebook: float[V, C].
    """
    inner = jnp.einsum("...c,vc->...v", vectors, codebook, precision="highest")
    # The squared length of the vector itself is the same for all codes.
    lengths = jnp.sum(jnp.square(codebook), axis=-1)
    return jnp.argmin(lengths - 2 * inner, axis=-1).astype(jnp.int32)


def straight_through(vectors: jax.Array, chosen: jax.Array) -> jax.Array:
    """Return ``chosen``, whose gradient is passed on to ``vectors`` as it is."""
    return vectors + jax.lax.stop_gradient(chosen - vectors)


def losses(
    vectors: jax.Array, chosen: jax.Array, beta: float, convention: str = "standard"
) -> jax.Array:
    """Return float[...], the loss of each vector: its mean squared distance to its code, in two
    terms of which one moves the code and the other the vector, weighed by ``CONVENTIONS``.

    Args:
      vectors: float[..., C]. chosen: float[..., C], the codes of the vectors.
    """
    codes, commitment = CONVENTIONS[convention](beta)
    fixed = jax.lax.stop_gradient
    moved = jnp.mean(jnp.square(fixed(vectors) - chosen), axis=-1)
    committed = jnp.mean(jnp.square(vectors - fixed(chosen)), axis=-1)
    return codes * moved + commitment * committed


def counts(codes: jax.Array, size: int, weight: jax.Array | None = None) -> jax.Array:
    """Return float32[V], how often each code was chosen.

    Args:
      codes: i32[B, ...]. size: V. weight: float[B], how much each row counts; None: 1 each.
    """
    ones = jnp.ones(codes.shape, jnp.float32)
    if weight is not None:
        ones = ones * weight.reshape(-1, *(1,) * (codes.ndim - 1))
    return jnp.zeros(size, jnp.float32).at[codes.reshape(-1)].add(ones.reshape(-1))


def perplexity(counts: jax.Array) -> jax.Array:
    """Return exp(entropy) of the distribution of codes, from 1 (only one is used) to V (all are
    used alike).
    """
    shares = counts / jnp.maximum(jnp.sum(counts), 1e-12)
    logs = jnp.where(shares > 0, jnp.log(jnp.where(shares > 0, shares, 1.0)), 0.0)
    return jnp.exp(-jnp.sum(shares * logs))


def moving_usage(usage: jax.Array, counts: jax.Array, decay: float) -> jax.Array:
    """Return the moving average float32[V] of how often codes are chosen, relative to even use: 1
    is the share 1 / V of all choices.
    """
    even = counts * counts.shape[0] / jnp.maximum(jnp.sum(counts), 1.0)
    return decay * usage + (1 - decay) * even


def moving_means(
    codebook: jax.Array, vectors: jax.Array, codes: jax.Array, decay: float, weight: jax.Array
) -> jax.Array:
    """Move codes to the mean of the vectors that chose them, in place of a gradient (van den Oord
    et al. 2017, appendix A.1; here the decay is per code and update). Codes that no vector chose
    stay.

    Args:
      codebook: float[V, C]. vectors: float[B, ..., C]. codes: i32[B, ...]. weight: float[B].
    """
    size, width = codebook.shape
    each = jnp.broadcast_to(weight.reshape(-1, *(1,) * (codes.ndim - 1)), codes.shape).reshape(-1)
    flat, index = vectors.reshape(-1, width), codes.reshape(-1)
    sums = jnp.zeros((size, width), jnp.float32).at[index].add(flat * each[:, None])
    found = jnp.zeros(size, jnp.float32).at[index].add(each)
    means = sums / jnp.maximum(found, 1e-12)[:, None]
    return jnp.where(found[:, None] > 0, decay * codebook + (1 - decay) * means, codebook)


def restart(
    codebook: jax.Array,
    dead: jax.Array,
    vectors: jax.Array,
    weight: jax.Array,
    key: jax.Array,
) -> jax.Array:
    """Put codes that nothing chooses where vectors are (Dhariwal et al. 2020, arXiv:2005.00341,
    section 3.1).

    Args:
      codebook: float[V, C]. dead: bool[V], the codes that are moved.
      vectors: float[B, ..., C]; each moved code takes one of them, drawn without replacement as
        long as there are enough. If there are none, nothing moves.
      weight: float[B], 0 for rows that are not drawn.
      key: of the draw.

    Returns:
      float[V, C]; the other codes are what they were.
    """
    flat = vectors.reshape(-1, codebook.shape[1])
    real = jnp.repeat(weight > 0, flat.shape[0] // weight.shape[0])
    drawn = jax.random.uniform(key, (flat.shape[0],))
    order = jnp.argsort(jnp.where(real, drawn, 2.0))  # real ones first, in random order
    number = jnp.cumsum(dead) - 1  # among the codes that move
    known = jnp.sum(real)
    taken = flat[order[number % jnp.maximum(known, 1)]]
    return jnp.where((dead & (known > 0))[:, None], taken, codebook)
