"""What blurs a picture or lays grain over it. Lengths are thousandths of the longer side."""

from itertools import pairwise

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
    kernel = line(pixels, angle)
    if angle % 180 == 0:
        return frame.lit(ndimage.convolve1d(frame.light, kernel.sum(0), 1, mode="nearest"))
    if angle % 180 == 90:
        return frame.lit(ndimage.convolve1d(frame.light, kernel.sum(1), 0, mode="nearest"))
    return frame.lit(ndimage.convolve(frame.light, kernel[..., None], mode="nearest"))


def line(pixels: float, angle: float) -> np.ndarray:
    """Return the kernel of a line of some length, odd sides, sum 1."""
    half = int(np.ceil(pixels / 2))
    kernel = np.zeros((2 * half + 3, 2 * half + 3))
    steps = np.linspace(-pixels / 2, pixels / 2, 8 * half + 1)
    rows = half + 1 - steps * np.sin(np.radians(angle))
    columns = half + 1 + steps * np.cos(np.radians(angle))
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    for down in (0, 1):
        for right in (0, 1):
            weight = (1 - np.abs(rows - top - down)) * (1 - np.abs(columns - left - right))
            np.add.at(kernel, (top + down, left + right), weight)
    return (kernel / kernel.sum()).astype(np.float32)


def zoom_blur(frame: Frame, *, strength: float) -> Frame:
    """Blur along lines from the middle, as zooming during the exposure does."""
    y, x = frame.places()
    bare, steps = Frame(frame.light), np.linspace(1 - strength, 1, 8)
    return frame.lit(np.mean([bare.at(y * step, x * step).light for step in steps], 0))


def defocus(frame: Frame, *, radius: float) -> Frame:
    """Blur everything alike. radius: deviation of the Gaussian."""
    return frame.lit(blurred(frame.light, radius / 1000 * frame.long)) if radius else frame


def blur(
    frame: Frame, *, length: float = 0, angle: float = 0, radius: float = 0, zoom: float = 0
) -> Frame:
    """Blur in one of the three ways above."""
    if zoom:
        return zoom_blur(frame, strength=zoom)
    return move(frame, length=length, angle=angle) if length else defocus(frame, radius=radius)


def focus(frame: Frame, *, plane: float, aperture: float) -> Frame:
    """Blur what is not at a distance. The blur grows with the distance in depth.

    Args:
      plane: depth that is sharp. aperture: deviation of the blur at a difference in depth of 1.
    """
    if not aperture:
        return frame
    away = np.abs(frame.depth - plane) * aperture / 1000 * frame.long
    sigmas = np.array([0, 0.2, 0.5, 1.0]) * aperture / 1000 * frame.long
    light = frame.light
    for low, high in pairwise(sigmas):
        share = np.clip((away - low) / (high - low), 0, 1)[..., None]
        if share.any():
            light = light + (blurred(frame.light, high) - light) * share
    return frame.lit(light)


def add_noise(frame: Frame, *, iso: int, seed: int) -> Frame:
    """Add the noise of a sensor: its variance is that of photons, and a constant of reading.

    At ISO 100 a pixel of light 1 has a deviation of 0.008; the variance grows with ISO.
    """
    rng = np.random.default_rng(seed)
    gain = iso / 100 * 6.4e-5
    deviation = np.sqrt(gain * np.clip(frame.light, 0, 1) + 0.1 * gain)
    shared = rng.standard_normal((*frame.shape, 1), np.float32)
    own = rng.standard_normal(frame.light.shape, np.float32)
    return frame.lit(np.clip(frame.light + deviation * (0.8 * shared + 0.6 * own), 0, None))


def kind_of_noise(frame: Frame, *, kind: str, amount: float, seed: int) -> Frame:
    """Add noise of one kind to sRGB values.

    Args:
      kind: "clean" has none; "grain" is alike in all channels; "colour" differs between them, in
        soft specks; "smeared" has been filtered away together with fine detail (a median).
      amount: deviation of the noise; side of the median's window where it is smeared.
    """
    rng = np.random.default_rng(seed)
    if kind == "grain":
        rough = rng.standard_normal((*frame.shape, 1))
    elif kind == "colour":
        rough = blurred(rng.standard_normal(frame.light.shape), 1.0)
        rough = rough - rough.mean(2, keepdims=True)
        rough = rough / rough.std()
    elif kind == "smeared":
        side = max(3, 2 * round(amount / 1000 * frame.long / 2) + 1)
        return frame.lit(ndimage.median_filter(frame.light, (side, side, 1), mode="nearest"))
    else:
        return frame
    return frame.lit(np.clip(frame.light + amount * rough, 0, 1))


