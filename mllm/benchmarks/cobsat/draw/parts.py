"""What the drawings of all themes are put together from."""

from dataclasses import dataclass

from mllm.benchmarks.cobsat.draw.glyphs import Shape, shape

# Usual colors: of the body, and of lines and dark parts.
ANIMALS = {
    "zebra": ("#ffffff", "#1d1d1d"),
    "tiger": ("#f9982a", "#2b1a08"),
    "sheep": ("#faf5e6", "#3a302c"),
    "pig": ("#f9a9be", "#6b2438"),
    "monkey": ("#b0703d", "#2e1708"),
    "lion": ("#f7c55c", "#8a4b12"),
    "dog": ("#e6b57f", "#45270f"),
    "cow": ("#ffffff", "#242424"),
    "cat": ("#b4bcc6", "#2b3038"),
    "bird": ("#46a6ea", "#0f3557"),
}
OBJECTS = {
    "leaf": ("#46a83f", "#17401a"),
    "hat": ("#6a55a8", "#241a45"),
    "cup": ("#f2f0ea", "#3d2616"),
    "chair": ("#c98645", "#4a2a10"),
    "car": ("#dc3a33", "#4a0d0b"),
    "box": ("#d3a368", "#4f3413"),
    "book": ("#3f78d0", "#12284f"),
    "ball": ("#ffffff", "#1f1f1f"),
    "bag": ("#c2487a", "#47122a"),
    "apple": ("#df2f2f", "#4f0b0b"),
}


@dataclass(frozen=True)
class Scene:
    """A drawing in two layers, which views move apart.

    Attributes:
      back: covers the whole and reaches beyond it. front: the subject. defs: gradients, patterns
        and filters of both.
    """

    back: str
    front: str
    defs: str = ""


def ground(color: str) -> str:
    """Return a backdrop of one color."""
    return f'<rect x="-20" y="-20" width="140" height="140" fill="{color}"/>'


def gradient(name: str, *stops: tuple[float, str], turn: float = 90) -> str:
    """Return a linear gradient over the object it fills, downwards where turn is 90 degrees."""
    inner = "".join(f'<stop offset="{at}" stop-color="{color}"/>' for at, color in stops)
    return (
        f'<linearGradient id="{name}" gradientTransform="rotate({turn} .5 .5)">{inner}'
        "</linearGradient>"
    )


def glow(name: str, *stops: tuple[float, str, float]) -> str:
    """Return a radial gradient of (offset, color, opacity)."""
    inner = "".join(
        f'<stop offset="{at}" stop-color="{color}" stop-opacity="{opacity}"/>'
        for at, color, opacity in stops
    )
    return f'<radialGradient id="{name}">{inner}</radialGradient>'


def place(content: str, x: float, y: float, scale: float = 1, turn: float = 0) -> str:
    """Return a drawing scaled and turned about its middle (50, 50), which comes to (x, y)."""
    return (
        f'<g transform="translate({x},{y}) rotate({turn}) scale({scale}) translate(-50,-50)">'
        f"{content}</g>"
    )


def figure(drawn: Shape, fill: str, ink: str, halo: str = "", width: float = 5) -> str:
    """Return a shape: its body, its lines over it, and a rim around it where halo is a color."""
    rim = ""
    if halo:
        rim = (
            f'<path d="{drawn.body}" fill="{halo}" stroke="{halo}" stroke-width="{width}" '
            'stroke-linejoin="round"/>'
        )
    return f'{rim}<path d="{drawn.body}" fill="{fill}"/><path d="{drawn.ink}" fill="{ink}"/>'


def animal(name: str, halo: str = "#ffffff", weight: int = 450, width: float = 5) -> str:
    """Return an animal in its usual colors, with a rim that parts it from any background."""
    fill, ink = ANIMALS[name]
    return figure(shape(name, weight), fill, ink, halo, width)


def line(d: str, color: str, width: float, more: str = "") -> str:
    """Return an open line with round ends."""
    return (
        f'<path d="{d}" fill="none" stroke="{color}" stroke-width="{width}" '
        f'stroke-linecap="round" stroke-linejoin="round" {more}/>'
    )


def area(d: str, fill: str, more: str = "") -> str:
    """Return a filled path."""
    return f'<path d="{d}" fill="{fill}" {more}/>'


def circle(x: float, y: float, radius: float, fill: str, more: str = "") -> str:
    """Return a filled circle."""
    return f'<circle cx="{x:.2f}" cy="{y:.2f}" r="{radius:.2f}" fill="{fill}" {more}/>'


def ellipse(x: float, y: float, rx: float, ry: float, fill: str, more: str = "") -> str:
    """Return a filled ellipse."""
    return f'<ellipse cx="{x:.2f}" cy="{y:.2f}" rx="{rx:.2f}" ry="{ry:.2f}" fill="{fill}" {more}/>'


def rect(x: float, y: float, width: float, height: float, fill: str, more: str = "") -> str:
    """Return a filled rectangle."""
    return (
        f'<rect x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{height:.2f}" '
        f'fill="{fill}" {more}/>'
    )


def oval(x: float, y: float, rx: float, ry: float) -> str:
    """Return the path of an ellipse; many in one path are drawn faster than one by one."""
    half = f"a{rx:.2f},{ry:.2f} 0 1 0"
    return f"M{x - rx:.2f},{y:.2f} {half} {2 * rx:.2f},0 {half} {-2 * rx:.2f},0Z"
