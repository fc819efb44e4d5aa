"""An encoder of edges and frequencies: what blur and its direction, noise, sharpening, compression,
tilt and colour fringes change. It sees no colours, and hardly any tones.

All is measured by differences of neighbours: energies at distances of 1, 2, 4 and 8 pixels in four
directions, and directions of gradients. B pictures, S pixels of a side, N cells.
"""

import jax
import jax.numpy as jnp
import numpy as np

from mllm.models.encoders.colour import luma_of
from mllm.models.encoders.statistics import Real, StatisticsEncoder, averages

DISTANCES = (1, 2, 4, 8)
DIRECTIONS = ((0, 1), (1, 1), (1, 0), (1, -1))  # of (y, x): along rows, down, down columns, up
BLOCK = 8  # pixels of a block's side in JPEG (ITU-T T.81)
TURNS = (2, 4, 6, 8)  # multiples of the angle in the Fourier series of directions
FLOOR = 1e-6  # added to energies before their logarithm: less than a rounding error of 8 bits

# What is averaged over each cell and over the picture. Energies e become log10(e + FLOOR).
ENERGIES = (
    "differences",  # squared, by distance and direction: blur, its direction, texture; 16 values
    "noise",  # squared 2-D second difference (Immerkaer 1996): what no straight edge leaves
    "bands",  # squared bands of the blurred picture, 4 values: sharpness, halos
    "colour noise",  # squared second differences of red - green and blue - green; 2 values
    "fringes",  # squared gradients of red - green and blue - green; 2 values
)
# Ratios besides: of mean size to root mean square of the noise (few strong edges or many weak
# ones); of differences across the borders of blocks to all others (compression), by direction;
# the Fourier series of the directions of gradients at distances 1, 2 and 4, weighted by their
# size (tilt of the horizon, leading lines); the shift of red and of blue against green along their
# gradient (fringes of one side).
# Of the picture alone: the least and largest of each logarithm over its cells (noise shows in the
# flattest of them, focus in the sharpest), and the radial growth of both shifts (lateral chromatic
# aberration).


def moved(x: jax.Array, rows: int, columns: int) -> jax.Array:
    """Return float[B, S, S, C] whose value at (i, j) is that of x at (i + rows, j + columns); the
    border is repeated.
    """
    pad = max(abs(rows), abs(columns))
    wide = jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode="edge")
    size = x.shape[1]
    top, left = pad + rows, pad + columns
    return wide[:, top : top + size, left : left + size]


def smoothed(x: jax.Array, distance: int) -> jax.Array:
    """Blur with [1, 2, 1] / 4 along both sides, taps ``distance`` apart (Starck & Murtagh 1994)."""
    for rows, columns in ((distance, 0), (0, distance)):
        x = x / 2 + (moved(x, rows, columns) + moved(x, -rows, -columns)) / 4
    return x


def gradient(x: jax.Array, distance: int = 1) -> tuple[jax.Array, jax.Array]:
    """Return central differences along x and along y."""
    return tuple(
        (moved(x, *step) - moved(x, -step[0], -step[1])) / 2
        for step in ((0, distance), (distance, 0))
    )


def second_difference(x: jax.Array) -> jax.Array:
    """Return [1, -2, 1] along rows and columns, divided by 6: of white noise of variance v it has
    variance v (Immerkaer, Fast noise variance estimation, CVIU 1996).
    """
    for rows, columns in ((1, 0), (0, 1)):
        x = moved(x, rows, columns) + moved(x, -rows, -columns) - 2 * x
    return x / 6


def directions_of(x: jax.Array, y: jax.Array) -> jax.Array:
    """Return the cosine and sine of ``TURNS`` of the gradient's angle, weighted by its size, and
    that size: float[B, S, S, 9] of gradients [B, S, S, 1].
    """
    size = jnp.sqrt(jnp.square(x) + jnp.square(y) + 1e-10)
    cos, sin = x / size, y / size
    two = jnp.square(cos) - jnp.square(sin), 2 * cos * sin
    turned, found = two, [size * part for part in two]
    for _ in TURNS[1:]:
        turned = turned[0] * two[0] - turned[1] * two[1], turned[0] * two[1] + turned[1] * two[0]
        found += [size * part for part in turned]
    return jnp.concatenate([*found, size], axis=-1)


