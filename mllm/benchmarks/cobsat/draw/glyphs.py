"""Outlines of objects, animals and props, from the monochrome Noto Emoji font (SIL OFL 1.1).

All lengths are in units of the drawing, which is 100 x 100 with y downwards. A shape is fitted
into the square from 10 to 90.
"""

import importlib.metadata
from dataclasses import dataclass
from functools import cache

import contourpy
import numpy as np
from fontTools.pens.boundsPen import BoundsPen
from fontTools.pens.recordingPen import DecomposingRecordingPen
from fontTools.pens.svgPathPen import SVGPathPen
from fontTools.pens.transformPen import TransformPen
from fontTools.ttLib import TTFont
from scipy import ndimage

from mllm.benchmarks.cobsat.draw.svg import coverage, polygon

PACKAGE = "manimgx-fonts"
GLYPHS = {
    "leaf": "🍁", "hat": "🎩", "cup": "☕", "car": "🚗", "box": "📦",
    "book": "📖", "ball": "⚽", "bag": "👜", "apple": "🍏",
    "zebra": "🦓", "tiger": "🐅", "sheep": "🐑", "pig": "🐖", "monkey": "🐒",
    "lion": "🦁", "dog": "🐕", "cow": "🐄", "cat": "🐈", "bird": "🐦",
}  # fmt: skip
# The font's chair has legs of a single line; this one is solid. Parts from back to front.
CHAIR = (
    ((62, 48), (69, 46), (69, 77), (62, 77)),
    ((22, 13), (31, 14), (33, 80), (25, 82)),
    ((57, 10), (65, 10), (64, 62), (57, 62)),
    ((29, 14), (59, 11), (58, 39), (31, 42)),
    ((28, 54), (56, 49), (80, 57), (50, 65)),
    ((28, 54), (50, 65), (50, 71), (28, 60)),
    ((50, 65), (80, 57), (80, 63), (50, 71)),
    ((46, 70), (54, 70), (54, 91), (46, 91)),
    ((73, 65), (80, 63), (80, 84), (73, 84)),
)
# Points inside gaps that one sees through, such as that of a handle.
GAPS = {"cup": ((79.7, 52.3),), "bag": ((50, 20.3),), "chair": ((44.3, 45.4),)}
BOX = (10.0, 90.0)
RASTER = 4  # pixels a unit, when bodies are found


@dataclass(frozen=True)
class Shape:
    """An outline as SVG path data, to be filled by the rule "nonzero".

    Attributes:
      ink: the lines and dark parts. body: all that the outer outline encloses.
      bounds: left, top, right, bottom.
    """

    ink: str
    body: str
    bounds: tuple[float, float, float, float]


@cache
def shape(name: str, weight: int = 500) -> Shape:
    """Return the shape of an object or animal, or of a character of the font.

    Args:
      weight: of the lines, 300 (thin) to 700 (bold).
    """
    ink = _chair_ink(weight) if name == "chair" else _glyph_ink(GLYPHS.get(name, name), weight)
    drawn = coverage(f'<path d="{ink}"/>', 100 * RASTER) > 0.5
    holes, _ = ndimage.label(~drawn)
    gaps = [(int(y * RASTER), int(x * RASTER)) for x, y in GAPS.get(name, ())]
    open_to_see = {holes[0, 0], *(holes[gap] for gap in gaps)}
    body = ~np.isin(holes, list(open_to_see))
    rows, columns = np.nonzero(body)
    edges = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    return Shape(ink, _trace(body), tuple(float(edge) / RASTER for edge in edges))


def _glyph_ink(character: str, weight: int) -> str:
    """Return the outline of a character, fitted into the box."""
    glyphs = _glyphs(weight)
    drawn, box = DecomposingRecordingPen(glyphs), BoundsPen(glyphs)
    glyph = glyphs[_font().getBestCmap()[ord(character)]]
    glyph.draw(drawn)
    glyph.draw(box)
    left, low, right, high = box.bounds
    scale = (BOX[1] - BOX[0]) / max(right - left, high - low)
    middle = sum(BOX) / 2
    dx, dy = middle - scale * (left + right) / 2, middle + scale * (low + high) / 2
    path = SVGPathPen(None, ntos=lambda value: f"{value:.2f}")
    drawn.replay(TransformPen(path, (scale, 0, 0, -scale, dx, dy)))
    return path.getCommands()


@cache
def _font() -> TTFont:
    folder = importlib.metadata.distribution(PACKAGE).locate_file("manimgx_fonts")
    return TTFont(str(folder / "NotoEmoji[wght].ttf"))


@cache
def _glyphs(weight: int):
    return _font().getGlyphSet(location={"wght": weight})


def _chair_ink(weight: int) -> str:
    """Return the outlines of the parts of a chair, without the lines that parts in front hide."""
    scale = (BOX[1] - BOX[0]) / 81
    parts = [[(50 + (x - 51) * scale, 50 + (y - 50.5) * scale) for x, y in part] for part in CHAIR]
    width = 1.6 + (weight - 300) / 180
    line = f'fill="#fff" stroke="#000" stroke-width="{width:.2f}" stroke-linejoin="round"'
    drawn = "".join(polygon(part, line) for part in parts)
    return _trace(coverage(drawn, 100 * RASTER, of_black=True))


def _trace(mask: np.ndarray) -> str:
    """Return the outlines of where a mask is above a half, as path data."""
    padded = np.pad(mask.astype(float), 1)
    lines = contourpy.contour_generator(z=padded).lines(0.5)
    return "".join(
        closed((line[:-1] - 0.5) / RASTER, slack=0.12) for line in lines if len(line) > 8
    )


def closed(points: np.ndarray, slack: float) -> str:
    """Return the path of a closed outline with straight sides.

    Args:
      points: float[N, 2]. slack: how far the sides may be from the points that are left out.
    """
    far = int(np.argmax(((points - points[0]) ** 2).sum(1)))
    there = _simplified(points[: far + 1], slack)
    back = _simplified(np.vstack([points[far:], points[:1]]), slack)
    kept = np.vstack([there[:-1], back[:-1]])
    return "M" + "L".join(f"{x:.2f},{y:.2f}" for x, y in kept) + "Z"


def _simplified(points: np.ndarray, slack: float) -> np.ndarray:
    """Return the points that a line needs (Ramer 1972, Douglas and Peucker 1973)."""
    if len(points) < 3:
        return points
    across = points[-1] - points[0]
    away = points - points[0]
    distance = np.abs(across[0] * away[:, 1] - across[1] * away[:, 0])
    far = int(np.argmax(distance))
    if distance[far] <= slack * max(float(np.hypot(*across)), 1e-9):
        return points[[0, -1]]
    before, after = _simplified(points[: far + 1], slack), _simplified(points[far:], slack)
    return np.vstack([before[:-1], after])
