"""Two styles made of squares: pixels, and toy bricks seen from above."""

import colorsys

from mllm.benchmarks.cobsat.draw.parts import OBJECTS, Scene, circle, ground, rect
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
    reach = range(-6, COUNT + 6)
    plate = "".join(
        _stud(START + column * SIDE, START + row * SIDE, on.get((column, row)), base)
        for row in reach
        for column in reach
    )
    return Scene(ground(base), plate)


def _stud(x: float, y: float, color: str | None, base: str) -> str:
    """Return one square of the plate, or a brick on it, with its stud."""
    tone = color or base
    edge = shade(tone, 0.7)
    brick = rect(x, y, SIDE, SIDE, tone, f'stroke="{edge}" stroke-width=".7"') if color else ""
    x, y = x + SIDE / 2, y + SIDE / 2
    return (
        brick + circle(x + 0.35, y + 0.45, SIDE * 0.33, edge)
        + circle(x, y, SIDE * 0.31, shade(tone, 1.14))
    )  # fmt: skip