class SpectrumEncoder(StatisticsEncoder):
    """Edges and frequencies of each cell and of the picture, then a small transformer."""

    def measure(self, pixels: jax.Array, real: Real) -> tuple[jax.Array, jax.Array]:
        size = self.config.patch_size
        cells, whole = averages(measurements(pixels, real), real, size)
        cells, whole = described(cells), described(whole)
        shown = real.weight[:, ::size, ::size].reshape(*cells.shape[:2], 1) > 0
        logs = cells[..., : len(_CENTRES)]
        least = jnp.where(shown, logs, jnp.inf).min(axis=1)
        most = jnp.where(shown, logs, -jnp.inf).max(axis=1)
        return cells[..., :-2], jnp.concatenate([whole, least, most], axis=-1)


# The usual logarithm of each of ``ENERGIES``, which is subtracted.
_CENTRES = (-2.5,) * 16 + (-4.0,) + (-3.0,) * 4 + (-4.5,) * 4


def measurements(pixels: jax.Array, real: Real) -> jax.Array:
    """Return what is averaged, float32[B, S, S, 66]."""
    luma = luma_of(pixels)[..., None]
    fringes = pixels[..., ::2] - pixels[..., 1:2]  # red - green, blue - green
    squares = []
    for distance in DISTANCES:
        for rows, columns in DIRECTIONS:
            squares.append(moved(luma, rows * distance, columns * distance) - luma)
    noise = second_difference(luma)
    bands, blurred = [], luma
    for distance in DISTANCES:
        coarser = smoothed(blurred, distance)
        bands.append(blurred - coarser)
        blurred = coarser
    slopes = gradient(fringes)
    energies = [jnp.square(x) for x in (*squares, noise, *bands, second_difference(fringes))]
    energies.append(jnp.square(slopes[0]) + jnp.square(slopes[1]))

    down, across = squares[2], squares[0]  # at distance 1
    places = np.arange(luma.shape[1]) % BLOCK == BLOCK - 1
    blocks = [
        jnp.abs(across) * places[None, None, :, None],
        jnp.abs(across),
        jnp.abs(down) * places[None, :, None, None],
        jnp.abs(down),
    ]
    gradients = [gradient(luma)]
    coarse = luma
    for distance in (1, 2):
        coarse = smoothed(coarse, distance)
        gradients.append(gradient(coarse, 2 * distance))
    turns = [directions_of(*one) for one in gradients]
    return jnp.concatenate(
        [*energies, jnp.abs(noise), *blocks, *turns, *shifts(pixels, real)], axis=-1
    )


def shifts(pixels: jax.Array, real: Real) -> list[jax.Array]:
    """Return products whose averages give the shift of red and blue against green.

    If red is green moved by d pixels, red - green is about d times the derivative of green. So d is
    the average of derivative * (red - green) divided by that of derivative^2, of what a blur
    leaves out, where colours of surfaces do not enter. The derivative is taken along rows, along
    columns, and along the line from the centre, where d grows with the distance.
    """
    detail = pixels - smoothed(smoothed(pixels, 1), 2)
    green, others = detail[..., 1:2], detail[..., ::2]
    x, y = gradient(green)
    places = jnp.arange(pixels.shape[1], dtype=jnp.float32) + 0.5
    half = real.size / 2
    side = jnp.max(half, axis=1)[:, None]
    down, right = ((places - half[:, axis, None]) / side for axis in (0, 1))
    radial = x * right[:, None, :, None] + y * down[:, :, None, None]
    found = []
    for derivative in (x, y, radial):
        found += [derivative * (others - green), jnp.square(derivative)]
    return found


def described(means: jax.Array) -> jax.Array:
    """Return what a place is described by, about of size 1: float32[..., 25 + 1 + 2 + 27 + 6] from
    averages of ``measurements``; the last 2 are of a whole picture alone.
    """
    count = len(_CENTRES)
    logs = jnp.log10(means[..., :count] + FLOOR) - jnp.asarray(_CENTRES)
    noise = means[..., 16:17]
    rest = means[..., count:]
    found = [logs, (rest[..., :1] / jnp.sqrt(noise + FLOOR) - 0.6) * 4]
    for n in (1, 3):
        at, all_of = rest[..., n : n + 1] * BLOCK, rest[..., n + 1 : n + 2]
        found.append(jnp.clip(jnp.log2((at + 1e-3) / (all_of + 1e-3)), -2, 2) * 2)
    rest = rest[..., 5:]
    for n in range(3):
        turns, size = rest[..., 9 * n : 9 * n + 8], rest[..., 9 * n + 8 : 9 * n + 9]
        found += [turns / (size + 1e-3) * 3, jnp.log10(size + 1e-3) + 1.5]
    rest = rest[..., 27:]
    for n in range(3):
        product, square = rest[..., 3 * n : 3 * n + 2], rest[..., 3 * n + 2 : 3 * n + 3]
        found.append(jnp.clip(product / (square + 1e-5), -3, 3))
    return jnp.concatenate(found, axis=-1)
