"""Drawings of everyday things in any colour, readable at 64 pixels from 40 percent on."""

from collections.abc import Callable

from mllm.benchmarks.scale.draw import INK, Canvas


class Pen:
    """Draw on a canvas in coordinates from -1 to 1 around a point."""

    def __init__(self, canvas: Canvas, x: float, y: float, size: float, colour: str):
        self.canvas, self.x, self.y, self.half, self.colour = canvas, x, y, size / 2, colour
        self.line_width = max(1.6, size / 26)

    def at(self, x: float, y: float) -> tuple[float, float]:
        return self.x + x * self.half, self.y + y * self.half

    def polygon(self, *points: tuple[float, float], fill: str | None = None) -> None:
        corners = [self.at(x, y) for x, y in points]
        self.canvas.polygon(corners, fill or self.colour, width=self.line_width)

    def oval(self, x: float, y: float, w: float, h: float, fill: str | None = None) -> None:
        size = (w * self.half, h * self.half)
        self.canvas.ellipse(*self.at(x, y), *size, fill or self.colour, width=self.line_width)

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: str | None = None) -> None:
        corners = (*self.at(x0, y0), *self.at(x1, y1))
        self.canvas.rectangle(*corners, fill or self.colour, width=self.line_width)

    def line(self, *points: tuple[float, float], colour: str = INK, width: float = 0.12) -> None:
        self.canvas.line([self.at(x, y) for x, y in points], colour, width * self.half)

    def arc(self, x: float, y: float, w: float, h: float, start: float, end: float) -> None:
        size = (w * self.half, h * self.half)
        self.canvas.arc(*self.at(x, y), *size, start, end, INK, 0.14 * self.half)


def _apple(pen: Pen) -> None:
    pen.oval(-0.3, 0.2, 1.2, 1.5)
    pen.oval(0.3, 0.2, 1.2, 1.5)
    pen.canvas.ellipse(*pen.at(0, 0.25), 0.9 * pen.half, 1.2 * pen.half, pen.colour, outline=None)
    pen.line((0, -0.4), (0.12, -0.95), width=0.16)
    pen.polygon((0.12, -0.6), (0.5, -0.95), (0.85, -0.75), (0.5, -0.5), fill="green")


def _boat(pen: Pen) -> None:
    pen.line((0, -0.95), (0, 0.4))
    pen.polygon((0.1, -0.9), (0.85, 0.2), (0.1, 0.2), fill="white")
    pen.polygon((-0.1, -0.6), (-0.7, 0.2), (-0.1, 0.2), fill="white")
    pen.polygon((-1, 0.4), (1, 0.4), (0.6, 0.95), (-0.6, 0.95))


def _car(pen: Pen) -> None:
    pen.polygon((-0.6, -0.1), (-0.35, -0.6), (0.35, -0.6), (0.6, -0.1))
    pen.box(-1, -0.15, 1, 0.4)
    pen.polygon((-0.4, -0.15), (-0.25, -0.45), (0.25, -0.45), (0.4, -0.15), fill="white")
    for x in (-0.55, 0.55):
        pen.oval(x, 0.42, 0.56, 0.56, fill="black")
        pen.oval(x, 0.42, 0.2, 0.2, fill="white")


def _cat(pen: Pen) -> None:
    pen.polygon((-0.85, -0.95), (-0.2, -0.5), (-0.75, 0))
    pen.polygon((0.85, -0.95), (0.2, -0.5), (0.75, 0))
    pen.oval(0, 0.15, 1.75, 1.5)
    for x in (-0.35, 0.35):
        pen.oval(x, 0, 0.3, 0.36, fill="white")
        pen.oval(x, 0, 0.12, 0.24, fill="black")
    pen.polygon((-0.14, 0.3), (0.14, 0.3), (0, 0.45), fill="pink")
    for x in (-1, 1):
        pen.line((0.4 * x, 0.42), (x, 0.3), width=0.07)
        pen.line((0.4 * x, 0.5), (x, 0.6), width=0.07)


def _clock(pen: Pen) -> None:
    pen.oval(0, 0, 1.95, 1.95)
    pen.oval(0, 0, 1.4, 1.4, fill="white")
    pen.line((0, -0.5), (0, 0), (0.38, 0.2), width=0.15)


def _cup(pen: Pen) -> None:
    pen.arc(0.6, 0.1, 0.8, 0.8, -110, 110)
    pen.polygon((-0.85, -0.5), (0.6, -0.5), (0.45, 0.85), (-0.7, 0.85))
    for x in (-0.45, 0.15):
        pen.line((x, -0.65), (x + 0.12, -0.8), (x, -0.98), width=0.1)


