"""Where the animals have their eyes and mouths, and what can be drawn on these."""

from dataclasses import dataclass

from mllm.benchmarks.cobsat.draw.parts import ANIMALS, area, circle, ellipse, line

Point = tuple[float, float]


@dataclass(frozen=True)
class Face:
    """Places in the units of an animal's shape.

    Attributes:
      eyes: one where the other is not seen, from left to right. mouth: its middle.
      skin: color around the eyes. wide: size of an eye, 1 for a usual one.
    """

    eyes: tuple[Point, ...]
    mouth: Point
    skin: str
    wide: float = 1.0


def _face(name: str, *eyes: Point, mouth: Point, skin: str = "", wide: float = 1) -> Face:
    return Face(eyes, mouth, skin or ANIMALS[name][0], wide)


FACES = {
    "zebra": _face("zebra", (41.5, 44.5), mouth=(20, 65), wide=1.15),
    "tiger": _face("tiger", (23.5, 35.5), mouth=(13, 43), wide=0.9),
    "sheep": _face("sheep", (24.5, 39.5), (40.5, 39.5), mouth=(33, 55), skin="#3a302c", wide=0.9),
    "pig": _face("pig", (22, 45.5), (41, 48.5), mouth=(27, 62)),
    "monkey": _face("monkey", (33, 40), (45, 36.5), mouth=(39, 52), wide=0.9),
    "lion": _face("lion", (39.5, 43), (60.5, 43), mouth=(50, 69), wide=1.1),
    "dog": _face("dog", (32.5, 36), (51, 34), mouth=(43, 49)),
    "cow": _face("cow", (24.5, 27), mouth=(14, 40), wide=0.8),
    "cat": _face("cat", (35.5, 33.5), mouth=(24, 42), wide=0.9),
    "bird": _face("bird", (29, 32.5), mouth=(12, 39), wide=1.1),
}


def closed(name: str) -> str:
    """Return closed eyes."""
    face, (_, ink) = FACES[name], ANIMALS[name]
    ink = "#ffffff" if face.skin == ink else ink
    return "".join(
        circle(x, y, 4.4 * face.wide, face.skin) + line(f"M{x - 4.4},{y} q4.4,4.4 8.8,0", ink, 2.2)
        for x, y in face.eyes
    )


def sad(name: str) -> str:
    """Return wide wet eyes below raised brows, and tears that run down."""
    drawn, (eyes, wide) = "", (FACES[name].eyes, FACES[name].wide)
    for k, (x, y) in enumerate(eyes):
        drawn += circle(x, y, 5.6 * wide, "#ffffff", 'stroke="#222222" stroke-width="1.4"')
        drawn += circle(x, y + 1, 3 * wide, "#222222") + circle(x - 1, y, 1.1, "#ffffff")
        lean = 2 if k == 0 and len(eyes) == 2 else -2
        drawn += line(f"M{x - 5.5},{y - 8 + lean} L{x + 5.5},{y - 8 - lean}", "#222222", 2.4)
        drawn += area(
            f"M{x - 3},{y + 5} C{x - 8},{y + 20} {x - 9},{y + 30} {x - 5},{y + 42} "
            f"Q{x},{y + 48} {x + 5},{y + 42} C{x + 8},{y + 30} {x + 7},{y + 20} {x + 3},{y + 5}Z",
            "#49b8ff", 'stroke="#ffffff" stroke-width="1.4"',
        )  # fmt: skip
    return drawn


def angry(name: str) -> str:
    """Return glaring eyes below slanting brows."""
    drawn, (eyes, wide) = "", (FACES[name].eyes, FACES[name].wide)
    for k, (x, y) in enumerate(eyes):
        lean = -4 if k == 0 and len(eyes) == 2 else 4
        drawn += circle(x, y, 5.2 * wide, "#ffffff", 'stroke="#222222" stroke-width="1.2"')
        drawn += circle(x, y + 0.6, 2.6 * wide, "#d00000")
        drawn += line(f"M{x - 8},{y - 5 + lean} L{x + 8},{y - 5 - lean}", "#111111", 4.2)
    return drawn


def glasses(name: str) -> str:
    """Return round glasses."""
    eyes, drawn = FACES[name].eyes, ""
    for x, y in eyes:
        drawn += circle(
            x, y, 7, "#ffffff", 'fill-opacity=".35" stroke="#111111" stroke-width="2.4"'
        )
    if len(eyes) == 2:
        (x1, y1), (x2, y2) = eyes
        drawn += line(f"M{x1 + 6.5},{y1} L{x2 - 6.5},{y2}", "#111111", 2.2)
    x, y = eyes[-1]
    return drawn + line(f"M{x + 7},{y - 1} l9,-3", "#111111", 2.2)


def singing(name: str) -> str:
    """Return a wide open mouth."""
    x, y = FACES[name].mouth
    return ellipse(x + 1, y, 4.6, 6.2, "#5c0010", 'stroke="#ffffff" stroke-width="1.2"') + ellipse(
        x + 1, y + 3, 2.8, 2.4, "#ff6f7f"
    )
