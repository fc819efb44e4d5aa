"""Objects in ten styles."""

from collections.abc import Callable

from mllm.benchmarks.cobsat.draw.facets import origami, wireframe
from mllm.benchmarks.cobsat.draw.glyphs import shape
from mllm.benchmarks.cobsat.draw.mosaics import lego, pixel
from mllm.benchmarks.cobsat.draw.parts import (
    OBJECTS,
    Scene,
    area,
    circle,
    ellipse,
    figure,
    glow,
    gradient,
    ground,
    line,
    place,
    rect,
)
from mllm.benchmarks.cobsat.draw.view import View


def draw(style: str, name: str, view: View) -> Scene:
    """Return an object in a style."""
    return STYLES[style](name, view)


def _clip(d: str, content: str, name: str = "body") -> tuple[str, str]:
    """Return content cut to a path, and the definition that this takes."""
    return (
        f'<g clip-path="url(#{name})">{content}</g>',
        f'<clipPath id="{name}"><path d="{d}"/></clipPath>',
    )


def _watercolor(name: str, view: View) -> Scene:
    rng = view.rng("watercolor")
    drawn = shape(name, 300)
    color, ink = OBJECTS[name]
    if name in ("cup", "ball"):
        color = {"cup": "#f08a7a", "ball": "#7fb6e6"}[name]
    pools = "".join(
        ellipse(rng.uniform(15, 85), rng.uniform(15, 85), rng.uniform(8, 20), rng.uniform(6, 14),
                rng.choice((color, color, "#ffffff", "#3f63c9", "#f2b13c")),
                f'opacity="{rng.uniform(0.25, 0.55):.2f}"')
        for _ in range(16)
    )  # fmt: skip
    wash = f'<path d="{drawn.body}" fill="{color}" opacity=".62"/>'
    halo = (
        f'<path d="{drawn.body}" fill="{color}" stroke="{color}" stroke-width="8" opacity=".28" '
        'filter="url(#wash)"/>'
    )
    rim = f'<path d="{drawn.body}" fill="none" stroke="{color}" stroke-width="2" opacity=".8"/>'
    inside, clip = _clip(drawn.body, f'<g filter="url(#bleed)">{pools}</g>')
    pencil = f'<path d="{drawn.ink}" fill="{ink}" opacity=".62"/>'
    painted = f'<g filter="url(#wet)">{wash}{inside}{rim}{pencil}</g>'
    drops = "".join(
        circle(
            rng.uniform(2, 98), rng.uniform(2, 98), rng.uniform(0.7, 2.2), color, 'opacity=".45"'
        )
        for _ in range(14)
    )
    seed = view.seed % 1000 + 3
    defs = (
        _warp("wet", 0.045, 4.5, seed) + _warp("wash", 0.05, 12, seed + 1, blur=1.6) + clip
        + '<filter id="bleed"><feGaussianBlur stdDeviation="3"/></filter>'
        + '<filter id="grain" x="0" y="0" width="1" height="1"><feTurbulence type="fractalNoise" '
        f'baseFrequency=".35" numOctaves="2" seed="{seed}"/><feColorMatrix values="0 0 0 0 .5  '
        '0 0 0 0 .45  0 0 0 0 .4  .5 0 0 0 -.16"/></filter>'
    )  # fmt: skip
    paper = ground("#fbf8f0") + rect(-15, -15, 130, 130, "#fff", 'filter="url(#grain)"')
    return Scene(paper, halo + drops + painted, defs)


def _warp(name: str, frequency: float, reach: float, seed: int, blur: float = 0) -> str:
    """Return a filter that makes edges uneven by up to half of `reach`."""
    soft = f'<feGaussianBlur stdDeviation="{blur}"/>' if blur else ""
    return (
        f'<filter id="{name}" x="-.2" y="-.2" width="1.4" height="1.4"><feTurbulence '
        f'type="fractalNoise" baseFrequency="{frequency}" numOctaves="2" seed="{seed}" result="n"/>'
        f'<feDisplacementMap in="SourceGraphic" in2="n" scale="{reach}" xChannelSelector="R" '
        f'yChannelSelector="G"/>{soft}</filter>'
    )


