"""What blurs a picture or lays grain over it. Lengths are thousandths of the longer side."""

import numpy as np
from scipy import ndimage

from mllm.benchmarks.photo.draw.canvas import blurred
from mllm.benchmarks.photo.frame import Frame
from mllm.benchmarks.photo.operations.base import operation, seed


def move(frame: Frame, *, length: float, angle: float) -> Frame:
    """Blur along a line. angle: in degrees, anticlockwise from the horizontal."""
    pixels = length / 1000 * frame.long
    if pixels < 1:
        return frame
    return frame.lit(ndimage.convolve(frame.light, line(pixels, angle)[..., None], mode="nearest"))


def line(pixels: float, angle: float) -> np.ndarray:
    """Return the kernel of a line of some length, odd sides, sum 1."""
    half = int(np.ceil(pixels / 2))
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    for step in np.linspace(-pixels / 2, pixels / 2, 8 * half + 1):
        row = half - step * np.sin(np.radians(angle))
        column = half + step * np.cos(np.radians(angle))
        top, left = int(np.floor(row)), int(np.floor(column))
        for i, j in ((top, left), (top + 1, left), (top, left + 1), (top + 1, left + 1)):
            weight = (1 - abs(row - i)) * (1 - abs(column - j))
            if weight > 0 and i < len(kernel) and j < len(kernel):
                kernel[i, j] += weight
    return kernel / kernel.sum()


def defocus(frame: Frame, *, radius: float) -> Frame:
    """Blur everything alike. radius: deviation of the Gaussian."""
    return frame.lit(blurred(frame.light, radius / 1000 * frame.long)) if radius else frame


def add_noise(frame: Frame, *, iso: int, seed: int) -> Frame:
    """Add the noise of a sensor: its variance is that of photons, and a constant of reading.

    At ISO 100 a pixel of light 1 has a deviation of 0.008; the variance grows with ISO.
    """
    rng = np.random.default_rng(seed)
    gain = iso / 100 * 6.4e-5
    deviation = np.sqrt(gain * np.clip(frame.light, 0, 1) + 0.1 * gain)
    shared = rng.standard_normal((*frame.shape, 1))
    own = rng.standard_normal(frame.light.shape)
    return frame.lit(np.clip(frame.light + deviation * (0.8 * shared + 0.6 * own), 0, None))


OPERATIONS = (
    operation(
        "shake",
        "optics",
        {
            "horizontal": {"length": 70, "angle": 0},
            "rising": {"length": 70, "angle": 45},
            "vertical": {"length": 70, "angle": 90},
            "falling": {"length": 70, "angle": -45},
        },
        move,
        touches="detail",
    ),
    operation(
        "defocus",
        "optics",
        {
            "sharp": {"radius": 0},
            "soft": {"radius": 8},
            "blurred": {"radius": 20},
            "unrecognisable": {"radius": 55},
        },
        defocus,
        touches="detail",
    ),
    operation(
        "noise",
        "sensor",
        {
            "ISO 100": {"iso": 100},
            "ISO 1600": {"iso": 2000},
            "ISO 6400": {"iso": 9000},
            "ISO 25600": {"iso": 40000},
        },
        add_noise,
        touches="detail",
        draw=seed,
    ),
)
