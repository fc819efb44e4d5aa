"""How LLaVA-NeXT shows a picture of any shape ("AnyRes", Liu et al. 2024,
https://llava-vl.github.io/blog/2024-01-30-llava-next): the whole in one tile, followed by the tiles
of a larger canvas, whose tokens are stitched together, freed of padding, and read row by row.

Sizes are (height, width) in pixels, grids (rows, columns) in square tiles. A tile has ``cells``
tokens along a side, and ``cells`` more that end rows of the stitched tokens: N in all.
"""

import math
from collections.abc import Sequence
from functools import cache

import numpy as np

Size = tuple[int, int]

# The canvases, in pixels, of a published file that lists none.
PINPOINTS = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]
WHOLE = (0, 0)  # the grid of a picture that is shown in one tile


def are_grids(grids: object) -> bool:
    """Return whether these are one or more pairs of positive numbers."""
    pairs = isinstance(grids, tuple) and all(isinstance(grid, tuple) for grid in grids)
    return bool(grids) and pairs and all(len(g) == 2 and min(g) > 0 for g in grids)


def grids_of(pinpoints: object, side: int) -> tuple[Size, ...]:
    """Return the grids of canvases in pixels, which published files call ``image_grid_pinpoints``.

    Raises:
      ValueError: they are no such canvases; the message says what is expected.
    """
    if isinstance(pinpoints, list) and all(isinstance(p, list) for p in pinpoints):
        whole = all(type(n) is int and n % side == 0 for pixels in pinpoints for n in pixels)
        grids = tuple(tuple(n // side for n in p) for p in pinpoints) if whole else ()
        if are_grids(grids):
            return grids
    raise ValueError(f"a list of [height, width] in positive multiples of {side}, a tile's side")


def best_grid(size: Size, grids: Sequence[Size], side: int) -> Size:
    """Return the grid whose canvas shows the most pixels of a picture; of several the one with the
    least left over, and of these the first.

    Args:
      side: of a tile in pixels.
    """

    def rank(grid: Size) -> tuple[int, int]:
        height, width = grid[0] * side, grid[1] * side
        scale = min(width / size[1], height / size[0])
        seen = min(int(size[1] * scale) * int(size[0] * scale), size[0] * size[1])
        return -seen, height * width - seen

    return min(grids, key=rank)


def fitted(size: Size, canvas: Size) -> Size:
    """Return the largest size of the shape of a picture that a canvas holds."""
    down, across = canvas[0] / size[0], canvas[1] / size[1]
    if across < down:
        return min(math.ceil(size[0] * across), canvas[0]), canvas[1]
    return canvas[0], min(math.ceil(size[1] * down), canvas[1])


def unpadded(size: Size, grid: Size, cells: int) -> Size:
    """Return the (rows, columns) of tokens of a stitched grid that the picture itself fills.

    They follow from the shape of the picture, as published, not from the pixels of its padding.
    """
    rows, columns = grid[0] * cells, grid[1] * cells
    if size[1] / size[0] > columns / rows:
        return rows - 2 * ((rows - int(round(size[0] * (columns / size[1]), 7))) // 2), columns
    return rows, columns - 2 * ((columns - int(round(size[1] * (rows / size[0]), 7))) // 2)


@cache
def offsets_of(grid: Size, kept: Size, cells: int) -> np.ndarray:
    """Return where the tokens of each tile stand, counted from the first token of the picture.

    First come the tokens of the whole picture, then those of the stitched tiles, each row ended by
    one token more. A picture without a grid has one such token, at its end.

    Args:
      kept: as ``unpadded`` returns it.

    Returns:
      i32[tiles, N], -1 for tokens that stand nowhere: those of padding, and ends of rows in other
      tiles than the last of a row.
    """
    count, (height, width) = cells**2, kept
    offsets = np.full((1 + grid[0] * grid[1], count + cells), -1, np.int32)
    offsets[0, :count] = np.arange(count)
    if grid == WHOLE:
        offsets[0, count] = count
    top, left = (grid[0] * cells - height) // 2, (grid[1] * cells - width) // 2
    for tile in range(grid[0] * grid[1]):
        row = tile // grid[1] * cells - top + np.arange(cells)[:, None]
        column = tile % grid[1] * cells - left + np.arange(cells)
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        places = count + row * (width + 1) + column
        offsets[1 + tile, :count] = np.where(inside, places, -1).reshape(-1)
        if tile % grid[1] == grid[1] - 1:
            ends = np.where((row >= 0) & (row < height), count + row * (width + 1) + width, -1)
            offsets[1 + tile, count:] = ends[:, 0]
    offsets.setflags(write=False)  # it is shared
    return offsets


def blank(tokens: int, tiles: int, cells: int) -> np.ndarray:
    """Return offsets i32[tiles, N] of a picture of which only these numbers are known."""
    offsets = np.full(tiles * (cells**2 + cells), -1, np.int32)
    offsets[:tokens] = np.arange(tokens)
    return offsets.reshape(tiles, -1)


def published_tiles(
    pixels: np.ndarray, sizes: object, config
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the tiles of all pictures that transformers gives to a model, float[T, 3, H, W], and
    the offsets of each picture.

    Args:
      pixels: float[N, P, 3, H, W], padded with more tiles. sizes: i[N, 2], of each picture.
      config: of the model; its ``grids``, ``cells`` and ``vision.image_size`` are read.

    Raises:
      ValueError: a shape that is not this one, or fewer tiles than a picture of that size has.
    """
    if pixels.ndim != 5:
        raise ValueError(f"pixel_values: expected [N, P, 3, H, W], found shape {pixels.shape}")
    if np.shape(sizes) != (len(pixels), 2):
        found = "none" if sizes is None else f"shape {np.shape(sizes)}"
        raise ValueError(
            f"image_sizes: expected the height and width of {len(pixels)} pictures, found {found}"
        )
    tiles, offsets = [np.zeros((0, *pixels.shape[2:]), pixels.dtype)], []
    for number, (picture, size) in enumerate(zip(pixels, np.asarray(sizes).tolist(), strict=True)):
        grid = best_grid(size, config.grids, config.vision.image_size)
        offsets.append(offsets_of(grid, unpadded(size, grid, config.cells), config.cells))
        if (wanted := len(offsets[-1])) > len(picture):
            raise ValueError(
                f"pixel_values: expected {wanted} tiles of picture {number}, which is {size[1]} "
                f"wide and {size[0]} high, found {len(picture)}"
            )
        tiles.append(picture[:wanted])
    return np.concatenate(tiles), offsets
