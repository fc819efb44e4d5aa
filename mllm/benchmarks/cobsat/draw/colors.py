"""Objects in ten colors, on a grey ground."""

from mllm.benchmarks.cobsat.draw.glyphs import shape
from mllm.benchmarks.cobsat.draw.parts import Scene, ellipse, figure, ground
from mllm.benchmarks.cobsat.draw.view import View

# Of the body, and of its lines.
COLORS = {
    "yellow": ("#ffdc12", "#7a6000"),
    "white": ("#ffffff", "#7d838c"),
    "red": ("#e3101c", "#5c0409"),
    "purple": ("#8024c9", "#2f0a52"),
    "pink": ("#ff8ccb", "#97316a"),
    "orange": ("#ff8400", "#7a3c00"),
    "green": ("#1fa838", "#08401a"),
    "brown": ("#7d4a20", "#2f1906"),
    "blue": ("#1c5be6", "#08235f"),
    "black": ("#141414", "#626262"),
}
GROUND = "#c4c7cb"


def draw(color: str, name: str, view: View) -> Scene:
    """Return an object in a color."""
    drawn = shape(name, 400)
    left, _, right, bottom = drawn.bounds
    shadow = ellipse((left + right) / 2, bottom, (right - left) / 2, 3.5, "#8d9196")
    return Scene(ground(GROUND), shadow + figure(drawn, *COLORS[color]))
