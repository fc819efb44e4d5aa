"""Flash attention on GPUs for rows that hold a prefix and branches, as Pallas kernels for Triton
(Dao 2023, "FlashAttention-2", arXiv:2307.08691).

A block of queries reads only the blocks of keys that it may see (``mllm.ops.blocks``), and computes
no mask where it sees a block whole. Scores exist for one pair of blocks at a time. The backward
pass computes them again from the log-sum-exp of each query.

B rows, T queries, S keys, H heads, K key-value heads, G = H / K, D head width, I blocks of queries,
J blocks of keys.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.ad_checkpoint import checkpoint_name
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from mllm.ops.blocks import reach, schedule

OUT, LSE = "attention_out", "attention_lse"  # names for remat policies
LN_2 = 0.6931471805599453  # exponentials in the kernels are to base 2


class Tile(NamedTuple):
    """The pair of blocks of one step, and how many warps and stages of loads work on it."""

    queries: int
    keys: int
    warps: int
    stages: int


class Tiles(NamedTuple):
    forward: Tile
    dq: Tile
    dkv: Tile


# By head width, rounded up to a power of two: chosen by what compiles for an H100 without spilling
# registers, and not by time. Up to 128 they fit in the shared memory of every GPU since 8.0.
TILES = {
    64: Tiles(Tile(128, 64, 4, 3), Tile(128, 64, 8, 3), Tile(64, 128, 8, 3)),
    128: Tiles(Tile(128, 64, 8, 3), Tile(128, 64, 8, 2), Tile(64, 128, 8, 2)),
    256: Tiles(Tile(128, 32, 8, 2), Tile(128, 32, 8, 2), Tile(32, 64, 8, 2)),
}


def flash_attention(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    queries: tuple[jax.Array, jax.Array],
    keys: tuple[jax.Array, jax.Array],
    *,
    window: int | None = None,
    tiles: Tiles | None = None,
    interpret: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Compute softmax attention under the mask of ``mllm.ops.attention.Structure``.

    Both results are differentiable, and named ``OUT`` and ``LSE`` for remat policies: where both
    are kept, the backward pass does not run the forward kernel again.

    Args:
      q: float[B, T, H, D]; k, v: float[B, S, K, D].
      queries: (positions, segments), i32[B, T]; keys: the same, i32[B, S].
      window: how many positions a query sees, its own included; None: all.
      tiles: block sizes, powers of two of at least 16; None: those of ``TILES``.
      interpret: run without a GPU, slowly.

    Returns:
      (float[B, T, H, D]; float32[B, H, T], the log-sum-exp of the scaled scores that a query sees).
      A padding query, or one that sees nothing, gets zeros and -inf.

    Raises:
      ValueError: the width is above 256 and ``tiles`` is None.
    """
    tokens, width = q.shape[1], pl.next_power_of_2(q.shape[3])
    if tiles is None:
        if width > max(TILES):
            raise ValueError(f"head width {q.shape[3]} is above {max(TILES)}: pass tiles")
        tiles = TILES[max(width, min(TILES))]
    rows, columns = (max(getattr(tile, side) for tile in tiles) for side in ("queries", "keys"))
    q, queries = _fill(rows, q), _places(rows, *queries)
    k, v, keys = _fill(columns, k), _fill(columns, v), _places(columns, *keys)
    out, lse = _attend(q, k, v, queries, keys, window, tiles, interpret)
    return out[:, :tokens], lse[:, :, :tokens]


def _fill(block: int, x: jax.Array, value: int = 0) -> jax.Array:
    """Lengthen axis 1 to whole blocks."""
    missing = -x.shape[1] % block
    if not missing:
        return x
    return jnp.pad(x, [(0, 0), (0, missing), *[(0, 0)] * (x.ndim - 2)], constant_values=value)


def _places(block: int, positions: jax.Array, segments: jax.Array) -> jax.Array:
    return jnp.stack([_fill(block, positions), _fill(block, segments, -1)], axis=1)


@partial(jax.custom_vjp, nondiff_argnums=(5, 6, 7))
def _attend(q, k, v, queries, keys, window, tiles, interpret):
    return _forward(q, k, v, queries, keys, window, tiles, interpret)[0]


def _forward(q, k, v, queries, keys, window, tiles, interpret):
    tile = tiles.forward
    visits = schedule(*reach(queries, keys, tile.queries, tile.keys, window))
    spec = _Specs(q, k, tile)
    out, lse = pl.pallas_call(
        partial(_forward_kernel, size=tile.keys, width=q.shape[3], window=window),
        grid=spec.grid,
        in_specs=[spec.q, spec.k, spec.k, *spec.places, *spec.visits],
        out_specs=[spec.q, spec.row],
        out_shape=[
            jax.ShapeDtypeStruct(q.shape, q.dtype),
            jax.ShapeDtypeStruct((q.shape[0], q.shape[2], q.shape[1]), jnp.float32),
        ],
        compiler_params=triton.CompilerParams(num_warps=tile.warps, num_stages=tile.stages),
        interpret=interpret,
        name="flash_forward",
    )(q, k, v, queries, keys, *visits)
    out, lse = checkpoint_name(out, OUT), checkpoint_name(lse, LSE)
    return (out, lse), (q, k, v, queries, keys, out, lse)


