"""Arrays that scenes are drawn with: coordinates, noise, soft shapes. Colours are linear light.

H, W: height and width of the picture in pixels. x runs from 0 to W / H, y from 0 to 1, so that a
circle is round.
"""

import hashlib
from functools import cache

import numpy as np
from scipy import ndimage

TILE = 256  # pixels a side of a tile of noise


def generator(*seed: object) -> np.random.Generator:
    """Return a generator of random numbers that depends on the text of its seeds alone."""
    text = "/".join(map(str, seed))
    return np.random.default_rng(list(hashlib.sha256(text.encode()).digest()))


def to_linear(encoded: np.ndarray) -> np.ndarray:
    """Return linear light of sRGB values from 0 to 1 (IEC 61966-2-1)."""
    encoded = np.asarray(encoded, np.float32)
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def to_encoded(linear: np.ndarray) -> np.ndarray:
    """Return sRGB values from 0 to 1 of linear light, which is clipped to that range."""
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def colour(code: str) -> np.ndarray:
    """Return linear light float32[3] of a colour such as "#30a0ff"."""
    return to_linear(np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)], np.float32) / 255)


def grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return x float32[1, W] and y float32[H, 1] of the middles of pixels."""
    x = (np.arange(width, dtype=np.float32) + 0.5) / height
    y = (np.arange(height, dtype=np.float32) + 0.5) / height
    return x[None], y[:, None]


def smooth(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return a soft step: 0 below ``low``, 1 above ``high`` (or the other way round)."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def mix(under: np.ndarray, over: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Lay ``over`` on ``under``, both [H, W, 3] or [3], where mask [H, W] is 1."""
    mask = np.asarray(mask, np.float32)[..., None]
    return under + (over - under) * mask


@cache
def _tile(kind: int) -> np.ndarray:
    """Return a fractal tile of noise, float32[TILE, TILE], mean 0, deviation 1; it wraps round."""
    rng = generator("tile", kind)
    white = np.fft.rfft2(rng.standard_normal((TILE, TILE)))
    fy, fx = np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE)[None]
    frequency = np.sqrt(fx**2 + fy**2)
    frequency[0, 0] = 1
    amplitude = frequency ** -(1.7 if kind % 2 == 0 else 1.0) * (frequency > 2.5 / TILE)
    made = np.fft.irfft2(white * amplitude, s=(TILE, TILE))
    return ((made - made.mean()) / made.std()).astype(np.float32)


def noise(
    rng: np.random.Generator,
    height: int,
    width: int,
    scale: tuple[float, float] = (2, 2),
    *,
    fine: bool = False,
) -> np.ndarray:
    """Return fractal noise float32[H, W] with mean about 0 and deviation about 1.

    Args:
      scale: height and width of a tile, the picture's height being 1.
      fine: whether small structure is stronger, as in grass and stone.
    """
    tile = _tile(2 * int(rng.integers(2)) + int(fine))
    top, left = rng.integers(TILE, size=2)
    rows = top + np.arange(height) * (TILE / height / scale[0])
    columns = left + np.arange(width) * (TILE / height / scale[1])
    return _between(_between(tile, rows, 0), columns, 1)


def _between(tile: np.ndarray, places: np.ndarray, axis: int) -> np.ndarray:
    """Read a tile at places between its rows or columns."""
    whole = np.floor(places).astype(int)
    part = (places - whole).astype(np.float32)
    part = part[:, None] if axis == 0 else part[None]
    low, high = (np.take(tile, (whole + step) % TILE, axis) for step in (0, 1))
    return low + (high - low) * part


def curve(rng: np.random.Generator, width: int, height: int, roughness: float = 1) -> np.ndarray:
    """Return a ridge line float32[W] with deviation about 1; rougher ones have small peaks."""
    row = int(rng.integers(TILE))
    start = int(rng.integers(TILE))
    columns = start + np.arange(width) * (TILE / height) * 0.5 * roughness
    line = _tile(0)[row]
    return np.interp(columns % TILE, np.arange(TILE), line).astype(np.float32)


def blurred(values: np.ndarray, sigma: float) -> np.ndarray:
    """Return a Gaussian blur over the first two axes; sigma in pixels."""
    sigmas = (sigma, sigma, 0)[: values.ndim]
    return ndimage.gaussian_filter(values, sigmas, mode="nearest", truncate=2.5)


def disc(
    x: np.ndarray, y: np.ndarray, cx: float, cy: float, radius: float, edge: float = 0.008
) -> np.ndarray:
    """Return the mask of a disc with a soft edge."""
    return smooth(np.sqrt((x - cx) ** 2 + (y - cy) ** 2), radius + edge, radius - edge)


def bar(values: np.ndarray, low: float, high: float, edge: float = 0.006) -> np.ndarray:
    """Return 1 where values lie between two bounds, with soft edges."""
    return smooth(values, low - edge, low + edge) * smooth(values, high + edge, high - edge)


def ramp(low: np.ndarray, high: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return light [H, W, 3] between two colours."""
    return low + (high - low) * np.asarray(share, np.float32)[..., None]