def _sketch(name: str, view: View) -> Scene:
    rng = view.rng("sketch")
    drawn = shape(name, 300)

    def hatch(step: float, slope: float, color: str, width: float) -> str:
        strokes, start = "", -80.0
        while start < 180:
            a, b = start + rng.uniform(-1, 1), start + slope + rng.uniform(-1, 1)
            strokes += f"M{a:.1f},-5 L{b:.1f},105"
            start += step
        return line(strokes, color, width)

    shade = hatch(4.2, -70, "#6f6f6f", 0.75)
    inside, clip = _clip(drawn.body, rect(-5, -5, 110, 110, "#fdfcf8") + shade)
    left, top, right, bottom = drawn.bounds
    middle = (top + bottom) / 2
    low, low_clip = _clip(
        f"M{left},{bottom} L{right},{middle} L{right + 5},{bottom + 5} H{left}Z",
        f'<g clip-path="url(#body)">{hatch(4.2, 70, "#5a5a5a", 0.75)}</g>', "low",
    )  # fmt: skip
    loose, again = (
        f'<path d="{drawn.body}" fill="none" stroke="#3a3a3a" stroke-width=".8" opacity=".7" '
        f'transform="translate({dx},{dy})"/>'
        for dx, dy in ((-0.9, 0.7), (1, -0.8))
    )
    lines = (
        f'<g filter="url(#hand1)">{loose}<path d="{drawn.ink}" fill="#2e2e2e"/></g>'
        f'<g filter="url(#hand2)">{again}</g>'
    )
    guides = (
        line(f"M{left - 9},{middle} H{right + 9}", "#a9a9a9", 0.6)
        + line(f"M50,{top - 8} V{bottom + 8}", "#a9a9a9", 0.6)
    )  # fmt: skip
    ground_hatch = "".join(
        line(f"M{left + k * 5},{bottom + 1.5} l-7,5", "#777777", 0.8)
        for k in range(int((right - left) / 5) + 2)
    )
    seed = view.seed % 1000 + 5
    defs = clip + low_clip + _warp("hand1", 0.06, 2.2, seed) + _warp("hand2", 0.05, 3, seed + 9)
    return Scene(ground("#f7f3e8"), guides + ground_hatch + inside + low + lines, defs)


def _icon(name: str, view: View) -> Scene:
    drawn = shape(name, 600)
    tile = rect(8, 8, 84, 84, "url(#tile)", 'rx="20"')
    shadow = "".join(
        f'<path d="{drawn.body}" fill="#0b3f9e" opacity=".5" transform="translate({k},{k})"/>'
        for k in range(2, 40, 2)
    )
    cast, clip = _clip(
        "M28,8 H72 A20,20 0 0 1 92,28 V72 A20,20 0 0 1 72,92 H28 A20,20 0 0 1 8,72 V28 "
        "A20,20 0 0 1 28,8Z", place(shadow, 50, 50, 0.68), "tile-clip",
    )  # fmt: skip
    flat = f'<path d="{drawn.body}" fill="#2f7bf0"/><path d="{drawn.ink}" fill="#ffffff"/>'
    defs = gradient("tile", (0, "#4fa0ff"), (1, "#1b5fe0")) + clip
    return Scene(ground("#f1f3f6"), tile + cast + place(flat, 50, 50, 0.7), defs)


def _graffiti(name: str, view: View) -> Scene:
    rng = view.rng("graffiti")
    bricks = ground("#8d8079")
    for row in range(-2, 13):
        for column in range(-2, 8):
            x = column * 18 + (9 if row % 2 else 0)
            color = rng.choice(("#b5573f", "#a94e38", "#bd6249", "#9f4a36"))
            bricks += rect(x, row * 9.4, 16.8, 8.2, color)
    drawn = shape(name, 500)
    body = f'd="{drawn.body}" stroke-linejoin="round"'
    spray = f'<path {body} fill="#35e0ff" stroke="#35e0ff" stroke-width="17" filter="url(#spray)"/>'
    rims = (
        f'<path {body} fill="#111111" stroke="#111111" stroke-width="9"/>'
        f'<path {body} fill="#ffffff" stroke="#ffffff" stroke-width="5"/>'
    )
    letter, clip = _clip(
        drawn.body,
        rect(-5, -5, 110, 110, "url(#fill)")
        + "".join(
            circle(rng.uniform(15, 85), rng.uniform(20, 85), rng.uniform(1, 3.4), color)
            for color in ("#ffffff", "#fff04d", "#35e0ff") * 5
        ),
    )
    left, _, right, bottom = drawn.bounds
    drips = "".join(
        line(f"M{x:.1f},{bottom - 9:.1f} v{9 + length:.1f}", color, 2.4)
        + circle(x, bottom + length, 1.9, color)
        for x, length, color in (
            (left + 0.3 * (right - left), 9, "#ff2d95"),
            (left + 0.5 * (right - left), 14, "#111111"),
            (left + 0.68 * (right - left), 7, "#ffd21f"),
        )
    )
    lines = f'<path d="{drawn.ink}" fill="#111111"/>'
    specks = "".join(
        circle(rng.uniform(3, 97), rng.uniform(3, 97), rng.uniform(0.4, 1.1), color)
        for color in ("#35e0ff", "#ff2d95", "#ffd21f") * 9
    )
    defs = (
        gradient("fill", (0, "#ffe11f"), (0.5, "#ff2d95"), (1, "#7a2dff"))
        + '<filter id="spray" x="-.3" y="-.3" width="1.6" height="1.6">'
        '<feGaussianBlur stdDeviation="3.2"/></filter>' + clip
    )
    return Scene(bricks, spray + specks + drips + rims + letter + lines, defs)


