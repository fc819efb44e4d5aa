"""Things that a person names at a glance, drawn with few thick marks.

Each icon fits a square of width ``size`` around (x, y), in percent of the side.
"""

from collections.abc import Callable

from mllm.benchmarks.scale.draw import INK, Canvas

GLYPHS: dict[str, tuple[str, str, float]] = {
    "sun": ("☀", "orange", 0.82), "anchor": ("⚓", "blue", 0.8), "umbrella": ("☂", "purple", 0.82),
    "phone": ("☎", "black", 0.62), "flower": ("✿", "#d6409f", 0.85),
    "cow": ("\U0001f42e", "black", 0.68), "cat": ("\U0001f431", "black", 0.68),
    "scissors": ("✂", "black", 0.8), "plane": ("✈", "blue", 0.85),
}  # fmt: skip
"""Icons that are a character of the font: (character, colour, height of a capital per width)."""

SOLID = {"star": "yellow", "heart": "red", "moon": "yellow"}
"""Icons that are a shape of the canvas, and their colours."""


class _Pen:
    """A canvas whose coordinates run from -1 to 1 over the square of one icon."""

    def __init__(self, canvas: Canvas, x: float, y: float, size: float):
        self.canvas, self.x, self.y, self.half = canvas, x, y, size / 2

    def polygon(self, points: list[tuple[float, float]], colour: str) -> None:
        placed = [(self.x + px * self.half, self.y + py * self.half) for px, py in points]
        self.canvas.polygon(placed, colour)

    def oval(self, x: float, y: float, across: float, down: float, colour: str | None) -> None:
        place = (self.x + x * self.half, self.y + y * self.half)
        self.canvas.ellipse(*place, across * self.half, down * self.half, colour)

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: str) -> None:
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour)

    def line(
        self, points: list[tuple[float, float]], colour: str = INK, width: float = 0.16
    ) -> None:
        placed = [(self.x + px * self.half, self.y + py * self.half) for px, py in points]
        self.canvas.line(placed, colour, width * self.half)


def _house(pen: _Pen) -> None:
    pen.box(-0.7, -0.1, 0.7, 0.9, "#f3c98b")
    pen.polygon([(-0.95, -0.05), (0, -0.9), (0.95, -0.05)], "red")
    pen.box(-0.2, 0.3, 0.2, 0.9, "brown")


def _tree(pen: _Pen) -> None:
    pen.box(-0.16, 0.3, 0.16, 0.95, "brown")
    pen.oval(0, -0.25, 1.5, 1.35, "green")


def _apple_tree(pen: _Pen) -> None:
    _tree(pen)
    for x, y in ((-0.4, -0.2), (0.05, -0.6), (0.42, -0.15), (0, 0.1)):
        pen.oval(x, y, 0.34, 0.34, "red")


def _apple(pen: _Pen) -> None:
    pen.oval(0, 0.15, 1.5, 1.4, "red")
    pen.line([(0, -0.5), (0.12, -0.85)], "brown", 0.2)
    pen.polygon([(0.1, -0.6), (0.45, -0.95), (0.75, -0.75), (0.4, -0.5)], "green")


def _boat(pen: _Pen) -> None:
    pen.line([(0, -0.95), (0, 0.4)], "brown", 0.16)
    pen.polygon([(0.08, -0.9), (0.8, 0.2), (0.08, 0.2)], "white")
    pen.polygon([(-0.95, 0.35), (0.95, 0.35), (0.55, 0.85), (-0.55, 0.85)], "brown")


def _car(pen: _Pen) -> None:
    pen.polygon([(-0.55, 0), (-0.35, -0.5), (0.35, -0.5), (0.6, 0)], "sky")
    pen.box(-0.95, -0.02, 0.95, 0.42, "red")
    for x in (-0.5, 0.5):
        pen.oval(x, 0.45, 0.52, 0.52, "black")


def _fish(pen: _Pen) -> None:
    pen.polygon([(0.45, 0), (0.98, -0.5), (0.98, 0.5)], "orange")
    pen.oval(-0.15, 0, 1.5, 0.95, "orange")
    pen.oval(-0.5, -0.12, 0.2, 0.2, "black")


def _egg(pen: _Pen) -> None:
    pen.oval(0, 0.05, 1.25, 1.65, "#fbe6cf")


def _hen(pen: _Pen) -> None:
    pen.line([(-0.05, 0.5), (-0.05, 0.95)], "orange", 0.16)
    pen.line([(0.25, 0.5), (0.25, 0.95)], "orange", 0.16)
    pen.polygon([(-0.95, -0.45), (-0.3, 0), (-0.5, 0.45)], "#b5651d")
    pen.oval(0.05, 0.2, 1.35, 0.95, "#b5651d")
    pen.oval(0.5, -0.35, 0.6, 0.6, "#b5651d")
    pen.polygon([(0.76, -0.4), (1.0, -0.25), (0.76, -0.15)], "yellow")
    pen.oval(0.5, -0.72, 0.36, 0.3, "red")


def _sheep(pen: _Pen) -> None:
    for x in (-0.35, 0.35):
        pen.line([(x, 0.4), (x, 0.9)], INK, 0.18)
    for x, y in ((-0.5, 0.1), (0.3, 0.15), (-0.3, -0.3), (0.2, -0.3), (-0.1, 0.25)):
        pen.oval(x, y, 0.8, 0.75, "white")
    pen.oval(0.65, -0.25, 0.5, 0.6, "black")


