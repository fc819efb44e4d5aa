"""Objects made of ten materials: patterns inside the outline, with lines that keep it clear."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from mllm.benchmarks.cobsat.draw.glyphs import Shape, shape
from mllm.benchmarks.cobsat.draw.parts import (
    Scene,
    area,
    circle,
    ellipse,
    gradient,
    ground,
    line,
    oval,
    rect,
)
from mllm.benchmarks.cobsat.draw.view import View


@dataclass(frozen=True)
class Material:
    """How a material looks.

    Attributes:
      ground: color of the backdrop. ink: of the lines. rim: of the outer outline.
      surface: drawn over the whole square and cut to the body, given the view.
      edge: drawn along the outline, given the shape.
      defs: gradients, patterns and filters.
    """

    ground: str
    ink: str
    surface: Callable[[View], str]
    defs: str = ""
    edge: Callable[[Shape], str] = lambda drawn: ""
    weight: int = 350


def draw(texture: str, name: str, view: View) -> Scene:
    """Return an object made of a material."""
    made, drawn = MATERIALS[texture], shape(name, MATERIALS[texture].weight)
    left, _, right, bottom = drawn.bounds
    shadow = ellipse(
        (left + right) / 2, bottom, (right - left) / 2, 3.5, "#000000", 'opacity=".25"'
    )
    rim = (
        f'<path d="{drawn.body}" fill="{made.ink}" stroke="{made.ink}" stroke-width="2.2" '
        'stroke-linejoin="round"/>'
    )
    inside = f'<g clip-path="url(#body)">{made.surface(view)}{made.edge(drawn)}</g>'
    lines = f'<path d="{drawn.ink}" fill="{made.ink}"/>'
    clip = f'<clipPath id="body"><path d="{drawn.body}"/></clipPath>'
    return Scene(ground(made.ground), shadow + rim + inside + lines, made.defs + clip)


def _stitches(color: str, inset: float, width: float = 1.3) -> Callable[[Shape], str]:
    """Return a seam along the inside of the outline."""

    def edge(drawn: Shape) -> str:
        inner = f'stroke-width="{2 * inset + width}"'
        mask = (
            f'<mask id="seam"><rect x="-20" y="-20" width="140" height="140" fill="#fff"/>'
            f'<path d="{drawn.body}" fill="none" stroke="#000" {inner}/></mask>'
        )
        return mask + (
            f'<g mask="url(#seam)"><path d="{drawn.body}" fill="none" stroke="{color}" '
            f'stroke-width="{2 * inset + 3 * width}" stroke-dasharray="3 2"/></g>'
        )

    return edge


def _wood(view: View) -> str:
    rng = view.rng("wood")
    planks = ""
    for k, y in enumerate(range(-4, 104, 18)):
        planks += rect(-5, y, 110, 18, ("#b5713a", "#a3602b", "#c07f48")[k % 3])
        for step in range(4, 18, 4):
            bend = rng.uniform(-2.4, 2.4)
            planks += line(
                f"M-5,{y + step} Q20,{y + step + bend:.1f} 45,{y + step} T105,{y + step}",
                "#7a431a", 1.1,
            )  # fmt: skip
        x = rng.uniform(15, 85)
        knot = "".join(
            ellipse(x, y + 9, radius, radius * 0.55, "none", 'stroke="#6b3b14" stroke-width="1.1"')
            for radius in (5.4, 3.2)
        )
        planks += (
            ellipse(x, y + 9, 6, 3.6, "#a3602b") + knot + ellipse(x, y + 9, 1.4, 0.8, "#5a2f0e")
        )
        planks += line(f"M-5,{y} H105", "#5e3410", 1.3)
    return planks


def _wicker(view: View) -> str:
    cell = 7.0
    strands = rect(-5, -5, 110, 110, "#7a5220")
    for row in range(-1, 15):
        for column in range(-1, 15):
            x, y = column * cell, row * cell
            if (row + column) % 2:
                strands += rect(
                    x - 0.8, y + 0.9, cell + 1.6, cell - 1.8, "url(#across)", 'rx="2.6"'
                )
            else:
                strands += rect(x + 0.9, y - 0.8, cell - 1.8, cell + 1.6, "url(#along)", 'rx="2.6"')
    return strands


def _sequined(view: View) -> str:
    rng = view.rng("sequins")
    colors = ("#ff2fa0", "#d6127f", "#ff6fc2", "#b30a6b", "#ff9ad6")
    discs, lights, step = dict.fromkeys(colors, ""), "", 5.4
    for row in range(22):
        for column in range(-1, 21):
            x, y = column * step + (step / 2 if row % 2 else 0), row * step * 0.9
            discs[rng.choice(colors)] += oval(x, y, 3.1, 3.1)
            lights += oval(x - 0.8, y - 0.9, 0.9, 0.9)
    cloth = rect(-5, -5, 110, 110, "#7a0648")
    for color, path in discs.items():
        cloth += area(path, color, 'stroke="#7a0648" stroke-width=".5"')
    cloth += area(lights, "#ffd9ef")
    for _ in range(22):
        x, y, r = rng.uniform(12, 88), rng.uniform(12, 88), rng.uniform(3, 5)
        cloth += area(
            f"M{x:.1f},{y - r:.1f} L{x + 0.8:.1f},{y - 0.8:.1f} L{x + r:.1f},{y:.1f} "
            f"L{x + 0.8:.1f},{y + 0.8:.1f} L{x:.1f},{y + r:.1f} L{x - 0.8:.1f},{y + 0.8:.1f} "
            f"L{x - r:.1f},{y:.1f} L{x - 0.8:.1f},{y - 0.8:.1f}Z", "#ffffff",
        )  # fmt: skip
    return cloth


def _plastic(view: View) -> str:
    return (
        rect(-5, -5, 110, 110, "url(#shell)")
        + area("M-5,44 Q30,20 105,30 V18 Q40,8 -5,30Z", "#ffffff", 'opacity=".75"')
        + area("M-5,53 Q30,30 105,38 V35 Q30,25 -5,48Z", "#ffffff", 'opacity=".55"')
        + area("M-5,92 Q50,70 105,84 V90 Q50,78 -5,100Z", "#ffffff", 'opacity=".4"')
    )


def _gloss(drawn: Shape) -> str:
    """Return the light along the upper left of an outline, and the shade opposite."""
    path = f'd="{drawn.body}" fill="none" stroke-width="4"'
    return (
        f'<path {path} stroke="#ffffff" opacity=".6" transform="translate(2.4,2.4)"/>'
        f'<path {path} stroke="#000000" opacity=".25" transform="translate(-1.2,-1.2)"/>'
    )


def _paper(view: View) -> str:
    rules = "".join(line(f"M-5,{y} H105", "#5b8fe0", 1.3) for y in range(8, 104, 8))
    margin = line("M30,-5 V105", "#e8505b", 1.5)
    creases = area("M-5,60 L48,30 L105,72 L60,105Z", "#000000", 'opacity=".06"') + area(
        "M48,30 L105,-5 V72Z", "#000000", 'opacity=".1"'
    )
    return rect(-5, -5, 110, 110, "#fffef6") + rules + margin + creases


def _metal(view: View) -> str:
    rng = view.rng("metal")
    brushed = "".join(
        line(
            f"M-5,{y} H105", rng.choice(("#ffffff", "#4d565f", "#8b959f")), 0.7,
            f'opacity="{rng.uniform(0.15, 0.5):.2f}"',
        )
        for y in range(0, 101, 2)
    )  # fmt: skip
    seams, rivets = "", ""
    for y in (30, 54, 78):
        seams += line(f"M-5,{y} H105", "#5a646e", 1)
    for y in (25, 49, 73):
        for x in range(8, 100, 12):
            rivets += circle(x + 0.5, y + 0.5, 1.9, "#4d565f") + circle(x, y, 1.7, "#eef2f5")
    shine = area("M-5,70 L75,-5 H92 L-5,88Z", "#ffffff", 'opacity=".55"')
    return rect(-5, -5, 110, 110, "url(#steel)") + brushed + shine + seams + rivets


def _leather(view: View) -> str:
    rng = view.rng("leather")
    pebbles = ""
    for row in range(25):
        for column in range(25):
            x = column * 4.4 + (2.2 if row % 2 else 0) + rng.uniform(-0.9, 0.9) - 3
            y = row * 4.2 + rng.uniform(-0.9, 0.9)
            pebbles += oval(x, y, rng.uniform(1.5, 2.1), rng.uniform(1.3, 1.8))
    grain = area(pebbles, "#b3683a", 'stroke="#5a2a10" stroke-width=".55"')
    shine = area("M-5,55 Q40,10 105,20 V4 Q40,0 -5,36Z", "#ffffff", 'opacity=".16"')
    return rect(-5, -5, 110, 110, "url(#hide)") + grain + shine


def _lace(view: View) -> str:
    strings = "".join(f"M{k},-5 l110,110M{k + 100},-5 l-110,110" for k in range(-100, 110, 4))
    net = rect(-5, -5, 110, 110, "#5c1f4a") + line(strings, "#ffffff", 0.75)
    flowers = ""
    for row in range(5):
        for column in range(6):
            x = column * 21 + (10 if row % 2 else 0) - 4
            y = row * 20 + 8
            for k in range(6):
                angle = math.pi * k / 3
                px, py = x + 4.3 * math.cos(angle), y + 4.3 * math.sin(angle)
                flowers += circle(px, py, 2.9, "#ffffff", 'stroke="#5c1f4a" stroke-width=".4"')
            flowers += circle(x, y, 2.1, "#5c1f4a") + circle(x, y, 1.1, "#ffffff")
    return net + flowers


def _scallops(drawn: Shape) -> str:
    """Return a row of white beads along an outline."""
    return (
        f'<path d="{drawn.body}" fill="none" stroke="#ffffff" stroke-width="4.6" '
        'stroke-linecap="round" stroke-dasharray="0.1 4.4"/>'
    )


def _denim(view: View) -> str:
    cloth = rect(-5, -5, 110, 110, "#3f6fae")
    dark = "".join(f"M{k},-5 l-110,110" for k in range(0, 220, 4))
    pale = "".join(f"M{k},-5 l-110,110" for k in range(2, 222, 4))
    twill = line(dark, "#274f86", 1.3) + line(pale, "#7fa6d8", 0.8, 'stroke-dasharray="2 1.4"')
    worn = ellipse(50, 50, 26, 20, "#ffffff", 'opacity=".16"')
    return cloth + twill + worn


def _ceramic(view: View) -> str:
    blue = "#1f4fae"

    def blossom(x: float, y: float, size: float) -> str:
        petals = "".join(
            ellipse(x, y - size * 0.62, size * 0.3, size * 0.46, blue,
                    f'transform="rotate({72 * k} {x} {y})"')
            for k in range(5)
        )  # fmt: skip
        return petals + circle(x, y, size * 0.26, "#ffffff") + circle(x, y, size * 0.14, blue)

    painted = rect(-5, -5, 110, 110, "url(#glaze)")
    for x, y, size in (
        (36, 34, 8), (66, 46, 9), (40, 64, 9), (70, 74, 7.5), (24, 50, 6), (55, 24, 6),
        (80, 58, 6), (26, 78, 6), (54, 82, 6), (78, 30, 6), (20, 22, 6),
    ):  # fmt: skip
        painted += blossom(x, y, size)
    vines = (
        "M14,40 Q30,46 36,40 T58,52 T90,44 M16,72 Q30,60 46,72 T90,66 M30,20 Q44,32 62,30 T92,20"
    )
    painted += line(vines, blue, 1.1)
    for x, y in ((48, 42), (30, 58), (60, 64), (84, 76), (46, 16), (18, 62), (72, 20), (88, 40)):
        painted += circle(x, y, 1.5, blue)
    shine = area("M22,50 Q22,24 44,18 Q28,30 28,50Z", "#ffffff", 'opacity=".95"')
    return painted + shine


MATERIALS = {
    "wood": Material("#e4e9e2", "#4f2a0b", _wood),
    "wicker": Material(
        "#dfe8ea",
        "#4a2c10",
        _wicker,
        gradient("across", (0, "#fff0c4"), (0.5, "#ecca86"), (1, "#b98c48"))
        + gradient("along", (0, "#fff0c4"), (0.5, "#ecca86"), (1, "#b98c48"), turn=0),
    ),
    "sequined": Material("#d8d4e2", "#5a0335", _sequined, weight=400),
    "plastic": Material(
        "#e9ecf0",
        "#0b5a22",
        _plastic,
        gradient("shell", (0, "#5df06e"), (0.5, "#1fce3d"), (1, "#0c9a28")),
        _gloss,
    ),
    "paper": Material("#a98f74", "#3d4653", _paper, weight=300),
    "metal": Material(
        "#c9b8a6",
        "#2f373f",
        _metal,
        gradient(
            "steel",
            (0, "#eef2f5"),
            (0.3, "#8f99a3"),
            (0.5, "#dfe5ea"),
            (0.75, "#77818b"),
            (1, "#c6ced6"),
        ),
    ),
    "leather": Material(
        "#e6ddcb",
        "#38160a",
        _leather,
        gradient("hide", (0, "#a05a2a"), (1, "#7c3d18")),
        _stitches("#f6dfb0", 3.2),
    ),
    "lace": Material("#b98aa8", "#ffffff", _lace, edge=_scallops, weight=330),
    "denim": Material("#ece6da", "#12294c", _denim, edge=_stitches("#ff9f2e", 3.2)),
    "ceramic": Material(
        "#d9a877",
        "#18366f",
        _ceramic,
        gradient("glaze", (0, "#ffffff"), (1, "#dfe9f5"), turn=45),
        weight=300,
    ),
}
