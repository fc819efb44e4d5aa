"""What a lens does to a picture, and how the camera is held."""

import numpy as np

from mllm.benchmarks.photo.frame import Frame
from mllm.benchmarks.photo.operations.base import operation


def tilt(frame: Frame, *, degrees: float, zoom: float) -> Frame:
    """Turn the camera clockwise, so that the picture turns anticlockwise, and crop the edges off.

    Args:
      degrees: of the turn. zoom: how much is cropped, the same for all settings.
    """
    y, x = frame.places()
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return frame.at((y * cos + x * sin) / zoom, (x * cos - y * sin) / zoom)


def vignette(frame: Frame, *, corner: float) -> Frame:
    """Multiply light by 1 in the middle and by ``corner`` in the corners (fourth power)."""
    y, x = frame.places()
    squared = y**2 + x**2
    return frame.lit(frame.light * (1 + (corner - 1) * squared**1.5)[..., None])


OPERATIONS = (
    operation(
        "tilt",
        "optics",
        {
            "strongly left": {"degrees": -10.0, "zoom": 1.3},
            "slightly left": {"degrees": -4.5, "zoom": 1.3},
            "level": {"degrees": 0.0, "zoom": 1.3},
            "slightly right": {"degrees": 4.5, "zoom": 1.3},
            "strongly right": {"degrees": 10.0, "zoom": 1.3},
        },
        tilt,
        touches="geometry",
        needs="horizon",
    ),
    operation(
        "vignette",
        "optics",
        {
            "black": {"corner": 0.03},
            "dark": {"corner": 0.35},
            "even": {"corner": 1.0},
            "bright": {"corner": 3.0},
        },
        vignette,
        touches="edges",
    ),
)
