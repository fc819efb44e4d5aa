"""An encoder of tones and colours: what exposure, white balance, saturation, contrast and vignette
change. It sees no edges.

Luminance here is luma, .299 R + .587 G + .114 B; light is the linear light of sRGB. Logarithms are
of base 2, so that a stop of exposure is a step of 1. B pictures, S pixels of a side, N cells.
"""

import jax
import jax.numpy as jnp
import numpy as np

from mllm.models.encoders.statistics import Colours, Real, StatisticsEncoder, averages, computed

LEVELS = 16  # of the histogram of luma
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
WEIGHTS = (0.299, 0.587, 0.114)
DARKEST = 2.0**-9  # added to light before its logarithm: a little more than level 1 of 255

# What is averaged over each cell and over the picture, in this order.
TONES = (
    "red, green, blue",  # colour, 3 values
    "luma",  # exposure as displayed
    "stops",  # logarithm of light: exposure in EV
    "red - green",  # the first opponent axis: tint
    "yellow - blue",  # the second opponent axis: warm or cold
    "saturation",  # (largest - smallest) / largest channel
    "chroma",  # largest - smallest channel
    "cos, sin of hue",  # weighted by chroma: the leading hue, 2 values
    "cos, sin of twice the hue",  # weighted by chroma: two complementary hues, 2 values
    "highlights",  # share of pixels with a channel of at least 250
    "shadows",  # share of pixels with all channels at most 5
    "histogram of luma",  # share of pixels near each level, LEVELS values
)
# Of each cell and of the picture, besides: standard deviations of red, green, blue, luma, stops and
# both opponent axes (contrast), and logarithms of red / green and blue / green (white balance).
# Of the picture alone: quantiles of luma; logarithms of red / green and blue / green of its bright
# and of its dark parts (a cast of one of them); slopes of stops along x, y and the squared distance
# from its centre (light from one side, graduated filter, vignette); logarithms of its two sides.


def light_of(pixels: jax.Array) -> jax.Array:
    """Return the linear light of sRGB values in [0, 1] (IEC 61966-2-1)."""
    curve = jnp.exp2(2.4 * jnp.log2((jnp.maximum(pixels, 0.04045) + 0.055) / 1.055))
    return jnp.where(pixels <= 0.04045, pixels / 12.92, curve)


def luma_of(colours: Colours) -> jax.Array:
    """Return luma float32[B, S, S]; not by a matrix product, which may round its factors."""
    return sum(weight * colour for weight, colour in zip(WEIGHTS, colours, strict=True))


def tones_of(colours: Colours) -> list[jax.Array]:
    """Return ``TONES`` of each pixel, float32[B, S, S] each."""
    red, green, blue = colours
    luma = luma_of(colours)
    stops = jnp.log2(light_of(luma) + DARKEST)
    most = jnp.maximum(jnp.maximum(red, green), blue)
    chroma = most - jnp.minimum(jnp.minimum(red, green), blue)
    # Hue is the angle in the plane of two opponent axes; its cosine is x / r.
    x, y = red - (green + blue) / 2, np.sqrt(3) / 2 * (green - blue)
    inverse = jax.lax.rsqrt(jnp.square(x) + jnp.square(y) + 1e-8)
    luma, stops, chroma, most, cos, sin = computed(
        luma, stops, chroma, most, x * inverse, y * inverse
    )
    tint, warmth = red - green, (red + green) / 2 - blue
    saturation = chroma / jnp.maximum(most, 1 / 255)
    values = [red, green, blue, luma, stops, tint, warmth, saturation, chroma]
    hues = cos, sin, jnp.square(cos) - jnp.square(sin), 2 * cos * sin
    values += [hue * chroma for hue in hues]
    values += [clipped.astype(luma.dtype) for clipped in (most >= 249.5 / 255, most <= 5.5 / 255)]
    levels = luma * (LEVELS - 1)
    return values + [jnp.maximum(1 - jnp.abs(levels - n), 0) for n in range(LEVELS)]


