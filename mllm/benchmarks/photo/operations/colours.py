"""Colour: white balance, casts, saturation, grading, and pictures in other colours."""

import numpy as np

from mllm.benchmarks.photo.draw.canvas import smooth
from mllm.benchmarks.photo.frame import Frame, luminance
from mllm.benchmarks.photo.operations.base import operation, seed


def balance(frame: Frame, *, gains: list[float]) -> Frame:
    """Multiply the channels of linear light."""
    return frame.lit(frame.light * np.asarray(gains, np.float32))


def saturate(frame: Frame, *, factor: float) -> Frame:
    """Move sRGB values away from their luma (Rec. 709), or towards it; 0 leaves no colour."""
    luma = luminance(frame.light)[..., None]
    return frame.lit(np.clip(luma + factor * (frame.light - luma), 0, 1))


def tone_in(frame: Frame, *, tint: list[float]) -> Frame:
    """Make a picture of one hue: its luma, with a tint that is strongest in the middle tones."""
    luma = luminance(frame.light)[..., None]
    return frame.lit(np.clip(luma + 4 * luma * (1 - luma) * np.asarray(tint, np.float32), 0, 1))


def grade(frame: Frame, *, shadows: list[float], highlights: list[float]) -> Frame:
    """Split toning: add one colour to the dark and another to the bright tones."""
    bright = smooth(luminance(frame.light), 0.15, 0.75)[..., None]
    added = np.asarray(shadows) * (1 - bright) + np.asarray(highlights) * bright
    return frame.lit(np.clip(frame.light + added, 0, 1))


def selective(frame: Frame, *, inside: float, outside: float) -> Frame:
    """Set the saturation of the subject and of what surrounds it."""
    luma = luminance(frame.light)[..., None]
    mask = frame.subject[..., None]
    factor = inside * mask + outside * (1 - mask)
    return frame.lit(np.clip(luma + factor * (frame.light - luma), 0, 1))


def manipulate(frame: Frame, *, way: str) -> Frame:
    """Change sRGB values in a way that no camera does.

    Args:
      way: "inverted" swaps dark and bright; "solarised" inverts what is brighter than middle grey;
        "posterised" leaves three values of each channel; "untouched".
    """
    light = frame.light
    changed = {
        "inverted": lambda: 1 - light,
        "solarised": lambda: 2 * np.minimum(light, 1 - light),
        "posterised": lambda: np.floor(np.clip(light, 0, 0.999) * 3) / 2,
        "untouched": lambda: light,
    }
    return frame.lit(changed[way]())


def film(frame: Frame, *, stock: str, seed: int) -> Frame:
    """Render sRGB values as a film would.

    Args:
      stock: "monochrome" has grain and no colour; "slide" strong colours and contrast; "instant"
        faded and yellowish ones; "infrared" shows what is green in white and pink.
      seed: of the grain.
    """
    light, luma = frame.light, luminance(frame.light)[..., None]
    if stock == "monochrome":
        rng = np.random.default_rng(seed)
        rough = 0.09 * rng.standard_normal((*frame.shape, 1))
        light = np.repeat(np.clip(0.5 + 1.35 * (luma - 0.5) + rough, 0, 1), 3, 2)
    elif stock == "slide":
        light = np.clip(0.47 + 1.5 * (luma + 2.3 * (light - luma) - 0.5), 0, 1)
    elif stock == "instant":
        faded = 0.3 + 0.5 * (luma + 0.55 * (light - luma))
        light = np.clip(faded + np.array([0.12, 0.07, -0.1]), 0, 1)
    else:
        red = np.clip(luma + 2.2 * (light[..., 1:2] - light[..., 2:3]) + 0.15, 0, 1)
        light = np.concatenate([red, 0.75 * luma + 0.1 * red, 0.6 * luma + 0.35 * red], 2)
        light = np.clip(light, 0, 1)
    return frame.lit(light)


def kelvin_gains(kelvin: float, daylight: float = 5500) -> list[float]:
    """Return gains of red, green and blue when a camera set to ``kelvin`` sees daylight.

    A camera set to a lower colour temperature than that of the light gives a bluish picture. The
    colour of a black body follows Planck's law at 600, 540 and 450 nm; the luminance of grey
    stays.
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
            "2000 K": {"gains": kelvin_gains(2000)},
            "3200 K": {"gains": kelvin_gains(3200)},
            "5500 K": {"gains": [1.0, 1.0, 1.0]},
            "40000 K": {"gains": kelvin_gains(40000)},
        },
        balance,
        touches="colour",
    ),
    operation(
        "cast",
        "sensor",
        {
            "green": {"gains": [0.5, 1.4, 0.5]},
            "magenta": {"gains": [1.5, 0.5, 1.5]},
            "cyan": {"gains": [0.35, 1.15, 1.3]},
            "red": {"gains": [2.0, 0.6, 0.6]},
            "none": {"gains": [1.0, 1.0, 1.0]},
        },
        balance,
        touches="colour",
    ),
    operation(
        "saturation",
        "tone",
        {
            "none": {"factor": 0.0},
            "muted": {"factor": 0.35},
            "natural": {"factor": 1.0},
            "garish": {"factor": 3.6},
        },
        saturate,
        touches="colour",
        needs="colours",
    ),
    operation(
        "toning",
        "tone",
        {
            "sepia": {"tint": [0.14, 0.02, -0.16]},
            "blue": {"tint": [-0.16, -0.01, 0.2]},
            "green": {"tint": [-0.12, 0.1, -0.1]},
            "violet": {"tint": [0.1, -0.12, 0.18]},
        },
        tone_in,
        touches="colour",
    ),
    operation(
        "grading",
        "tone",
        {
            "teal and orange": {"shadows": [-0.16, 0.06, 0.14], "highlights": [0.16, 0.02, -0.2]},
            "orange and teal": {"shadows": [0.22, 0.05, -0.1], "highlights": [-0.24, 0.03, 0.08]},
            "green and magenta": {"shadows": [-0.1, 0.2, -0.1], "highlights": [0.1, -0.2, 0.1]},
            "none": {"shadows": [0.0, 0.0, 0.0], "highlights": [0.0, 0.0, 0.0]},
        },
        grade,
        touches="colour",
    ),
    operation(
        "selective",
        "tone",
        {
            "subject": {"inside": 1.3, "outside": 0.0},
            "surroundings": {"inside": 0.0, "outside": 1.3},
            "all": {"inside": 1.3, "outside": 1.3},
            "nothing": {"inside": 0.0, "outside": 0.0},
        },
        selective,
        touches="colour",
        needs="subject colours",
    ),
    operation(
        "manipulation",
        "tone",
        {
            "inverted": {"way": "inverted"},
            "solarised": {"way": "solarised"},
            "posterised": {"way": "posterised"},
            "untouched": {"way": "untouched"},
        },
        manipulate,
        touches="colour tone edges local light",
    ),
    operation(
        "film",
        "tone",
        {
            "monochrome": {"stock": "monochrome"},
            "slide": {"stock": "slide"},
            "instant": {"stock": "instant"},
            "infrared": {"stock": "infrared"},
        },
        film,
        touches="colour tone detail",
        needs="colours",
        draw=seed,
    ),
)
