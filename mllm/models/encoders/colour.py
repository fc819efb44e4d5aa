"""An encoder of tones and colours: what exposure, white balance, saturation, contrast and vignette
change. It sees no edges.

Luminance here is luma, .299 R + .587 G + .114 B; light is the linear light of sRGB. Logarithms are
of base 2, so that a stop of exposure is a step of 1. B pictures, S pixels of a side, N cells.
"""

import jax
import jax.numpy as jnp
import numpy as np

from mllm.models.encoders.statistics import Real, StatisticsEncoder, averages

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
    curve = jnp.power((jnp.maximum(pixels, 0.04045) + 0.055) / 1.055, 2.4)
    return jnp.where(pixels <= 0.04045, pixels / 12.92, curve)


def luma_of(pixels: jax.Array) -> jax.Array:
    """Return luma, [..., 3] -> [...]; no matrix product, which may round its factors."""
    return sum(weight * pixels[..., n] for n, weight in enumerate(WEIGHTS))


def tones_of(pixels: jax.Array) -> jax.Array:
    """Return ``TONES`` of each pixel, float32[B, S, S, 15 + LEVELS], of pixels in [0, 1]."""
    red, green, blue = (pixels[..., n] for n in range(3))
    luma = luma_of(pixels)
    stops = jnp.log2(light_of(luma) + DARKEST)
    tint, warmth = red - green, (red + green) / 2 - blue
    most, least = pixels.max(axis=-1), pixels.min(axis=-1)
    chroma = most - least
    saturation = chroma / jnp.maximum(most, 1 / 255)
    # Hue is the angle in the plane of the opponent axes; its cosine is x / r.
    x, y = red - (green + blue) / 2, np.sqrt(3) / 2 * (green - blue)
    radius = jnp.sqrt(jnp.square(x) + jnp.square(y) + 1e-8)
    cos, sin = x / radius, y / radius
    hues = [cos, sin, jnp.square(cos) - jnp.square(sin), 2 * cos * sin]
    clipped = [(most >= 249.5 / 255), (most <= 5.5 / 255)]
    values = [red, green, blue, luma, stops, tint, warmth, saturation, chroma]
    values += [hue * chroma for hue in hues] + [share.astype(pixels.dtype) for share in clipped]
    near = 1 - jnp.abs(luma[..., None] * (LEVELS - 1) - jnp.arange(LEVELS))
    return jnp.concatenate([jnp.stack(values, axis=-1), jnp.maximum(near, 0)], axis=-1)


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
    """Return the covariances of float32[B, S, S, 1] with x, y and x^2 + y^2, each divided by the
    variance of that: float32[B, 3]. Coordinates run from -1 to 1 along each side of the picture.
    """
    places = jnp.arange(values.shape[1], dtype=jnp.float32) + 0.5
    y, x = (places * 2 / real.size[:, axis, None] - 1 for axis in (0, 1))
    y, x = jnp.broadcast_arrays(y[:, :, None], x[:, None, :])
    axes = jnp.stack([x, y, jnp.square(x) + jnp.square(y)], axis=-1)
    count = real.weight.sum(axis=(1, 2))
    axes = axes - (axes * real.weight).sum(axis=(1, 2), keepdims=True) / count[:, None, None]
    covariance = (axes * values * real.weight).sum(axis=(1, 2)) / count
    variance = (jnp.square(axes) * real.weight).sum(axis=(1, 2)) / count
    return covariance / (variance + 1e-6)


class ColourEncoder(StatisticsEncoder):
    """Tones and colours of each cell and of the picture, then a small transformer."""

    def measure(self, pixels: jax.Array, real: Real) -> tuple[jax.Array, jax.Array]:
        tones = tones_of(pixels)
        luma = tones[..., 3:4]
        parts = [jnp.power(luma, 4), jnp.power(1 - luma, 4)]  # the bright ones and the dark ones
        extra = [pixels * part for part in parts] + parts
        measured = jnp.concatenate([tones, jnp.square(tones[..., :7]), *extra], axis=-1)
        cells, whole = averages(measured, real, self.config.patch_size)
        count = 15 + LEVELS

        def described(means: jax.Array) -> jax.Array:
            return describe(means[..., :count], means[..., count : count + 7])

        rest = whole[:, count + 7 :]
        casts = [
            cast_of(rest[:, 3 * n : 3 * n + 3] / (rest[:, 6 + n, None] + 1e-4)) for n in range(2)
        ]
        shades = quantiles_of(whole[:, 15:count])
        slopes = slopes_of(tones[..., 4:5], real)
        sides = jnp.log2(real.size / self.config.image_size)
        alone = [(shades - 0.5) * 4, *casts, slopes, sides]
        return described(cells), jnp.concatenate([described(whole), *alone], axis=-1)