def describe(tones: jax.Array, squares: jax.Array) -> jax.Array:
    """Return what a place is described by, scaled to a size of about 1: float32[..., 25 + LEVELS].

    Args:
      tones: averages of ``TONES``. squares: averages of the squares of the first seven.
    """
    spread = jnp.sqrt(jnp.maximum(squares - jnp.square(tones[..., :7]), 0) + 1e-6)
    bends = (0.5, 0.5, 0.5, 0.5, -3.0, 0, 0, 0.3, 0.2, 0, 0, 0, 0, 0, 0)
    sizes = (4, 4, 4, 4, 0.5, 8, 8, 3, 4, 5, 5, 5, 5, 3, 3)
    plain = (tones[..., :15] - jnp.asarray(bends)) * jnp.asarray(sizes, jnp.float32)
    spreads = jnp.log2(spread) + jnp.asarray((3, 3, 3, 3, 0, 4, 4), jnp.float32)
    shares = jnp.sqrt(tones[..., 15:] + 1e-4) * 2
    return jnp.concatenate([plain, spreads, cast_of(tones[..., :3]), shares], axis=-1)


def cast_of(colour: jax.Array) -> jax.Array:
    """Return log2 of red / green and blue / green and their sum, [..., 3] -> [..., 3]."""
    red, green, blue = (jnp.log2(colour[..., n] + 0.02) for n in range(3))
    return jnp.stack([red - green, blue - green, red + blue - 2 * green], axis=-1) * 2


def quantiles_of(shares: jax.Array) -> jax.Array:
    """Return ``QUANTILES`` of luma, float32[B, 7], from its histogram float32[B, LEVELS], linear
    between levels.
    """
    below = jnp.cumsum(shares, axis=-1)[:, None, :]
    wanted = jnp.asarray(QUANTILES)[:, None]
    before = jnp.concatenate([jnp.zeros_like(below[..., :1]), below[..., :-1]], axis=-1)
    steps = jnp.clip((wanted - before) / jnp.maximum(below - before, 1e-6), 0, 1)
    return steps.sum(axis=-1) / LEVELS


def slopes_of(values: jax.Array, real: Real) -> jax.Array:
    """Return the covariances of float32[B, S, S] with x, y and x^2 + y^2, each divided by the
    variance of that: float32[B, 3]. Coordinates run from -1 to 1 along each side of the picture.
    """
    places = jnp.arange(values.shape[1], dtype=jnp.float32) + 0.5
    y, x = (places * 2 / real.size[:, axis, None] - 1 for axis in (0, 1))
    y, x = jnp.broadcast_arrays(y[:, :, None], x[:, None, :])
    count, found = real.weight.sum(axis=(1, 2)), []
    for axis in (x, y, jnp.square(x) + jnp.square(y)):
        mean = (axis * real.weight).sum(axis=(1, 2)) / count
        centred = (axis - mean[:, None, None]) * real.weight
        covariance, variance = ((centred * z).sum(axis=(1, 2)) / count for z in (values, centred))
        found.append(covariance / (variance + 1e-6))
    return jnp.stack(found, axis=-1)


class ColourEncoder(StatisticsEncoder):
    """Tones and colours of each cell and of the picture, then a small transformer."""

    def measure(self, colours: Colours, real: Real) -> tuple[jax.Array, jax.Array]:
        tones = tones_of(colours)
        luma, count = tones[3], len(tones)
        parts = jnp.square(jnp.square(luma)), jnp.square(jnp.square(1 - luma))  # bright and dark
        planes = tones + [jnp.square(tone) for tone in tones[:7]]
        planes += [colour * part for part in parts for colour in tones[:3]] + list(parts)
        cells, whole = averages(planes, real, self.config.patch_size)

        def described(means: jax.Array) -> jax.Array:
            return describe(means[..., :count], means[..., count : count + 7])

        rest = whole[:, count + 7 :]
        casts = [
            cast_of(rest[:, 3 * n : 3 * n + 3] / (rest[:, 6 + n, None] + 1e-4)) for n in range(2)
        ]
        shades = quantiles_of(whole[:, 15:count])
        slopes = slopes_of(tones[4], real)
        sides = jnp.log2(real.size / self.config.image_size)
        alone = [(shades - 0.5) * 4, *casts, slopes, sides]
        return described(cells), jnp.concatenate([described(whole), *alone], axis=-1)
