"""Drawing: a canvas in percent of its side, shapes, colours and letters.

Everything is drawn at four times the size (from 200 pixels on at twice) and reduced, so that edges
are smooth and the drawing is the same at every size. x grows to the right and y downwards, both
from 0 to 100. The same calls give the same bytes. At 64 pixels a mark should be at least 14 percent
wide and a letter 19 percent high (12 pixels) to be read by a person.

    canvas = Canvas(64, "cream")
    canvas.shape("star", 30, 40, 24, "red")
    canvas.text("B7", 70, 70, 22)
    png = canvas.png()
"""

import functools
import importlib.util
import io
import math
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

INK = "#222222"
COLOURS = {
    "red": "#e02424", "orange": "#ff8c1a", "yellow": "#ffdd22", "green": "#1f9d45",
    "blue": "#2257d6", "purple": "#8e2fc2", "pink": "#ff8fc4", "brown": "#7c4a21",
    "black": "#1a1a1a", "white": "#ffffff", "grey": "#8f969e",
}  # fmt: skip
MARK_COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "black")
"""Colours of marks that a person tells apart at 64 pixels on every background."""
BACKGROUNDS = {
    "paper": "#fbfbf8", "cream": "#fff3d9", "mist": "#e9eef2", "mint": "#e3f6ea", "sky": "#dcecfb",
}  # fmt: skip
SHAPES = (
    "circle", "square", "triangle", "star", "heart", "cross", "diamond", "ring", "moon", "arrow",
)  # fmt: skip
FONTS = {
    "sans": "DejaVuSans.ttf",
    "bold": "DejaVuSans-Bold.ttf",
    "serif": "DejaVuSerif-Bold.ttf",
    "mono": "DejaVuSansMono-Bold.ttf",
}
_CAP_HEIGHT = 0.729  # of a capital of DejaVu, in em


def colour_code(name: str) -> str:
    """Return the code of a colour or background by name; other texts are returned as they are."""
    return COLOURS.get(name) or BACKGROUNDS.get(name) or name


class Canvas:
    """A square picture to draw on.

    All positions and lengths are percent of the side; colours are names of `COLOURS` and
    `BACKGROUNDS`, or codes such as "#a0b0c0". Outlines are dark and thin unless they are given;
    `outline=None` leaves them out.
    """

    def __init__(
        self, side: int, background: str = "paper", shift: tuple[float, float] = (0.0, 0.0)
    ):
        """Make a canvas of `side` x `side` pixels; all that is drawn is moved by `shift`."""
        self.side = side
        self.shift = shift
        self._scale = 4 if side < 200 else 2
        pixels = side * self._scale
        self._unit = pixels / 100
        self._image = Image.new("RGB", (pixels, pixels), colour_code(background))
        self._draw = ImageDraw.Draw(self._image)

    def polygon(
        self,
        points: Sequence[tuple[float, float]],
        fill: str | None,
        outline: str | None = INK,
        width: float = 1.6,
    ) -> None:
        """Draw a filled polygon through points (x, y)."""
        scaled = [self._point(x, y) for x, y in points]
        if fill is not None:
            self._draw.polygon(scaled, fill=colour_code(fill))
        if outline is not None:
            closed = [*scaled, scaled[0], scaled[1]]
            self._draw.line(closed, colour_code(outline), self._width(width), joint="curve")

    def ellipse(
        self,
        x: float,
        y: float,
        across: float,
        down: float,
        fill: str | None,
        outline: str | None = INK,
        width: float = 1.6,
    ) -> None:
        """Draw an ellipse around (x, y) that is `across` wide and `down` high."""
        box = [
            *self._point(x - across / 2, y - down / 2),
            *self._point(x + across / 2, y + down / 2),
        ]
        self._draw.ellipse(box, *self._paint(fill, outline), self._width(width))

    def rectangle(
        self,
        x0: float,
        y0: float,
        x1: float,
        y1: float,
        fill: str | None,
        outline: str | None = INK,
        width: float = 1.6,
        radius: float = 0,
    ) -> None:
        """Draw a rectangle from its left upper to its right lower corner."""
        box = [*self._point(x0, y0), *self._point(x1, y1)]
        paint, radius = self._paint(fill, outline), radius * self._unit
        self._draw.rounded_rectangle(box, radius, *paint, self._width(width))

    def line(
        self, points: Sequence[tuple[float, float]], colour: str = INK, width: float = 3
    ) -> None:
        """Draw a line through points, with round joints and ends."""
        scaled = [self._point(x, y) for x, y in points]
        code, thick = colour_code(colour), self._width(width)
        self._draw.line(scaled, code, thick, joint="curve")
        for x, y in (scaled[0], scaled[-1]):
            self._draw.ellipse([x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2], code)

    def arc(
        self,
        x: float,
        y: float,
        across: float,
        down: float,
        start: float,
        end: float,
        colour: str = INK,
        width: float = 3,
    ) -> None:
        """Draw part of an ellipse; degrees run clockwise from the right."""
        box = [
            *self._point(x - across / 2, y - down / 2),
            *self._point(x + across / 2, y + down / 2),
        ]
        self._draw.arc(box, start, end, colour_code(colour), self._width(width))

    def pie(
        self, x: float, y: float, across: float, start: float, end: float, fill: str | None
    ) -> None:
        """Draw a slice of a disc; degrees run clockwise from the right."""
        half = across / 2
        box = [*self._point(x - half, y - half), *self._point(x + half, y + half)]
        self._draw.pieslice(box, start, end, *self._paint(fill, INK), self._width(1.6))

    def text(
        self,
        text: str,
        x: float,
        y: float,
        height: float,
        colour: str = INK,
        font: str = "bold",
        anchor: str = "mm",
    ) -> None:
        """Write a text.

        Args:
          text: one line.
          x, y: where the anchor lies.
          height: of a capital letter.
          colour: of the letters.
          font: a key of `FONTS`. They hold Latin, Greek and Cyrillic letters.
          anchor: Pillow's: "mm" is the middle, "lm" left middle, "rm" right middle.
        """
        face = _font(font, max(1, round(height * self._unit / _CAP_HEIGHT)))
        if anchor[1] == "m":  # middle of the capitals, not of ascenders and descenders
            y, anchor = y + height / 2, anchor[0] + "s"
        self._draw.text(self._point(x, y), text, colour_code(colour), face, anchor)

    def text_width(self, text: str, height: float, font: str = "bold") -> float:
        """Return how wide a text of this height is, in percent."""
        face = _font(font, max(1, round(height * self._unit / _CAP_HEIGHT)))
        return face.getlength(text) / self._unit

    def shape(
        self,
        name: str,
        x: float,
        y: float,
        size: float,
        colour: str,
        turn: float = 0,
        outline: str | None = INK,
        width: float = 1.6,
    ) -> None:
        """Draw a shape of `SHAPES` around (x, y), `size` wide, turned clockwise by degrees.

        An arrow points upwards before it is turned.
        """
        if name in ("circle", "ring"):
            self.ellipse(x, y, size, size, colour, outline, width)
            if name == "ring":
                self.ellipse(x, y, size * 0.5, size * 0.5, "paper", outline, width)
            return
        cosine, sine = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        half = size / 2
        turned = [
            (x + half * (px * cosine - py * sine), y + half * (px * sine + py * cosine))
            for px, py in _outline(name)
        ]
        self.polygon(turned, colour, outline, width)

    def paste(self, png: bytes, x: float, y: float, size: float) -> None:
        """Paste a picture around (x, y), `size` wide."""
        pixels = round(size * self._unit)
        with Image.open(io.BytesIO(png)) as image:
            small = image.convert("RGB").resize((pixels, pixels), Image.Resampling.BILINEAR)
        left, top = self._point(x - size / 2, y - size / 2)
        self._image.paste(small, (round(left), round(top)))

    def png(self) -> bytes:
        """Return the picture as PNG."""
        image = self._image.reduce(self._scale)
        stream = io.BytesIO()
        image.save(stream, "PNG", compress_level=3)
        return stream.getvalue()

    def _point(self, x: float, y: float) -> tuple[float, float]:
        return (x + self.shift[0]) * self._unit, (y + self.shift[1]) * self._unit

    def _width(self, width: float) -> int:
        return max(1, round(width * self._unit))

    def _paint(self, fill: str | None, outline: str | None) -> tuple[str | None, str | None]:
        return fill and colour_code(fill), outline and colour_code(outline)