def _backward(window, tiles, interpret, kept, gradients):
    q, k, v, queries, keys, out, lse = kept
    dout, dlse = gradients
    width = q.shape[3]
    # A query without keys has weights exp(score - inf) = 0.
    lse = jnp.where(jnp.isneginf(lse), jnp.inf, lse) / LN_2
    delta = jnp.einsum("bthd,bthd->bht", dout, out, preferred_element_type=jnp.float32) - dlse

    tile = tiles.dq
    some, whole = reach(queries, keys, tile.queries, tile.keys, window)
    spec = _Specs(q, k, tile)
    dq = pl.pallas_call(
        partial(_dq_kernel, size=tile.keys, width=width, window=window),
        grid=spec.grid,
        in_specs=[spec.q, spec.k, spec.k, *spec.places, *spec.visits, spec.q, spec.row, spec.row],
        out_specs=spec.q,
        out_shape=jax.ShapeDtypeStruct(q.shape, q.dtype),
        compiler_params=triton.CompilerParams(num_warps=tile.warps, num_stages=tile.stages),
        interpret=interpret,
        name="flash_dq",
    )(q, k, v, queries, keys, *schedule(some, whole), dout, lse, delta)

    tile = tiles.dkv
    some, whole = reach(queries, keys, tile.queries, tile.keys, window)
    visits = schedule(some.swapaxes(1, 2), whole.swapaxes(1, 2))
    spec = _KeySpecs(q, k, tile)
    dk, dv = pl.pallas_call(
        partial(_dkv_kernel, size=tile.queries, width=width, window=window),
        grid=spec.grid,
        in_specs=[spec.q, spec.k, spec.k, *spec.places, *spec.visits, spec.q, spec.row, spec.row],
        out_specs=[spec.k, spec.k],
        out_shape=[jax.ShapeDtypeStruct(x.shape, x.dtype) for x in (k, v)],
        compiler_params=triton.CompilerParams(num_warps=tile.warps, num_stages=tile.stages),
        interpret=interpret,
        name="flash_dkv",
    )(q, k, v, queries, keys, *visits, dout, lse, delta)
    return dq, dk, dv, None, None


_attend.defvjp(_forward, _backward)


