"""Resample learned positions of a grid of patches to another grid, as PyTorch does."""

import jax
import numpy as np


def resample_positions(table: np.ndarray, grid: int, method: str = "bicubic") -> np.ndarray:
    """Resample a square table of positions float[n * n, D] to float32[grid * grid, D].

    Args:
      method: "bicubic", cubic convolution with a = -0.75, half-pixel centres and repeated edges, is
        ``interpolate(mode="bicubic", align_corners=False)``; "antialiased bicubic" (a = -0.5) and
        "antialiased bilinear" are those modes with ``antialias=True``.

    Raises:
      ValueError: the table is not square, or an unknown method.
    """
    side = round(len(table) ** 0.5)
    if side * side != len(table):
        raise ValueError(f"position table: expected a square number of rows, found {len(table)}")
    weights = _WEIGHTS[method](side, grid)
    square = table.reshape(side, side, -1)
    return np.einsum("yi,xj,ijd->yxd", weights, weights, square, optimize=True).reshape(
        grid * grid, -1
    )


def resample_distances(table: np.ndarray, side: int) -> np.ndarray:
    """Resample float[..., 2 n - 1, E], one row for each distance of two patches along a side of n,
    to float32[..., 2 side - 1, E], linearly (``interpolate(mode="linear")``).
    """
    count, rows = table.shape[-2], 2 * side - 1
    places = np.clip((np.arange(rows) + 0.5) * count / rows - 0.5, 0, count - 1)
    low = np.floor(places).astype(int)
    high = np.minimum(low + 1, count - 1)
    share = (places - low).astype(np.float32)[:, None]
    return table[..., low, :] * (1 - share) + table[..., high, :] * share


def _cubic_weights(size: int, new_size: int) -> np.ndarray:
    """Return float32[new_size, size], the weight of each old place in each new one."""
    a = -0.75
    centres = (np.arange(new_size) + 0.5) * size / new_size - 0.5
    weights = np.zeros((new_size, size))
    for offset in range(-1, 3):
        place = np.floor(centres).astype(int) + offset
        t = np.abs(centres - place)
        near = (a + 2) * t**3 - (a + 3) * t**2 + 1
        far = a * (t**3 - 5 * t**2 + 8 * t - 4)
        share = np.where(t <= 1, near, far)
        np.add.at(weights, (np.arange(new_size), np.clip(place, 0, size - 1)), share)
    return weights.astype(np.float32)


def _antialiased(method: str):
    def weights(size: int, new_size: int) -> np.ndarray:
        each = np.eye(size, dtype=np.float32)
        return np.asarray(jax.image.resize(each, (new_size, size), method, antialias=True))

    return weights


_WEIGHTS = {
    "bicubic": _cubic_weights,
    "antialiased bicubic": _antialiased("cubic"),
    "antialiased bilinear": _antialiased("linear"),
}