def _yarn(pen: _Pen) -> None:
    pen.oval(0, 0, 1.6, 1.6, "#e86a92")
    for offset in (-0.4, 0, 0.4):
        pen.line([(-0.6 + abs(offset) / 3, offset - 0.2), (0.6, offset + 0.2)], "#8c1d45", 0.1)
    pen.line([(0.6, 0.6), (0.95, 0.9)], "#8c1d45", 0.14)


def _milk(pen: _Pen) -> None:
    pen.polygon([(-0.28, -0.9), (0.28, -0.9), (0.28, -0.5), (0.55, -0.1), (0.55, 0.95),
                 (-0.55, 0.95), (-0.55, -0.1), (-0.28, -0.5)], "white")  # fmt: skip
    pen.box(-0.3, -0.95, 0.3, -0.68, "blue")


def _bread(pen: _Pen) -> None:
    pen.box(-0.65, -0.2, 0.65, 0.8, "#d99a4e")
    pen.oval(0, -0.3, 1.7, 0.95, "#b86f2a")
    pen.box(-0.62, -0.15, 0.62, 0.76, "#f0cf94")


def _wheat(pen: _Pen) -> None:
    pen.line([(0, -0.7), (0, 0.95)], "#a67c00", 0.12)
    for y in (-0.45, -0.05, 0.35):
        pen.polygon([(0, y + 0.25), (-0.6, y - 0.05), (-0.45, y - 0.4)], "yellow")
        pen.polygon([(0, y + 0.25), (0.6, y - 0.05), (0.45, y - 0.4)], "yellow")
    pen.oval(0, -0.75, 0.32, 0.5, "yellow")


def _honey(pen: _Pen) -> None:
    pen.box(-0.65, -0.4, 0.65, 0.9, "#f5a800")
    pen.box(-0.7, -0.75, 0.7, -0.4, "brown")
    pen.box(-0.45, 0, 0.45, 0.5, "white")


def _bee(pen: _Pen) -> None:
    pen.oval(-0.2, -0.5, 0.55, 0.75, "sky")
    pen.oval(0.25, -0.5, 0.55, 0.75, "sky")
    pen.oval(0, 0.2, 1.7, 1.0, "yellow")
    for x in (-0.35, 0, 0.35):
        pen.line([(x, -0.15), (x, 0.55)], "black", 0.2)


def _lemon(pen: _Pen) -> None:
    pen.polygon([(0.6, -0.25), (0.98, 0), (0.6, 0.25)], "yellow")
    pen.polygon([(-0.6, -0.25), (-0.98, 0), (-0.6, 0.25)], "yellow")
    pen.oval(0, 0, 1.5, 1.1, "yellow")


def _cactus(pen: _Pen) -> None:
    for points in ([(0, 0.9), (0, -0.75)], [(0, 0.3), (-0.6, 0.3), (-0.6, -0.3)],
                   [(0, 0.05), (0.6, 0.05), (0.6, -0.5)]):  # fmt: skip
        pen.line(points, "green", 0.42)


def _key(pen: _Pen) -> None:
    pen.line([(-0.2, 0), (0.9, 0)], "#a67c00", 0.26)
    for x in (0.5, 0.82):
        pen.line([(x, 0), (x, 0.42)], "#a67c00", 0.22)
    pen.oval(-0.5, 0, 0.9, 0.9, "#e0b000")
    pen.oval(-0.5, 0, 0.35, 0.35, "white")


def _cup(pen: _Pen) -> None:
    pen.oval(0.6, 0.1, 0.8, 0.8, "blue")
    pen.oval(0.6, 0.1, 0.4, 0.4, "paper")
    pen.box(-0.75, -0.45, 0.55, 0.75, "blue")


def _cheese(pen: _Pen) -> None:
    pen.polygon([(-0.95, 0.1), (0.6, -0.7), (0.95, 0.1)], "#ffe680")
    pen.box(-0.95, 0.1, 0.95, 0.75, "yellow")
    for x, y in ((-0.45, 0.42), (0.3, 0.35)):
        pen.oval(x, y, 0.34, 0.34, "#c79a00")


DRAWN: dict[str, Callable[[_Pen], None]] = {
    "house": _house, "tree": _tree, "apple tree": _apple_tree, "apple": _apple, "boat": _boat,
    "car": _car, "fish": _fish, "egg": _egg, "hen": _hen, "sheep": _sheep, "wool": _yarn,
    "milk": _milk, "bread": _bread, "wheat": _wheat, "honey": _honey, "bee": _bee,
    "lemon": _lemon, "cactus": _cactus, "key": _key, "cheese": _cheese, "cup": _cup,
}  # fmt: skip
ICONS = (*GLYPHS, *SOLID, *DRAWN)


def icon(canvas: Canvas, name: str, x: float, y: float, size: float) -> None:
    """Draw an icon of `ICONS` around (x, y), ``size`` percent wide."""
    if name in GLYPHS:
        character, colour, height = GLYPHS[name]
        canvas.text(character, x, y, size * height, colour, "sans")
    elif name in SOLID:
        canvas.shape(name, x, y, size * 0.9, SOLID[name])
    else:
        DRAWN[name](_Pen(canvas, x, y, size))
