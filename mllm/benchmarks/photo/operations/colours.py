"""Colour: white balance, casts, saturation."""

import numpy as np

from mllm.benchmarks.photo.frame import Frame, luminance
from mllm.benchmarks.photo.operations.base import operation


def balance(frame: Frame, *, gains: list[float]) -> Frame:
    """Multiply the channels of linear light; the gains keep the luminance of grey."""
    return frame.lit(frame.light * np.asarray(gains, np.float32))


def saturate(frame: Frame, *, factor: float) -> Frame:
    """Move sRGB values away from their luma (Rec. 709), or towards it; 0 leaves no colour."""
    luma = luminance(frame.light)[..., None]
    return frame.lit(np.clip(luma + factor * (frame.light - luma), 0, 1))


def kelvin_gains(kelvin: float, daylight: float = 5500) -> list[float]:
    """Return gains of red, green and blue when a camera set to ``kelvin`` sees daylight.

    A camera set to a lower colour temperature than that of the light gives a bluish picture. The
    colour of a black body follows Planck's law at 600, 540 and 450 nm.
    """

    def body(temperature: float) -> np.ndarray:
        nanometres = np.array([600.0, 540.0, 450.0])
        return nanometres**-5 / (np.exp(1.4388e7 / (nanometres * temperature)) - 1)

    gains = body(daylight) / body(kelvin)
    gains = gains / (gains @ np.array([0.2126, 0.7152, 0.0722]))
    return [round(float(gain), 4) for gain in gains]


OPERATIONS = (
    operation(
        "white_balance",
        "sensor",
        {
            "2500 K": {"gains": kelvin_gains(2500)},
            "4000 K": {"gains": kelvin_gains(3600)},
            "5500 K": {"gains": [1.0, 1.0, 1.0]},
            "12000 K": {"gains": kelvin_gains(14000)},
        },
        balance,
        touches="colour",
    ),
    operation(
        "saturation",
        "tone",
        {
            "none": {"factor": 0.0},
            "muted": {"factor": 0.4},
            "natural": {"factor": 1.0},
            "garish": {"factor": 2.6},
        },
        saturate,
        touches="colour",
    ),
)
