"""Exposure, and the curve that turns light into tones."""

import numpy as np

from mllm.benchmarks.photo.frame import Frame
from mllm.benchmarks.photo.operations.base import operation


def expose(frame: Frame, *, ev: float) -> Frame:
    """Multiply linear light by 2 ** ev; what then exceeds 1 is clipped when it is encoded."""
    return frame.lit(frame.light * 2.0**ev)


def contrast(frame: Frame, *, slope: float) -> Frame:
    """Stretch sRGB values about middle grey, 0.45; values beyond black and white are clipped."""
    return frame.lit(np.clip(0.45 + slope * (frame.light - 0.45), 0, 1))


OPERATIONS = (
    operation(
        "exposure",
        "sensor",
        {"-2 EV": {"ev": -2.4}, "-1 EV": {"ev": -1.1}, "0 EV": {"ev": 0.0}, "+2 EV": {"ev": 1.7}},
        expose,
        touches="tone",
    ),
    operation(
        "contrast",
        "tone",
        {
            "flat": {"slope": 0.35},
            "normal": {"slope": 1.0},
            "strong": {"slope": 2.0},
            "harsh": {"slope": 6.0},
        },
        contrast,
        touches="tone",
    ),
)
