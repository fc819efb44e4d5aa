"""The cover of a generated item: its subject in front of a pattern in its colour."""

import io
import random
from collections.abc import Mapping

from PIL import Image

from mllm.benchmarks.cobsat.draw.glyphs import PACKAGE, shape
from mllm.benchmarks.cobsat.draw.svg import pixels
from mllm.benchmarks.msr.catalogue import SUBJECTS

__all__ = ["PACKAGE", "draw_picture"]

# Of the ground, and of the pattern on it.
COLOURS = {
    "red": ("#dc2430", "#f7a9a4"),
    "yellow": ("#f5c60a", "#fff2b0"),
    "green": ("#21a045", "#a5e3b0"),
    "blue": ("#2360d8", "#a6c8fa"),
    "purple": ("#8a2fc4", "#dcb2f2"),
    "grey": ("#70767e", "#cdd1d6"),
}
LARGE = 128  # pixels a side; smaller pictures are drawn twice as large, and reduced


def draw_picture(attributes: Mapping[str, str], side: int, seed: str) -> bytes:
    """Return a cover as a PNG file: the same bytes for the same arguments.

    Args:
      attributes: with subject, colour and pattern.
      side: in pixels.
      seed: of what tells two items with the same attributes apart: place, size and tilt of the
        subject, and where the pattern begins.
    """
    rng = random.Random(f"cover/{seed}")
    factor = 1 if side >= LARGE else 2
    drawn = Image.fromarray(pixels(_svg(attributes, rng), side * factor)).convert("RGB")
    stream = io.BytesIO()
    (drawn.reduce(factor) if factor > 1 else drawn).save(stream, "PNG", compress_level=6)
    return stream.getvalue()


def _svg(attributes: Mapping[str, str], rng: random.Random) -> str:
    ground, light = COLOURS[attributes["colour"]]
    back = f'<rect width="100" height="100" fill="{ground}"/>'
    back += _PATTERNS[attributes["pattern"]](light, rng.uniform(0, 24), rng.uniform(0, 24))
    drawn = shape(SUBJECTS[attributes["subject"]], 500)
    zoom, turn = rng.uniform(0.72, 0.86), rng.uniform(-8, 8)
    x, y = 50 + rng.uniform(-6, 6), 50 + rng.uniform(-6, 6)
    place = f"translate({x:.2f},{y:.2f}) rotate({turn:.2f}) scale({zoom:.3f}) translate(-50,-50)"
    subject = (
        f'<path d="{drawn.body}" fill="#ffffff" stroke="#151515" stroke-width="3" '
        f'stroke-linejoin="round"/><path d="{drawn.ink}" fill="#151515"/>'
    )
    return f'{back}<g transform="{place}">{subject}</g>'


def _plain(light: str, x: float, y: float) -> str:
    return ""


def _stripes(light: str, x: float, y: float) -> str:
    lines = "".join(
        f'<rect x="{start + x:.2f}" y="-60" width="12" height="220"/>'
        for start in range(-72, 168, 24)
    )
    return f'<g fill="{light}" transform="rotate(45 50 50)">{lines}</g>'


def _dots(light: str, x: float, y: float) -> str:
    circles = "".join(
        f'<circle cx="{left + x:.2f}" cy="{top + y:.2f}" r="6.5"/>'
        for left in range(-24, 121, 24)
        for top in range(-24, 121, 24)
    )
    return f'<g fill="{light}">{circles}</g>'


def _checks(light: str, x: float, y: float) -> str:
    squares = "".join(
        f'<rect x="{left * 25 + x - 25:.2f}" y="{top * 25 + y - 25:.2f}" width="25" height="25"/>'
        for left in range(6)
        for top in range(6)
        if (left + top) % 2
    )
    return f'<g fill="{light}">{squares}</g>'


_PATTERNS = {"plain": _plain, "stripes": _stripes, "dots": _dots, "checks": _checks}
