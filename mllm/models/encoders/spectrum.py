"""An encoder of edges and frequencies: what blur and its direction, noise, sharpening, compression,
tilt and colour fringes change. It sees no colours, and hardly any tones.

All is measured by differences of neighbours, at three levels of a pyramid: the pixels, and means of
2 x 2 and of 4 x 4 of them. B pictures, S pixels of a side, N cells.
"""

import itertools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from mllm.models.encoders.colour import luma_of
from mllm.models.encoders.statistics import (
    Colours,
    Real,
    StatisticsConfig,
    StatisticsEncoder,
    averages,
    computed,
    repeat_edges,
)

LEVELS = 3  # of the pyramid
DIRECTIONS = ((0, 1), (1, 1), (1, 0), (1, -1))  # of (y, x): along rows, down, along columns, up
BLOCK = 8  # pixels of a block's side in JPEG (ITU-T T.81)
TURNS = (2, 4, 6, 8)  # multiples of the angle in the Fourier series of directions
FLOOR = 1e-6  # added to energies before their logarithm: less than a rounding error of 8 bits

# Of each cell and of the picture, in this order. Energies e become log10(e + FLOOR).
# At each level:
#   energies of differences in four directions: blur, its direction, texture
#   energy of the 2-D second difference (Immerkaer 1996), which straight edges do not leave: noise
#   ratio of its mean size to its root mean square: few strong edges, or many weak ones
#   Fourier series of the directions of gradients, weighted by their size (8 values), and the
#   logarithm of that size: tilt of the horizon, leading lines
# Between two levels:
#   energy of what the mean of 2 x 2 leaves out: sharpness, halos
# Of the pixels:
#   energies of the second difference and of the gradient of red - green and blue - green: colour
#   noise, coloured edges; 4 values
#   ratio of differences across the borders of blocks to all, by direction: compression; 2 values
#   shifts of red and blue against green along rows and columns, in pixels: fringes; 4 values
# Of the picture alone: the growth of both shifts with the distance from its centre (lateral
# chromatic aberration), and of each energy the least and the largest over its cells: noise shows in
# the flattest of them, focus in the sharpest.
ENERGIES = LEVELS * (len(DIRECTIONS) + 1) + (LEVELS - 1) + 4


@dataclass(frozen=True)
class SpectrumConfig(StatisticsConfig):
    """Shape of the encoder; ``patch_size`` must be a multiple of 4, which the pyramid halves."""

    def __post_init__(self):
        super().__post_init__()
        if self.patch_size % 2 ** (LEVELS - 1):
            raise ValueError(
                f"cells of {self.patch_size} pixels cannot be halved {LEVELS - 1} times: choose a "
                f"patch_size that is a multiple of {2 ** (LEVELS - 1)}"
            )


class Wide:
    """A plane float[B, S, S] with its border repeated, to be read from neighbouring places."""

    def __init__(self, plane: jax.Array):
        self.size = plane.shape[1]
        (self.here,) = computed(plane)
        (self.plane,) = computed(jnp.pad(self.here, ((0, 0), (1, 1), (1, 1)), mode="edge"))

    def at(self, rows: int, columns: int) -> jax.Array:
        """Return float[B, S, S] whose value at (i, j) is that at (i + rows, j + columns)."""
        top, left = 1 + rows, 1 + columns
        return self.plane[:, top : top + self.size, left : left + self.size]

    def gradient(self) -> tuple[jax.Array, jax.Array]:
        """Return central differences along x and along y."""
        return (self.at(0, 1) - self.at(0, -1)) / 2, (self.at(1, 0) - self.at(-1, 0)) / 2

    def bends(self) -> tuple[jax.Array, jax.Array]:
        """Return second differences along x and along y."""
        twice = 2 * self.here
        return self.at(0, 1) + self.at(0, -1) - twice, self.at(1, 0) + self.at(-1, 0) - twice

    def second_difference(self) -> jax.Array:
        """Return [1, -2, 1] along rows and columns, divided by 6: of white noise of variance v it
        has variance v (Immerkaer, Fast noise variance estimation, CVIU 1996).
        """
        wide = self.plane
        (wide,) = computed(wide[:, :-2] - 2 * wide[:, 1:-1] + wide[:, 2:])
        return (wide[..., :-2] - 2 * wide[..., 1:-1] + wide[..., 2:]) / 6


