"""Two styles made of straight lines: folded paper, and a model of wires."""

import numpy as np
from scipy.spatial import Delaunay

from mllm.benchmarks.cobsat.draw.glyphs import Shape, closed, shape
from mllm.benchmarks.cobsat.draw.mosaics import shade
from mllm.benchmarks.cobsat.draw.parts import OBJECTS, Scene, area, ground, line, place
from mllm.benchmarks.cobsat.draw.svg import polygon
from mllm.benchmarks.cobsat.draw.view import View


def origami(name: str, view: View) -> Scene:
    """Return an object as folded paper: flat facets in a few shades of one color."""
    rng = view.rng("origami")
    drawn = shape(name, 300)
    color = {"ball": "#f2f2f2", "cup": "#f7efe2"}.get(name, OBJECTS[name][0])
    points = [
        (column * 17 + (8.5 if row % 2 else 0) + rng.uniform(-4, 4), row * 15 + rng.uniform(-4, 4))
        for row in range(-1, 9)
        for column in range(-1, 8)
    ]
    facets = ""
    for corners in Delaunay(np.array(points)).simplices:
        place_of = [points[k] for k in corners]
        tone = shade(color, rng.choice((0.72, 0.84, 0.94, 1.0, 1.1)))
        facets += polygon(
            place_of, f'fill="{tone}" stroke="{shade(color, 1.18)}" stroke-width=".7"'
        )
    edges = _corners(drawn)
    cut = f'<clipPath id="paper"><path d="{edges}"/></clipPath>'
    shadow = area(edges, "#000000", 'opacity=".28" transform="translate(3,4)"')
    rim = f'<path d="{edges}" fill="none" stroke="{shade(color, 0.5)}" stroke-width="1.2"/>'
    folds = f'<path d="{drawn.ink}" fill="{shade(color, 0.42)}" opacity=".8"/>'
    paper = f'<g clip-path="url(#paper)">{facets}</g>'
    return Scene(ground("#e9dff2"), shadow + paper + folds + rim, cut)


def _corners(drawn: Shape, slack: float = 1.6) -> str:
    """Return the body with straight sides, none further than `slack` from it."""
    pieces = [piece[:-1].split("L") for piece in drawn.body.split("M")[1:]]
    return "".join(
        closed(np.array([tuple(map(float, corner.split(","))) for corner in piece]), slack)
        for piece in pieces
    )


def wireframe(name: str, view: View) -> Scene:
    """Return an object as a model of wires: its front, its back, and what joins them."""
    drawn = shape(name, 300)
    deep_x, deep_y = 9.0, -9.0
    edges = _corners(drawn, 0.9)
    back = f'<path d="{edges}" fill="none" stroke="#2c9b57" stroke-width=".8"/>'
    slices = "".join(
        f'<g transform="translate({deep_x * k / 3:.2f},{deep_y * k / 3:.2f})">{back}</g>'
        for k in (3, 2, 1)
    )
    joints = ""
    for piece in _corners(drawn, 1.6).split("M")[1:]:
        for corner in piece[:-1].split("L"):
            x, y = map(float, corner.split(","))
            joints += line(f"M{x},{y} l{deep_x},{deep_y}", "#2c9b57", 0.7)
    mesh = ""
    for k in range(0, 105, 7):
        mesh += line(f"M{k},-5 V105", "#2fd673", 0.45) + line(f"M-5,{k} H105", "#2fd673", 0.45)
        mesh += line(f"M{2 * k - 100},-5 L{2 * k + 10},105", "#2fd673", 0.35)
    front = (
        f'<path d="{edges}" fill="#03170c"/><g clip-path="url(#wires)">{mesh}</g>'
        f'<path d="{drawn.ink}" fill="#5dff9b"/>'
        f'<path d="{edges}" fill="none" stroke="#8dffba" stroke-width="1.1"/>'
    )
    floor = "".join(
        line(f"M-20,{k} H120 M{k},-20 V120", "#0d3a20", 0.4) for k in range(-20, 121, 10)
    )
    cut = f'<clipPath id="wires"><path d="{edges}"/></clipPath>'
    solid = place(slices + joints + front, 46, 54, 0.92)
    return Scene(ground("#020d07") + floor, solid, cut)
