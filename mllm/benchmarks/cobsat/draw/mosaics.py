"""Two styles made of squares: pixels, and toy bricks seen from above."""

import colorsys

from mllm.benchmarks.cobsat.draw.parts import OBJECTS, Scene, area, ground, oval, rect
from mllm.benchmarks.cobsat.draw.sprites import COUNT, squares
from mllm.benchmarks.cobsat.draw.view import View

SIDE = 5.1  # of a square
START = 50 - COUNT * SIDE / 2
CRISP = 'shape-rendering="crispEdges"'
WHITE = "#f4f4f4"
# The second color of an object: ribbon, coffee, tape, pentagons, clasp.
SECOND = {
    "hat": "#e2453c", "cup": "#5a3418", "car": "#ffd54a", "box": "#8a5f2a",
    "ball": "#1b1b1b", "bag": "#ffcf3f", "apple": "#3aa03a",
}  # fmt: skip


def shade(color: str, factor: float) -> str:
    """Return a color made lighter (above 1) or darker (below 1)."""
    red, green, blue = (int(color[k : k + 2], 16) / 255 for k in (1, 3, 5))
    hue, light, saturation = colorsys.rgb_to_hls(red, green, blue)
    mixed = colorsys.hls_to_rgb(hue, min(1.0, light * factor), saturation)
    return "#" + "".join(f"{round(255 * part):02x}" for part in mixed)


def _palette(name: str, edge: str) -> dict[str, str]:
    fill, _ = OBJECTS[name]
    second = SECOND.get(name, fill)
    return {
        "k": edge, "f": fill, "l": shade(fill, 1.25), "d": shade(fill, 0.74),
        "r": second, "g": second, "w": WHITE,
    }  # fmt: skip


def pixel(name: str, view: View) -> Scene:
    """Return an object as pixel art in front of a sky and grass of squares."""
    colors = _palette(name, "#14141c")
    drawn = "".join(
        rect(START + column * SIDE, START + row * SIDE, SIDE, SIDE, colors[letter], CRISP)
        for column, row, letter in squares(name)
    )
    back = ""
    for row in range(-3, 24):
        tones = ("#8fd6ff", "#9ddcff") if row < 16 else ("#4fbf4a", "#43ad3f")
        back += "".join(
            rect(column * SIDE, row * SIDE, SIDE, SIDE, tones[(row + column) % 2], CRISP)
            for column in range(-4, 24)
        )
    return Scene(ground("#8fd6ff") + back, drawn)


def lego(name: str, view: View) -> Scene:
    """Return an object as bricks on a plate with studs."""
    base = "#f0cf4e" if name == "leaf" else "#3f9f45"
    fill, dark = OBJECTS[name]
    edge = shade(dark, 1.1) if name in ("cup", "ball") else shade(fill, 0.5)
    colors = _palette(name, edge)
    on = {(column, row): colors[letter] for column, row, letter in squares(name)}
    reach = range(-4, COUNT + 4)
    places = [(START + column * SIDE, START + row * SIDE, (column, row))
              for row in reach for column in reach]  # fmt: skip
    plate = _studs([(x, y) for x, y, place in places if place not in on], base)
    bricks = "".join(_brick(x, y, on[place]) for x, y, place in places if place in on)
    return Scene(ground(base), rect(-20, -20, 140, 140, base) + plate + bricks)


def _brick(x: float, y: float, color: str) -> str:
    """Return one square of a brick with its stud."""
    edge = f'stroke="{shade(color, 0.7)}" stroke-width=".7"'
    return rect(x, y, SIDE, SIDE, color, edge) + _studs([(x, y)], color)


def _studs(corners: list[tuple[float, float]], color: str) -> str:
    """Return the studs of squares of one color."""
    half, outer, inner = SIDE / 2, SIDE * 0.33, SIDE * 0.31
    shadows = "".join(oval(x + half + 0.35, y + half + 0.45, outer, outer) for x, y in corners)
    tops = "".join(oval(x + half, y + half, inner, inner) for x, y in corners)
    return area(shadows, shade(color, 0.7)) + area(tops, shade(color, 1.14))