def fault(frame: Frame, *, seed: int, ev: float = 0, iso: int = 0, **blurs: float) -> Frame:
    """Take a picture with one wrong setting: a shutter, a focus, an ISO or an exposure."""
    frame = blur(frame, **blurs) if blurs else frame
    frame = frame.lit(frame.light * 2.0**ev)
    return add_noise(frame, iso=iso, seed=seed) if iso else frame


def direction(rng: np.random.Generator) -> dict[str, float]:
    """Draw a direction in which a camera moves."""
    return {"angle": float(rng.choice([0, 45, 90, -45]))}


OPERATIONS = (
    operation(
        "shake",
        "optics",
        {
            "horizontal": {"length": 110, "angle": 0},
            "rising": {"length": 110, "angle": 45},
            "vertical": {"length": 110, "angle": 90},
            "falling": {"length": 110, "angle": -45},
        },
        move,
        touches="detail",
        needs="texture",
    ),
    operation(
        "shutter",
        "optics",
        {
            "1/1000 s": {"length": 0},
            "1/60 s": {"length": 45},
            "1/15 s": {"length": 110},
            "1/4 s": {"length": 260},
        },
        move,
        touches="detail geometry",
        needs="texture",
        draw=direction,
    ),
    operation(
        "defocus",
        "optics",
        {
            "sharp": {"radius": 0},
            "soft": {"radius": 12},
            "blurred": {"radius": 30},
            "unrecognisable": {"radius": 70},
        },
        defocus,
        touches="detail geometry",
        needs="texture",
    ),
    operation(
        "blur_kind",
        "optics",
        {
            "none": {},
            "motion": {"length": 90, "angle": 0},
            "focus": {"radius": 22},
            "zoom": {"zoom": 0.3},
        },
        blur,
        touches="detail geometry",
        needs="texture",
    ),
    operation(
        "aperture",
        "optics",
        {
            "f/16": {"plane": 0.3, "aperture": 0},
            "f/5.6": {"plane": 0.3, "aperture": 30},
            "f/2.8": {"plane": 0.3, "aperture": 70},
            "f/1.4": {"plane": 0.3, "aperture": 160},
        },
        focus,
        touches="detail air geometry",
        needs="planes subject",
    ),
    operation(
        "focus_plane",
        "optics",
        {
            "near": {"plane": 0.0, "aperture": 80},
            "middle": {"plane": 0.3, "aperture": 110},
            "far": {"plane": 1.0, "aperture": 80},
            "everywhere": {"plane": 0.5, "aperture": 0},
        },
        focus,
        touches="detail air",
        needs="planes",
    ),
    operation(
        "noise",
        "sensor",
        {
            "ISO 100": {"iso": 100},
            "ISO 1600": {"iso": 2500},
            "ISO 6400": {"iso": 12000},
            "ISO 25600": {"iso": 70000},
        },
        add_noise,
        touches="detail",
        draw=seed,
    ),
    operation(
        "noise_kind",
        "tone",
        {
            "clean": {"kind": "clean", "amount": 0.0},
            "grain": {"kind": "grain", "amount": 0.12},
            "colour": {"kind": "colour", "amount": 0.16},
            "smeared": {"kind": "smeared", "amount": 60},
        },
        kind_of_noise,
        touches="detail",
        needs="texture",
        draw=seed,
    ),
    operation(
        "fault",
        "sensor",
        {
            "shutter": {"length": 90, "angle": 0},
            "focus": {"radius": 26},
            "iso": {"iso": 40000},
            "exposure": {"ev": 2.2},
            "none": {},
        },
        fault,
        touches="detail tone",
        needs="texture",
        draw=seed,
    ),
)