def _futuristic(name: str, view: View) -> Scene:
    floor = _floor()
    sun = circle(50, 46, 42, "url(#sun)", 'opacity=".5"')
    drawn = shape(name, 300)
    neon = (
        f'<path d="{drawn.body}" fill="#0a1440" opacity=".85"/>'
        f'<path d="{drawn.body}" fill="none" stroke="#ff2bd6" stroke-width="4.6" opacity=".9" '
        'filter="url(#neon)"/>'
        f'<path d="{drawn.ink}" fill="#27e8ff" stroke="#27e8ff" stroke-width="1.6" '
        'filter="url(#neon)"/>'
        f'<path d="{drawn.body}" fill="none" stroke="#ff5ce1" stroke-width="2.6"/>'
        f'<path d="{drawn.ink}" fill="#a8fbff"/>'
    )
    corners = "".join(
        line(f"M{x + 12 * dx},{y} H{x} V{y + 12 * dy}", "#27e8ff", 1.6)
        for x, y, dx, dy in ((4, 4, 1, 1), (96, 4, -1, 1), (4, 96, 1, -1), (96, 96, -1, -1))
    )
    defs = (
        gradient("night", (0, "#05021c"), (0.62, "#2a0a5e"), (0.63, "#0a0430"), (1, "#05021c"))
        + glow("sun", (0, "#8a2be2", 0.9), (1, "#8a2be2", 0))
        + '<filter id="neon" x="-.2" y="-.2" width="1.4" height="1.4">'
        '<feGaussianBlur stdDeviation="2"/></filter>'
    )
    back = rect(-20, -20, 140, 140, "url(#night)") + floor + sun + corners
    return Scene(back, neon, defs)


def _floor() -> str:
    """Return a grid of light that runs to the horizon."""
    lines = "".join(line(f"M50,60 L{x},120", "#d42bff", 0.9) for x in range(-200, 301, 25))
    y, step = 66.0, 3.0
    while y < 121:
        lines += line(f"M-20,{y:.1f} H120", "#d42bff", 0.9)
        y, step = y + step, step * 1.55
    return lines


def _old(name: str, view: View) -> Scene:
    rng = view.rng("old")
    drawn = shape(name, 400)
    scratches = ""
    for _ in range(9):
        x, y, dx, dy = (rng.uniform(*span) for span in ((10, 90), (8, 60), (-6, 6), (12, 40)))
        scratches += line(f"M{x:.1f},{y:.1f} l{dx:.1f},{dy:.1f}", "#f6e8c6", 0.6, 'opacity=".8"')
    stains = "".join(
        circle(rng.uniform(8, 92), rng.uniform(8, 92), rng.uniform(3, 9), "#7a5426",
               f'opacity="{rng.uniform(0.08, 0.2):.2f}"')
        for _ in range(9)
    )  # fmt: skip
    specks = "".join(
        circle(rng.uniform(6, 94), rng.uniform(6, 94), rng.uniform(0.3, 0.9), "#5a3b18")
        for _ in range(40)
    )
    crease = line("M6,22 L24,28 L38,18 L94,50", "#f8ecd0", 0.8) + line(
        "M6,22.8 L24,28.8 L38,18.8 L94,50.8", "#6b4a22", 0.5
    )
    torn = (
        "M2,3 L14,5 L30,2 L48,4 L66,2 L84,5 L98,2 L96,18 L98,40 L96,58 L98,80 L95,97 L80,95 "
        "L62,98 L44,95 L30,98 L16,95 L3,97 L5,80 L2,62 L5,40 L2,22Z"
    )
    photo = area(torn, "#efe0bd") + rect(9, 9, 82, 82, "url(#sepia)") + stains
    shadow = ellipse(50, drawn.bounds[3], 30, 4, "#6b4a22", 'opacity=".5"')
    subject = place(shadow + figure(drawn, "#c39a63", "#3d2710"), 50, 50, 0.86)
    vignette = rect(9, 9, 82, 82, "url(#vignette)")
    defs = glow("sepia", (0, "#dcbf8c", 1), (1, "#b08a55", 1)) + glow(
        "vignette", (0, "#3d2710", 0), (0.62, "#3d2710", 0.05), (1, "#3d2710", 0.75)
    )
    card = photo + subject + vignette + scratches + crease + specks
    return Scene(ground("#5b4632"), card, defs)


STYLES: dict[str, Callable[[str, View], Scene]] = {
    "watercolor": _watercolor,
    "sketch": _sketch,
    "pixel": pixel,
    "origami": origami,
    "lego": lego,
    "icon": _icon,
    "graffiti": _graffiti,
    "futuristic": _futuristic,
    "3d": wireframe,
    "old": _old,
}
