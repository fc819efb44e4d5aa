"""Positions of the patches of an image of any size, in a square table (NaViT, Dehghani et al. 2023,
arXiv:2307.06304, as Idefics2 uses it).

The position of a patch along a side is its fraction of that side, put into one of S equal buckets.
The fractions are float32. If one falls on the edge of a bucket, its rounding decides; each rule is
therefore a table of integers, computed as the library computes it.

B images, S patches along a side of the table, h and w patches of an image.
"""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np

RULES = ("transformers-5", "transformers-4.40")
_BELOW_ONE = np.float32(1.0 - 1e-6)


@lru_cache
def buckets(side: int, most: int, rule: str) -> np.ndarray:
    """Return i32[most + 1, most]; row n holds the buckets of the patches of a side of n patches.

    Args:
      side: S.
      rule: "transformers-5" takes fractions i * (1 / n) in float32; "transformers-4.40", with which
        Idefics2 was trained, takes steps of 1 / n from 0 up to 1.

    Raises:
      ValueError: an unknown rule.
    """
    if rule not in RULES:
        raise ValueError(f"positions is {rule!r}, expected one of {', '.join(RULES)}")
    edges = _torch_arange(1 / side, 1.0, 1 / side)
    table = np.zeros((most + 1, most), np.int32)
    for count in range(1, most + 1):
        if rule == "transformers-5":
            step = np.float32(1) / np.float32(count)
            fractions = np.minimum(np.arange(most, dtype=np.float32) * step, _BELOW_ONE)
        else:
            fractions = _torch_arange(0, 1 - 1e-6, 1 / count)[:most]
        found = np.searchsorted(edges, fractions, side="right")
        table[count, : len(found)] = np.minimum(found, side - 1)
    return table


def _torch_arange(start: float, end: float, step: float) -> np.ndarray:
    """Return ``torch.arange`` in float32, equal to the last bit.

    Torch works in runs of 16: it rounds every eighth value and counts on from there.
    """
    numbers = np.arange(int(np.ceil((end - start) / step)))
    whole = len(numbers) // 16 * 16
    exact = start + step * numbers
    eighths = exact[:whole:8].astype(np.float32).astype(np.float64)
    runs = eighths[:, None] + step * np.arange(8)
    return np.concatenate([runs.ravel(), exact[whole:]]).astype(np.float32)


def real_patches(config, shape: tuple[int, ...], extents: jax.Array | None) -> jax.Array:
    """Return which patches of pixels [B, H, W, 3] show the image, bool[B, h, w].

    Args:
      config: its ``partial_patches`` says whether a patch that is partly padding counts.
      extents: i32[B, 2], height and width of the image; None takes all pixels.
    """
    size = config.patch_size
    batch, counts = shape[0], (shape[1] // size, shape[2] // size)
    if extents is None:
        return jnp.ones((batch, *counts), bool)
    # Either the last pixel of a patch must belong to the image, or only the first.
    last = 0 if config.partial_patches else size - 1
    rows, columns = (
        jnp.arange(count) * size + last < extents[:, axis, None]
        for axis, count in enumerate(counts)
    )
    return rows[:, :, None] & columns[:, None, :]


def position_ids(config, real: jax.Array) -> jax.Array:
    """Return the rows of the table of positions, i32[B, h * w]; padding takes row 0."""
    batch, height, width = real.shape
    table = jnp.asarray(buckets(config.grid, max(height, width), config.positions))
    rows = table[jnp.sum(real[:, :, 0], axis=1)][:, :height]
    columns = table[jnp.sum(real[:, 0, :], axis=1)][:, :width]
    ids = rows[:, :, None] * config.grid + columns[:, None, :]
    return jnp.where(real, ids, 0).reshape(batch, -1)