def halved(plane: jax.Array) -> jax.Array:
    """Return the means of 2 x 2 neighbours, float[B, S / 2, S / 2]."""
    batch, side, _ = plane.shape
    rows = plane[:, ::2] + plane[:, 1::2]
    return rows.reshape(batch, side // 2, side // 2, 2).sum(axis=-1) / 4


def directions_of(x: jax.Array, y: jax.Array) -> list[jax.Array]:
    """Return the cosine and sine of ``TURNS`` of the gradient's angle, weighted by its size, and
    that size: float[B, S, S] each.
    """
    squared = jnp.square(x) + jnp.square(y) + 1e-10
    inverse = 1 / squared
    size, cos, sin = computed(
        jnp.sqrt(squared), (jnp.square(x) - jnp.square(y)) * inverse, 2 * x * y * inverse
    )
    two, found = (cos, sin), []
    for _ in TURNS:
        found += [size * cos, size * sin]
        cos, sin = cos * two[0] - sin * two[1], cos * two[1] + sin * two[0]
    return [*found, size]


def level_planes(level: Wide) -> list[jax.Array]:
    """Return what is averaged of one level of the pyramid: 4 energies of differences, the energy of
    noise, its size, the energy of all, and 9 planes of directions.
    """
    noise = level.second_difference()
    energies = [jnp.square(level.at(*step) - level.here) for step in DIRECTIONS]
    energies += [jnp.square(noise), jnp.abs(noise), jnp.square(level.here)]
    return energies + directions_of(*level.gradient())


def fringe_planes(colours: Colours, real: Real) -> list[jax.Array]:
    """Return what is averaged of red - green and blue - green: 4 energies; then products whose
    averages give the shift of red and blue against green.

    If red is green moved by d pixels, red - green is about d times the derivative of green, and its
    derivative d times the second one. So d is the average of the product of both divided by that of
    the second derivative^2; at an edge between two colours that nothing moved the product is odd,
    and its average 0. Along rows, columns, and both with d growing with the distance from the
    centre.
    """
    green, fringes = Wide(colours[1]), [Wide(colours[n] - colours[1]) for n in (0, 2)]
    slopes = [fringe.gradient() for fringe in fringes]
    energies = [jnp.square(fringe.second_difference()) for fringe in fringes]
    energies += [jnp.square(x) + jnp.square(y) for x, y in slopes]
    x, y = computed(*green.bends())
    places = jnp.arange(green.size, dtype=jnp.float32) + 0.5
    half = real.size / 2
    side = jnp.max(half, axis=1)[:, None]
    down, right = ((places - half[:, axis, None]) / side for axis in (0, 1))
    right, down = right[:, None, :], down[:, :, None]
    products = [[x * dx, y * dy, x * dx * right + y * dy * down] for dx, dy in slopes]
    squares = [jnp.square(x), jnp.square(y), jnp.square(x * right) + jnp.square(y * down)]
    return [*energies, *products[0], *products[1], *squares]


def block_planes(luma: Wide) -> list[jax.Array]:
    """Return differences along rows and columns, across the borders of blocks and all."""
    last = np.arange(luma.size) % BLOCK == BLOCK - 1
    across, down = (jnp.abs(luma.at(*step) - luma.here) for step in ((0, 1), (1, 0)))
    return [across * last, down * last[:, None], across, down]


class SpectrumEncoder(StatisticsEncoder):
    """Edges and frequencies of each cell and of the picture, then a small transformer."""

    config: SpectrumConfig

    def measure(self, colours: Colours, real: Real) -> tuple[jax.Array, jax.Array]:
        size = self.config.patch_size
        colours = computed(*(repeat_edges(colour, real) for colour in colours))
        luma, levels = luma_of(colours), []
        for number in range(LEVELS):
            scale = 2**number
            if number:
                luma = halved(luma)
            wide = Wide(luma)
            planes = level_planes(wide)
            if not number:
                planes += [*fringe_planes(colours, real), *block_planes(wide)]
            part = real._replace(weight=real.weight[:, ::scale, ::scale])
            levels.append(averages(planes, part, size // scale))
        cells, whole = (described(means) for means in zip(*levels, strict=True))
        shown = real.weight[:, ::size, ::size].reshape(*cells.shape[:2], 1) > 0
        logs = cells[..., :ENERGIES]
        least = jnp.where(shown, logs, jnp.inf).min(axis=1)
        most = jnp.where(shown, logs, -jnp.inf).max(axis=1)
        return cells[..., :-2], jnp.concatenate([whole, least, most], axis=-1)


def described(levels: tuple[jax.Array, ...]) -> jax.Array:
    """Return what a place is described by, about of size 1: float32[..., E] from the averages of
    each level's planes; the last 2 are of a whole picture alone.
    """

    def log(energies: jax.Array, usual: float) -> jax.Array:
        return jnp.log10(jnp.maximum(energies, 0) + FLOOR) - usual

    pixels, energies, shapes = levels[0][..., 16:], [], []
    for means in levels:
        energies += [log(means[..., :4], -2.5), log(means[..., 4:5], -4.0)]
        noise = jnp.sqrt(means[..., 4:5] + FLOOR)
        size = means[..., 15:16] + 1e-3
        ratio, turns = means[..., 5:6] / noise, means[..., 7:15] / size
        shapes += [(ratio - 0.6) * 4, turns * 3, jnp.log10(size) + 1.5]
    for fine, coarse in itertools.pairwise(levels):
        energies.append(log(fine[..., 6:7] - coarse[..., 6:7], -3.0))
    energies.append(log(pixels[..., :4], -4.5))
    at_borders, everywhere = pixels[..., 13:15] * BLOCK, pixels[..., 15:17]
    blocks = jnp.log2((at_borders + 1e-3) / (everywhere + 1e-3))
    squares = pixels[..., 10:13] + 1e-5
    shifts = [jnp.clip(pixels[..., n : n + 3] / squares, -3, 3) for n in (4, 7)]
    near = [shift[..., :2] for shift in shifts]
    far = [shift[..., 2:] for shift in shifts]
    return jnp.concatenate([*energies, *shapes, jnp.clip(blocks * 2, -4, 4), *near, *far], axis=-1)
