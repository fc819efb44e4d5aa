"""Views of a drawing: small changes of place, size, angle and light that change no answer."""

import random
from dataclasses import dataclass

import numpy as np

# The most that a view changes: units of the drawing, degrees, and factors.
SHIFT, ZOOM, TURN = 5.0, 0.12, 8.0
LIGHT, CONTRAST, SATURATION, WARMTH = 0.08, 0.1, 0.12, 0.03


@dataclass(frozen=True)
class View:
    """How a pair is seen.

    Attributes:
      seed: of what is drawn at random, such as grain.
      front: SVG transform of the subject. back: of what lies behind it.
      light, contrast, saturation, warmth: changes of color, 0 for none.
    """

    seed: int = 0
    front: str = ""
    back: str = ""
    light: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    warmth: float = 0.0

    def rng(self, *name: str) -> random.Random:
        """Return the random numbers of a part of the drawing."""
        return random.Random("/".join([str(self.seed), *name]))

    def tint(self, pixels: np.ndarray) -> np.ndarray:
        """Return uint8[H, W, 3] in the light of this view."""
        if not any((self.light, self.contrast, self.saturation, self.warmth)):
            return pixels
        values = pixels.astype(np.float32) / 255
        red, green, blue = np.moveaxis(values, 2, 0)
        grey = 0.299 * red + 0.587 * green + 0.114 * blue  # no BLAS: the same on any machine
        values += self.saturation * (values - grey[..., None])
        values = (values - 0.5) * (1 + self.contrast) + 0.5 + self.light
        values *= 1 + self.warmth * np.array([1, 0, -1], np.float32)
        return (values.clip(0, 1) * 255 + 0.5).astype(np.uint8)


def view(seed: int) -> View:
    """Return the view of a seed; 0 is the picture as it is."""
    if seed == 0:
        return View()
    rng = random.Random(f"view/{seed}")

    def most(limit: float) -> float:
        return rng.uniform(-limit, limit)

    dx, dy, turn, zoom = most(SHIFT), most(SHIFT), most(TURN), 1 + most(ZOOM)
    front = (
        f"translate({50 + dx:.3f},{50 + dy:.3f}) rotate({turn:.3f}) scale({zoom:.4f}) "
        "translate(-50,-50)"
    )
    back = (
        f"translate({50 + most(SHIFT):.3f},{50 + most(SHIFT):.3f}) "
        f"scale({1 + rng.uniform(-0.03, 0.12):.4f}) translate(-50,-50)"
    )
    return View(seed, front, back, most(LIGHT), most(CONTRAST), most(SATURATION), most(WARMTH))
