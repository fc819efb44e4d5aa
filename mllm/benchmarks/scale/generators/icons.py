"""Things that a person names at a glance, drawn with few thick marks.

Each icon fits a square of width `size` around (x, y), in percent of the side.
"""

from collections.abc import Callable

from mllm.benchmarks.scale.draw import SHAPES, Canvas
from mllm.benchmarks.scale.things import THINGS, Pen

GLYPHS: dict[str, tuple[str, str, float]] = {
    "sun": ("☀", "orange", 0.82), "anchor": ("⚓", "blue", 0.8), "phone": ("☎", "black", 0.62),
    "cow": ("\U0001f42e", "black", 0.68),
    "plane": ("✈", "blue", 0.85),
}  # fmt: skip
"""Icons that are a character of the font: (character, colour, height of a capital per width)."""

COLOUR_OF = {
    "star": "yellow", "heart": "red", "moon": "yellow", "apple": "red", "boat": "brown",
    "car": "red", "cat": "orange", "cup": "blue", "fish": "orange", "flower": "pink",
    "house": "red", "key": "yellow", "tree": "green", "umbrella": "purple", "apple tree": "green",
}  # fmt: skip
"""The colour of icons that could have any."""


def _apple_tree(pen: Pen) -> None:
    THINGS["tree"](pen)
    for x, y in ((-0.4, -0.2), (0.05, -0.6), (0.42, -0.15), (0, 0.1)):
        pen.oval(x, y, 0.34, 0.34, fill="red")


def _egg(pen: Pen) -> None:
    pen.oval(0, 0.05, 1.25, 1.65, fill="#fbe6cf")


def _hen(pen: Pen) -> None:
    pen.line((-0.05, 0.5), (-0.05, 0.95), colour="orange", width=0.16)
    pen.line((0.25, 0.5), (0.25, 0.95), colour="orange", width=0.16)
    pen.polygon((-0.95, -0.45), (-0.3, 0), (-0.5, 0.45), fill="#b5651d")
    pen.oval(0.05, 0.2, 1.35, 0.95, fill="#b5651d")
    pen.oval(0.5, -0.35, 0.6, 0.6, fill="#b5651d")
    pen.polygon((0.76, -0.4), (1.0, -0.25), (0.76, -0.15), fill="yellow")
    pen.oval(0.5, -0.72, 0.36, 0.3, fill="red")


def _sheep(pen: Pen) -> None:
    for x in (-0.35, 0.35):
        pen.line((x, 0.4), (x, 0.9), colour="black", width=0.18)
    for x, y in ((-0.5, 0.1), (0.3, 0.15), (-0.3, -0.3), (0.2, -0.3), (-0.1, 0.25)):
        pen.oval(x, y, 0.8, 0.75, fill="white")
    pen.oval(0.65, -0.25, 0.5, 0.6, fill="black")


def _yarn(pen: Pen) -> None:
    pen.oval(0, 0, 1.6, 1.6, fill="#e86a92")
    for offset in (-0.4, 0, 0.4):
        pen.line(
            (-0.6 + abs(offset) / 3, offset - 0.2), (0.6, offset + 0.2), colour="#8c1d45", width=0.1
        )
    pen.line((0.6, 0.6), (0.95, 0.9), colour="#8c1d45", width=0.14)


def _milk(pen: Pen) -> None:
    pen.polygon((-0.28, -0.9), (0.28, -0.9), (0.28, -0.5), (0.55, -0.1), (0.55, 0.95),
                 (-0.55, 0.95), (-0.55, -0.1), (-0.28, -0.5), fill="white")  # fmt: skip
    pen.box(-0.3, -0.95, 0.3, -0.68, fill="blue")


def _bread(pen: Pen) -> None:
    pen.box(-0.65, -0.2, 0.65, 0.8, fill="#d99a4e")
    pen.oval(0, -0.3, 1.7, 0.95, fill="#b86f2a")
    pen.box(-0.62, -0.15, 0.62, 0.76, fill="#f0cf94")


def _wheat(pen: Pen) -> None:
    pen.line((0, -0.7), (0, 0.95), colour="#a67c00", width=0.12)
    for y in (-0.45, -0.05, 0.35):
        pen.polygon((0, y + 0.25), (-0.6, y - 0.05), (-0.45, y - 0.4), fill="yellow")
        pen.polygon((0, y + 0.25), (0.6, y - 0.05), (0.45, y - 0.4), fill="yellow")
    pen.oval(0, -0.75, 0.32, 0.5, fill="yellow")


def _honey(pen: Pen) -> None:
    pen.box(-0.65, -0.4, 0.65, 0.9, fill="#f5a800")
    pen.box(-0.7, -0.75, 0.7, -0.4, fill="brown")
    pen.box(-0.45, 0, 0.45, 0.5, fill="white")


def _bee(pen: Pen) -> None:
    pen.oval(-0.2, -0.5, 0.55, 0.75, fill="sky")
    pen.oval(0.25, -0.5, 0.55, 0.75, fill="sky")
    pen.oval(0, 0.2, 1.7, 1.0, fill="yellow")
    for x in (-0.35, 0, 0.35):
        pen.line((x, -0.15), (x, 0.55), colour="black", width=0.2)


def _lemon(pen: Pen) -> None:
    pen.polygon((0.6, -0.25), (0.98, 0), (0.6, 0.25), fill="yellow")
    pen.polygon((-0.6, -0.25), (-0.98, 0), (-0.6, 0.25), fill="yellow")
    pen.oval(0, 0, 1.5, 1.1, fill="yellow")


def _cactus(pen: Pen) -> None:
    for points in ([(0, 0.9), (0, -0.75)], [(0, 0.3), (-0.6, 0.3), (-0.6, -0.3)],
                   [(0, 0.05), (0.6, 0.05), (0.6, -0.5)]):  # fmt: skip
        pen.line(*points, colour="green", width=0.42)


def _cheese(pen: Pen) -> None:
    pen.polygon((-0.95, 0.1), (0.6, -0.7), (0.95, 0.1), fill="#ffe680")
    pen.box(-0.95, 0.1, 0.95, 0.75, fill="yellow")
    for x, y in ((-0.45, 0.42), (0.3, 0.35)):
        pen.oval(x, y, 0.34, 0.34, fill="#c79a00")


DRAWN: dict[str, Callable[[Pen], None]] = {
    "apple tree": _apple_tree, "egg": _egg, "hen": _hen, "sheep": _sheep, "wool": _yarn,
    "milk": _milk, "bread": _bread, "wheat": _wheat, "honey": _honey, "bee": _bee,
    "lemon": _lemon, "cactus": _cactus, "cheese": _cheese,
}  # fmt: skip
ICONS = tuple(dict.fromkeys((*GLYPHS, *COLOUR_OF, *DRAWN)))


def icon(canvas: Canvas, name: str, x: float, y: float, size: float) -> None:
    """Draw an icon of `ICONS` around (x, y), `size` percent wide."""
    colour = COLOUR_OF.get(name, "white")
    if name in GLYPHS:
        character, ink, height = GLYPHS[name]
        canvas.text(character, x, y, size * height, ink, "sans")
    elif name in SHAPES:
        canvas.shape(name, x, y, size * 0.9, colour)
    else:
        draw = DRAWN.get(name) or THINGS[name]
        draw(Pen(canvas, x, y, size * 0.94, colour))
