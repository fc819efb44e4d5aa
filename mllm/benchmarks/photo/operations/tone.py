"""Exposure, and the curves that turn light into tones."""

import numpy as np

from mllm.benchmarks.photo.draw.canvas import blurred, smooth
from mllm.benchmarks.photo.frame import Frame, luminance
from mllm.benchmarks.photo.operations.base import operation


def expose(frame: Frame, *, ev: float) -> Frame:
    """Multiply linear light by 2 ** ev; what then exceeds 1 is clipped when it is encoded."""
    return frame.lit(frame.light * 2.0**ev)


def contrast(frame: Frame, *, slope: float) -> Frame:
    """Stretch sRGB values about middle grey, 0.45; values beyond black and white are clipped."""
    return frame.lit(np.clip(0.45 + slope * (frame.light - 0.45), 0, 1))


def levels(frame: Frame, *, black: float, white: float, shift: float = 0) -> Frame:
    """Set which sRGB values become black and white, after adding a shift; the rest is stretched.

    A black point below 0 and a white point above 1 leave no clipped tones.
    """
    return frame.lit(np.clip((frame.light + shift - black) / (white - black), 0, 1))


def key(frame: Frame, *, gamma: float, low: float, high: float) -> Frame:
    """Raise sRGB values to a power, and fit them between two tones."""
    return frame.lit(low + (high - low) * frame.light**gamma)


def shadows(frame: Frame, *, lift: float, tint: list[float]) -> Frame:
    """Lift (or crush) the shadows and tint them; sRGB values above about 0.6 stay as they are.

    Args:
      lift: what is added to black. tint: what is added to its channels besides.
    """
    share = smooth(luminance(frame.light), 0.62, 0.0)[..., None]
    added = lift + np.asarray(tint, np.float32)
    return frame.lit(np.clip(frame.light + share * added, 0, 1))


def tone_map(frame: Frame, *, local: float, flat: float, saturation: float) -> Frame:
    """Compress large differences of brightness, as merging of several exposures does.

    Args:
      local: how much of the local contrast is exaggerated; makes halos at edges.
      flat: how far the brightness of areas goes towards middle grey.
      saturation: factor of the distance from grey.
    """
    luma = luminance(frame.light)
    area = blurred(luma, 0.06 * frame.long)
    mapped = area + flat * (0.5 - area) + (1 + local) * (luma - area)
    chroma = saturation * (frame.light - luma[..., None])
    return frame.lit(np.clip(mapped[..., None] + chroma, 0, 1))


OPERATIONS = (
    operation(
        "exposure",
        "sensor",
        {"-2 EV": {"ev": -2.8}, "-1 EV": {"ev": -1.3}, "0 EV": {"ev": 0.0}, "+2 EV": {"ev": 1.8}},
        expose,
        touches="tone",
    ),
    operation(
        "contrast",
        "tone",
        {
            "flat": {"slope": 0.3},
            "normal": {"slope": 1.0},
            "strong": {"slope": 2.2},
            "harsh": {"slope": 8.0},
        },
        contrast,
        touches="tone",
    ),
    operation(
        "clipping",
        "tone",
        {
            "shadows": {"black": 0.42, "white": 1.1},
            "highlights": {"black": -0.35, "white": 0.5},
            "both": {"black": 0.38, "white": 0.56},
            "neither": {"black": -0.35, "white": 1.35},
        },
        levels,
        touches="tone",
    ),
    operation(
        "tonal_key",
        "tone",
        {
            "high key": {"gamma": 0.4, "low": 0.35, "high": 1.0},
            "low key": {"gamma": 2.2, "low": 0.0, "high": 0.5},
            "matte": {"gamma": 1.0, "low": 0.3, "high": 0.68},
            "full": {"gamma": 1.0, "low": 0.0, "high": 1.0},
        },
        key,
        touches="tone",
    ),
    operation(
        "shadows",
        "tone",
        {
            "lifted": {"lift": 0.36, "tint": [0.0, 0.0, 0.0]},
            "crushed": {"lift": -0.5, "tint": [0.0, 0.0, 0.0]},
            "blue": {"lift": 0.0, "tint": [-0.12, 0.02, 0.4]},
            "natural": {"lift": 0.0, "tint": [0.0, 0.0, 0.0]},
        },
        shadows,
        touches="tone colour",
    ),
    operation(
        "hdr",
        "tone",
        {
            "none": {"local": 0.0, "flat": 0.0, "saturation": 1.0},
            "halos": {"local": 2.2, "flat": 0.2, "saturation": 1.0},
            "grey": {"local": -0.35, "flat": 0.9, "saturation": 0.8},
            "garish": {"local": 1.2, "flat": 0.6, "saturation": 3.2},
        },
        tone_map,
        touches="tone colour detail",
        needs="colours",
    ),
)
