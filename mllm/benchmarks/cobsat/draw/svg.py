"""Pieces of SVG and their pixels. A drawing is 100 x 100 units."""

import io
from collections.abc import Iterable

import numpy as np
import resvg_py
from PIL import Image

SIDE = 100


def pixels(content: str, size: int) -> np.ndarray:
    """Return a drawing as uint8[size, size, 4] (RGBA)."""
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIDE} {SIDE}" '
        f'width="{SIDE}" height="{SIDE}">{content}</svg>'
    )
    png = resvg_py.svg_to_bytes(svg_string=svg, width=size, height=size, skip_system_fonts=True)
    return np.asarray(Image.open(io.BytesIO(bytes(png))).convert("RGBA"))


def coverage(content: str, size: int, *, of_black: bool = False) -> np.ndarray:
    """Return how far a drawing covers each pixel, float32[size, size] in [0, 1].

    Args:
      of_black: only what is black counts.
    """
    drawn = pixels(content, size).astype(np.float32) / 255
    return drawn[..., 3] * (1 - drawn[..., 0] if of_black else 1)


def polygon(points: Iterable[tuple[float, float]], attributes: str) -> str:
    """Return a polygon with the given attributes."""
    corners = " ".join(f"{x:.2f},{y:.2f}" for x, y in points)
    return f'<polygon points="{corners}" {attributes}/>'