@functools.cache
def _font(name: str, pixels: int) -> ImageFont.FreeTypeFont:
    spec = importlib.util.find_spec("matplotlib")  # the fonts are its data; it is not imported
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the fonts of matplotlib are not installed; pip install matplotlib")
    path = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / FONTS[name]
    return ImageFont.truetype(str(path), pixels, layout_engine=ImageFont.Layout.BASIC)


@functools.cache
def _outline(name: str) -> tuple[tuple[float, float], ...]:
    """Return the corners of a shape within [-1, 1] x [-1, 1]."""
    if name == "square":
        return ((-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88))
    if name == "triangle":
        return ((0, -0.95), (1, 0.85), (-1, 0.85))
    if name == "diamond":
        return ((0, -1.05), (0.8, 0), (0, 1.05), (-0.8, 0))
    if name == "cross":
        a, b = 0.34, 1.0
        quarter = ((a, -b), (a, -a), (b, -a))
        return tuple(p for turn in range(4) for p in (_quarter_turn(q, turn) for q in quarter))
    if name == "star":
        radii = (1.15, 0.5)
        return tuple(
            (radii[k % 2] * math.sin(k * math.pi / 5), -radii[k % 2] * math.cos(k * math.pi / 5))
            for k in range(10)
        )
    if name == "arrow":
        return ((0, -1), (0.85, 0), (0.34, 0), (0.34, 1), (-0.34, 1), (-0.34, 0), (-0.85, 0))
    if name == "heart":
        angles = [2 * math.pi * k / 40 for k in range(40)]
        return tuple(
            (
                math.sin(t) ** 3,
                -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t))
                / 15.5
                + 0.12,
            )
            for t in angles
        )
    if name == "moon":
        # The unit circle without a circle of radius 0.75 around (0.55, 0), which it meets at 47.7
        # degrees of the first and 80.6 of the second.
        outer = [math.radians(47.7 + 264.6 * k / 24) for k in range(25)]
        inner = [math.radians(279.4 - 198.8 * k / 24) for k in range(25)]
        far = [(math.cos(t) + 0.15, math.sin(t)) for t in outer]
        near = [(0.75 * math.cos(t) + 0.7, 0.75 * math.sin(t)) for t in inner]
        return tuple(far + near[1:-1])
    raise ValueError(f"unknown shape {name!r} (known: {', '.join(SHAPES)})")


def _quarter_turn(point: tuple[float, float], times: int) -> tuple[float, float]:
    x, y = point
    for _ in range(times):
        x, y = -y, x
    return x, y