class _Specs:
    """What a program reads of each array, one program a block of queries i, head h and row b."""

    def __init__(self, q: jax.Array, k: jax.Array, tile: Tile):
        batch, tokens, heads, width = q.shape
        length, share = k.shape[1], heads // k.shape[2]
        width = pl.next_power_of_2(width)
        self.grid = (tokens // tile.queries, heads, batch)
        self.q = pl.BlockSpec((None, tile.queries, None, width), lambda i, h, b: (b, i, h, 0))
        self.k = pl.BlockSpec(
            (None, length, None, width), lambda i, h, b: (b, 0, lax.div(h, share), 0)
        )
        self.row = pl.BlockSpec((None, None, tile.queries), lambda i, h, b: (b, h, i))
        self.places = (
            pl.BlockSpec((None, 2, tile.queries), lambda i, h, b: (b, 0, i)),
            pl.BlockSpec((None, 2, length), lambda i, h, b: (b, 0, 0)),
        )
        self.visits = tuple(
            pl.BlockSpec((None, None, size), lambda i, h, b: (b, i, 0))
            for size in (length // tile.keys, 2)
        )


class _KeySpecs:
    """The same, one program a block of keys j, key-value head h and row b."""

    def __init__(self, q: jax.Array, k: jax.Array, tile: Tile):
        batch, tokens, heads, width = q.shape
        length, groups = k.shape[1:3]
        width, share = pl.next_power_of_2(width), heads // groups
        self.grid = (length // tile.keys, groups, batch)
        self.q = pl.BlockSpec((None, tokens, share, width), lambda j, h, b: (b, 0, h, 0))
        self.k = pl.BlockSpec((None, tile.keys, None, width), lambda j, h, b: (b, j, h, 0))
        self.row = pl.BlockSpec((None, share, tokens), lambda j, h, b: (b, h, 0))
        self.places = (
            pl.BlockSpec((None, 2, tokens), lambda j, h, b: (b, 0, 0)),
            pl.BlockSpec((None, 2, tile.keys), lambda j, h, b: (b, 0, j)),
        )
        self.visits = tuple(
            pl.BlockSpec((None, None, size), lambda j, h, b: (b, j, 0))
            for size in (tokens // tile.queries, 2)
        )


def _forward_kernel(q, k, v, queries, keys, order, ends, out, lse, *, size, width, window):
    block = _load(q, width)
    places = queries[0, :][:, None], queries[1, :][:, None]

    def visit(masked, number, carry):
        most, total, found = carry
        at = pl.ds(order[number] * size, size)
        scores = _scores(block, _load(k.at[at, :], width), width)
        if masked:
            seen = _seen(*places, keys[0, at][None, :], keys[1, at][None, :], window)
            scores = jnp.where(seen, scores, -jnp.inf)
        top = jnp.maximum(most, jnp.max(scores, axis=1))
        weights, fade = jnp.exp2(scores - top[:, None]), jnp.exp2(most - top)
        values = _load(v.at[at, :], width)
        found = found * fade[:, None] + triton.dot(weights.astype(values.dtype), values)
        return top, total * fade + jnp.sum(weights, axis=1), found

    rows = block.shape[0]
    # The first maximum is finite, so that its difference to a masked score is not NaN.
    carry = jnp.full(rows, -1e30), jnp.zeros(rows), jnp.zeros(block.shape)
    most, total, found = _visit(visit, ends, carry)
    real = (queries[1, :] >= 0) & (total > 0)
    total = jnp.where(real, total, 1.0)
    found = jnp.where(real[:, None], found / total[:, None], 0.0)
    _store(out, found, width)
    lse[...] = jnp.where(real, most * LN_2 + jnp.log(total), -jnp.inf)


def _dq_kernel(q, k, v, queries, keys, order, ends, dout, lse, delta, dq, *, size, width, window):
    block, gradient = _load(q, width), _load(dout, width)
    places = queries[0, :][:, None], queries[1, :][:, None]
    lse, delta = lse[...][:, None], delta[...][:, None]

    def visit(masked, number, found):
        at = pl.ds(order[number] * size, size)
        read = _load(k.at[at, :], width)
        weights = jnp.exp2(_scores(block, read, width) - lse)
        if masked:
            seen = _seen(*places, keys[0, at][None, :], keys[1, at][None, :], window)
            weights = jnp.where(seen, weights, 0.0)
        change = weights * (triton.dot(gradient, _load(v.at[at, :], width), trans_b=True) - delta)
        return found + triton.dot(change.astype(read.dtype), read)

    found = _visit(visit, ends, jnp.zeros(block.shape))
    _store(dq, found * width**-0.5, width)


def _dkv_kernel(
    q, k, v, queries, keys, order, ends, dout, lse, delta, dk, dv, *, size, width, window
):
    block, values = _load(k, width), _load(v, width)
    places = keys[0, :][:, None], keys[1, :][:, None]

    def of_head(head, carry):
        def visit(masked, number, carry):
            found, spread = carry
            at = pl.ds(order[number] * size, size)
            read, gradient = _load(q.at[at, head, :], width), _load(dout.at[at, head, :], width)
            weights = jnp.exp2(_scores(block, read, width) - lse[head, at][None, :])
            if masked:
                seen = _seen(queries[0, at][None, :], queries[1, at][None, :], *places, window)
                weights = jnp.where(seen, weights, 0.0)
            spread = spread + triton.dot(weights.astype(gradient.dtype), gradient)
            change = triton.dot(values, gradient, trans_b=True) - delta[head, at][None, :]
            change = (weights * change).astype(read.dtype)
            return found + triton.dot(change, read), spread

        return _visit(visit, ends, carry)

    found = lax.fori_loop(0, q.shape[1], of_head, (jnp.zeros(block.shape),) * 2)
    _store(dk, found[0] * width**-0.5, width)
    _store(dv, found[1], width)


def _visit(visit, ends, carry):
    """Visit the blocks that are seen whole, which need no mask, and then the others."""
    carry = lax.fori_loop(0, ends[0], partial(visit, False), carry)
    return lax.fori_loop(ends[0], ends[1], partial(visit, True), carry)


def _scores(a: jax.Array, b: jax.Array, width: int) -> jax.Array:
    """Return the scaled scores of all pairs, in base 2."""
    return triton.dot(a, b, trans_b=True) * (width**-0.5 / LN_2)


def _seen(position, segment, key_position, key_segment, window):
    ahead = position - key_position
    seen = (ahead >= 0) & ((key_segment == 0) | (key_segment == segment))
    return seen if window is None else seen & (ahead < window)


def _load(ref, width: int) -> jax.Array:
    """Read a block; heads narrower than a power of two are filled up with zeros."""
    inside = _inside(ref.shape[-1], width)
    return triton.load(ref, mask=inside, other=None if inside is None else 0.0)


def _store(ref, x: jax.Array, width: int) -> None:
    triton.store(ref, x.astype(ref.dtype), mask=_inside(x.shape[-1], width))


def _inside(room: int, width: int) -> jax.Array | None:
    return None if room == width else jnp.arange(room)[None, :] < width