def _fish(pen: Pen) -> None:
    pen.polygon((0.35, 0), (1, -0.6), (1, 0.6))
    pen.oval(-0.2, 0, 1.55, 1.05)
    pen.oval(-0.6, -0.12, 0.28, 0.28, fill="white")
    pen.oval(-0.62, -0.12, 0.1, 0.1, fill="black")
    pen.arc(-0.2, 0, 0.5, 0.9, -70, 70)


def _flower(pen: Pen) -> None:
    pen.line((0, 0), (0, 0.98), colour="green", width=0.18)
    pen.polygon((0, 0.8), (0.5, 0.4), (0.6, 0.6), fill="green")
    for x, y in ((0, -0.78), (0.44, -0.46), (0.28, 0.06), (-0.28, 0.06), (-0.44, -0.46)):
        pen.oval(x, y, 0.55, 0.55)
    pen.oval(0, -0.33, 0.5, 0.5, fill="white")


def _hat(pen: Pen) -> None:
    pen.box(-0.55, -0.8, 0.55, 0.5)
    pen.box(-0.55, 0.15, 0.55, 0.45, fill="white")
    pen.oval(0, 0.6, 2, 0.4)


def _house(pen: Pen) -> None:
    pen.box(-0.75, -0.1, 0.75, 0.95, fill="white")
    pen.polygon((-1, -0.1), (0, -0.95), (1, -0.1))
    pen.box(-0.15, 0.35, 0.25, 0.95)
    pen.box(-0.6, 0.15, -0.3, 0.45)


def _key(pen: Pen) -> None:
    pen.box(-0.15, -0.14, 1, 0.14)
    for x in (0.5, 0.8):
        pen.box(x, 0.1, x + 0.2, 0.5)
    pen.oval(-0.5, 0, 1, 1)
    pen.oval(-0.55, 0, 0.4, 0.4, fill="white")


def _mushroom(pen: Pen) -> None:
    pen.polygon((-0.3, 0), (0.3, 0), (0.4, 0.95), (-0.4, 0.95), fill="white")
    pen.canvas.pie(*pen.at(0, 0.1), 2 * pen.half, 180, 360, pen.colour)
    for x, y in ((-0.5, -0.2), (0.1, -0.55), (0.5, -0.15)):
        pen.oval(x, y, 0.34, 0.34, fill="white")


def _rocket(pen: Pen) -> None:
    pen.polygon((-0.3, 0.4), (0.3, 0.4), (0, 1), fill="orange")
    pen.polygon((-0.35, 0), (-0.8, 0.7), (0.8, 0.7), (0.35, 0))
    pen.polygon((0, -1), (0.4, -0.4), (0.4, 0.55), (-0.4, 0.55), (-0.4, -0.4), fill="white")
    pen.polygon((0, -1), (0.4, -0.4), (-0.4, -0.4))
    pen.oval(0, 0, 0.4, 0.4)


def _snowman(pen: Pen) -> None:
    pen.oval(0, 0.45, 1.1, 1.05, fill="white")
    pen.oval(0, -0.3, 0.75, 0.75, fill="white")
    pen.box(-0.32, -1, 0.32, -0.6)
    pen.box(-0.55, -0.66, 0.55, -0.5)
    pen.box(-0.45, -0.05, 0.45, 0.1)
    for x in (-0.15, 0.15):
        pen.oval(x, -0.35, 0.1, 0.12, fill="black")


def _tree(pen: Pen) -> None:
    pen.box(-0.17, 0.1, 0.17, 0.98, fill="brown")
    for x, y in ((-0.4, -0.1), (0.4, -0.1), (0, -0.5)):
        pen.oval(x, y, 0.95, 0.9)
    pen.canvas.ellipse(*pen.at(0, -0.2), 0.8 * pen.half, 0.7 * pen.half, pen.colour, outline=None)


def _umbrella(pen: Pen) -> None:
    pen.line((0, -0.9), (0, 0.75), width=0.14)
    pen.arc(0.2, 0.7, 0.45, 0.5, 0, 180)
    pen.canvas.pie(*pen.at(0, 0.1), 2 * pen.half, 180, 360, pen.colour)
    for x in (-0.66, 0, 0.66):
        pen.oval(x, 0.12, 0.62, 0.24, fill="white")


THINGS: dict[str, Callable[[Pen], None]] = {
    "apple": _apple,
    "boat": _boat,
    "car": _car,
    "cat": _cat,
    "clock": _clock,
    "cup": _cup,
    "fish": _fish,
    "flower": _flower,
    "hat": _hat,
    "house": _house,
    "key": _key,
    "mushroom": _mushroom,
    "rocket": _rocket,
    "snowman": _snowman,
    "tree": _tree,
    "umbrella": _umbrella,
}


def draw_thing(canvas: Canvas, name: str, x: float, y: float, size: float, colour: str) -> None:
    """Draw a thing of `THINGS` around (x, y), `size` percent wide, in a colour."""
    THINGS[name](Pen(canvas, x, y, size, colour))
