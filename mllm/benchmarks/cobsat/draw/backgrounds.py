"""Animals in front of ten places.

The animal stands in the middle below, with a white rim; what tells the place is above and at the
sides of it.
"""

import math
from collections.abc import Callable

from mllm.benchmarks.cobsat.draw.parts import (
    Scene,
    animal,
    area,
    circle,
    ellipse,
    glow,
    gradient,
    line,
    place,
    rect,
)
from mllm.benchmarks.cobsat.draw.view import View

Back = tuple[str, str]  # drawing, definitions


def draw(background: str, name: str, view: View) -> Scene:
    """Return an animal in front of a place."""
    back, defs = PLACES[background](view)
    return Scene(back, place(animal(name), 50, 62, 0.76), defs)


def _all(fill: str, y: float = -20, height: float = 140) -> str:
    return rect(-20, y, 140, height, fill)


def _beach(view: View) -> Back:
    leaves = "".join(
        place(area("M50,50 Q66,38 80,56 Q66,47 50,50Z", "#2f9e3f"), 17, 17, 1.05, turn)
        for turn in (-150, -100, -55, -10, 35, 170)
    )
    palm = line("M8,62 Q8,38 17,18", "#8a5a2b", 4.5) + leaves + circle(17, 18, 2.2, "#7a4a1e")
    umbrella = (
        line("M84,66 L84,28", "#ffffff", 2)
        + area("M62,36 Q84,8 106,36 Q98,32 92,36 Q84,31 77,36 Q70,32 62,36Z", "#e8322e")
        + area("M77,36 Q76,22 84,20 Q92,22 92,36 Q84,31 77,36Z", "#ffffff")
    )
    sea = _all("url(#sea)", 34, 22) + line("M-20,44 Q-10,42 0,44 T20,44 T40,44 T60,44", "#fff", 1.2)
    foam = area("M-20,54 Q0,49 18,54 T55,54 T90,54 T125,53 V60 H-20Z", "#ffffff")
    sand = area("M-20,58 Q20,52 50,57 T120,56 V120 H-20Z", "#f6dc9c")
    star = place(_star(5, 11, 5, "#ff7043"), 12, 90, 0.7, 15)
    drawn = _all("url(#sky)") + circle(58, 14, 8.5, "#ffe34d") + sea + foam + sand
    sky = gradient("sky", (0, "#6cc6f5"), (0.6, "#d4f1ff"))
    return drawn + palm + umbrella + star, sky + gradient("sea", (0, "#1f86c9"), (1, "#4fc3e0"))


def _star(points: int, outer: float, inner: float, fill: str) -> str:
    corners = []
    for k in range(2 * points):
        radius, angle = (outer if k % 2 == 0 else inner), math.pi * k / points
        corners.append(f"{50 + radius * math.sin(angle):.2f},{50 - radius * math.cos(angle):.2f}")
    return f'<polygon points="{" ".join(corners)}" fill="{fill}"/>'


def _cactus() -> str:
    return (
        line("M50,82 V26", "#2f8f3a", 11)
        + line("M50,62 H34 V44", "#2f8f3a", 8)
        + line("M50,54 H67 V36", "#2f8f3a", 8)
        + line("M50,80 V28", "#6fc26f", 1.5)
    )


def _desert(view: View) -> Back:
    dunes = (
        area("M-20,52 Q10,34 40,50 T120,44 V120 H-20Z", "#e9b265")
        + area("M-20,66 Q30,46 60,62 T120,58 V120 H-20Z", "#dc9b48")
        + area("M-20,88 Q40,70 120,84 V120 H-20Z", "#cb8535")
    )
    sun = circle(76, 16, 17, "#fff2b0") + circle(76, 16, 11, "#fffbe0")
    cacti = place(_cactus(), 14, 42, 0.85) + place(_cactus(), 90, 52, 0.55)
    sky = gradient("sky", (0, "#ff9d3c"), (0.6, "#ffe1a0"))
    return _all("url(#sky)") + sun + dunes + cacti, sky


def _glacier(view: View) -> Back:
    def peak(x: float, top: float, width: float) -> str:
        base = 62
        return (
            area(f"M{x - width},{base} L{x},{top} L{x + width},{base}Z", "#8cc4e6")
            + area(f"M{x - width},{base} L{x},{top} L{x - width * 0.1},{base}Z", "#ffffff")
            + area(f"M{x},{top} L{x + width * 0.35},{base} L{x - width * 0.1},{base}Z", "#c5e4f5")
        )

    peaks = peak(14, 14, 26) + peak(88, 8, 30) + peak(48, 22, 22)
    sea = _all("#2d7fb3", 58) + _all("#5aa9d2", 61, 3)
    floes = (
        area("M-5,74 L8,68 L24,72 L20,80 L-2,82Z", "#ffffff")
        + area("M-2,82 L20,80 L24,72 L25,78 L21,86 L0,88Z", "#9fd0ea")
        + area("M78,72 L92,67 L108,72 L106,80 L82,79Z", "#ffffff")
        + area("M82,79 L106,80 L106,86 L84,86Z", "#9fd0ea")
        + area("M18,92 L34,84 L70,84 L86,92 L78,110 L22,110Z", "#e9f6fd")
        + area("M18,92 L86,92 L80,110 L22,110Z", "#a9d6ee")
    )
    return _all("url(#sky)") + peaks + sea + floes, gradient(
        "sky", (0, "#7fb4dc"), (0.6, "#e4f3fb")
    )


def _volcano(view: View) -> Back:
    fountain = "".join(
        line(f"M50,22 Q{50 + dx * 0.5},{top} {50 + dx},{end}", color, 3)
        for dx, top, end, color in (
            (-26, -14, 14, "#ff8c1a"), (26, -14, 14, "#ff8c1a"), (-14, -20, 4, "#ffc933"),
            (14, -20, 4, "#ffc933"), (0, -12, -6, "#ffe46b"),
        )
    )  # fmt: skip
    smoke = "".join(
        circle(x, y, r, "#5b4a4a")
        for x, y, r in (
            (20, 4, 13),
            (36, -2, 13),
            (66, -2, 14),
            (82, 5, 13),
            (8, 10, 8),
            (95, 12, 8),
        )
    )
    cone = area("M-14,100 L36,24 Q50,30 64,24 L114,100Z", "#4b2f2a") + area(
        "M64,24 L114,100 H70 L56,27Z", "#36201d"
    )
    lava = (
        area("M37,23 Q50,17 63,23 Q58,30 60,44 L76,72 L96,104 H84 L62,70 Q52,50 50,34 "
             "Q47,52 38,68 L16,104 H4 L26,70 Q42,44 41,30Z", "#ff5a12")
        + area("M42,24 Q50,20 58,24 Q54,30 51,32 Q46,30 42,24Z", "#ffe14a")
    )  # fmt: skip
    pool = area("M-20,92 Q10,86 50,92 T120,90 V120 H-20Z", "#ff7a1a")
    sky = gradient("sky", (0, "#3a0d1c"), (0.7, "#b5321d"))
    return _all("url(#sky)") + smoke + fountain + cone + lava + pool, sky


def _park(view: View) -> Back:
    wheel_x, wheel_y, radius = 24, 30, 23
    colors = (
        "#e53935",
        "#fdd835",
        "#43a047",
        "#8e24aa",
        "#fb8c00",
        "#1e88e5",
        "#ec407a",
        "#00897b",
    )
    spokes, cabins = "", ""
    for k, color in enumerate(colors):
        angle = math.pi * (k + 0.5) / 4
        x, y = wheel_x + radius * math.cos(angle), wheel_y + radius * math.sin(angle)
        spokes += line(f"M{wheel_x},{wheel_y} L{x:.2f},{y:.2f}", "#5b6b7b", 1.4)
        cabins += circle(x, y, 4.6, color)
    ring = circle(wheel_x, wheel_y, radius, "none", 'stroke="#44525f" stroke-width="2.4"')
    legs = line(f"M10,72 L{wheel_x},{wheel_y} L38,72", "#44525f", 2.8)
    track = "M56,70 Q62,8 74,14 T88,52 Q96,66 112,30"
    posts = "".join(
        line(f"M{x},{top} V74", "#9aa7b3", 1.4)
        for x, top in ((61, 38), (68, 16), (75, 16), (81, 34), (94, 56), (102, 50))
    )
    coaster = posts + line(track, "#d81b60", 3.4)
    cars = "".join(
        place(rect(45, 46, 10, 7, color, 'rx="2"'), x, y, 1, turn)
        for x, y, turn, color in ((70, 12, -10, "#fdd835"), (79, 21, 55, "#1e88e5"))
    )
    tent = area("M74,78 V62 L92,46 L110,62 V78Z", "#ffffff") + area(
        "M79,78 V62 L90,48 L92,46 L88,62 V78Z M97,78 V62 L92,46 L94,48 L105,62 V78Z", "#e53935"
    )
    flag = area("M92,46 V36 L101,39 L92,42Z", "#1e88e5")
    grass = area("M-20,74 Q50,66 120,74 V120 H-20Z", "#7cc35a")
    path = area("M36,120 Q44,92 40,72 H60 Q60,92 72,120Z", "#ead9b0")
    drawn = _all("#bfe6fb") + coaster + cars + legs + spokes + ring + cabins
    return drawn + grass + path + tent + flag, ""


def _dumbbell(fill: str = "#2b3138") -> str:
    weights = "".join(
        rect(x, 50 - h / 2, 8, h, fill, 'rx="2"')
        for x, h in ((10, 30), (19, 44), (73, 44), (82, 30))
    )
    return rect(24, 46, 52, 8, "#c3cbd3") + weights


def _gym(view: View) -> Back:
    wall = _all("#e9edf0") + rect(-20, -20, 140, 22, "#c94b3c")
    mirror = rect(6, 6, 88, 30, "#bfe0ee", 'stroke="#7c8791" stroke-width="1.6"')
    shine = area("M16,36 L34,6 H42 L24,36Z M50,36 L68,6 H72 L54,36Z", "#e4f4fa")
    rack = rect(-4, 42, 108, 3, "#59636d") + rect(-4, 60, 108, 3, "#59636d")
    bells = "".join(
        place(_dumbbell(color), x, y, 0.24)
        for y in (37, 55)
        for x, color in ((5, "#d32f2f"), (24, "#2b3138"), (76, "#2b3138"), (95, "#1565c0"))
    )
    bar = (
        rect(-10, 15.5, 120, 3, "#9aa4ad")
        + rect(8, 3, 6, 28, "#22272d", 'rx="2"') + rect(15, 6, 5, 22, "#d32f2f", 'rx="2"')
        + rect(86, 3, 6, 28, "#22272d", 'rx="2"') + rect(80, 6, 5, 22, "#d32f2f", 'rx="2"')
    )  # fmt: skip
    floor = _all("#4a545e", 68) + _all("#5b6670", 68, 3)
    kettle = (
        circle(12, 88, 9, "#22272d")
        + circle(12, 76, 5, "none", 'stroke="#22272d" stroke-width="3.4"')
        + circle(12, 88, 4, "#f2c230")
    )
    return wall + mirror + shine + bar + rack + bells + floor + kettle + place(
        _dumbbell("#d32f2f"), 88, 90, 0.36, -12
    ), ""


def _waterfall(view: View) -> Back:
    rng = view.rng("waterfall")
    cliffs = area("M-20,-20 H34 L30,12 L34,40 L28,80 H-20Z", "#6d5c4d") + area(
        "M120,-20 H66 L70,14 L66,44 L72,80 H120Z", "#5e4e41"
    )
    cracks = "".join(
        line(f"M{x},{y} l{dx},{12}", "#483a30", 1.6)
        for x, y, dx in (
            (8, 14, 4),
            (20, 30, -4),
            (4, 46, 5),
            (82, 10, -4),
            (94, 32, 3),
            (84, 50, -3),
        )
    )
    fall = area("M31,6 H69 L68,40 L72,84 H28 L33,40Z", "url(#fall)")
    streaks = "".join(
        line(f"M{x},{rng.uniform(6, 30):.1f} v{rng.uniform(18, 40):.1f}", color, 1.8)
        for x in range(34, 69, 4)
        for color in (rng.choice(("#ffffff", "#ffffff", "#64b8ea")),)
    )
    river = area("M31,6 Q50,0 69,6 V12 Q50,6 31,12Z", "#d9f2ff")
    bushes = "".join(
        circle(x, y, r, color)
        for x, y, r, color in (
            (4, 2, 12, "#2e8b3d"), (20, -1, 11, "#3da34d"), (80, 0, 11, "#3da34d"),
            (97, 3, 13, "#2e8b3d"), (0, 72, 9, "#2e8b3d"), (100, 70, 10, "#2e8b3d"),
        )
    )  # fmt: skip
    pool = area("M-20,78 Q50,70 120,78 V120 H-20Z", "#3a9bd6")
    mist = "".join(
        ellipse(x, y, rx, 5, "#ffffff", 'opacity=".75"')
        for x, y, rx in ((34, 79, 12), (50, 77, 14), (66, 79, 12))
    )
    ripples = line("M2,90 q7,-3 14,0 M80,88 q8,-3 16,0", "#bfe6fb", 1.6)
    rock = ellipse(50, 96, 30, 9, "#7a6a5b")
    sky = _all("#aee0f7")
    fill = gradient("fall", (0, "#8fd2f5"), (0.6, "#c4e9fb"), (1, "#ffffff"))
    return (
        sky + cliffs + cracks + fall + streaks + river + bushes + pool + mist + ripples + rock,
        fill,
    )


def _space(view: View) -> Back:
    rng = view.rng("stars")
    stars = "".join(
        circle(rng.uniform(-15, 115), rng.uniform(-15, 115), rng.choice((0.6, 0.9, 1.4)), "#ffffff")
        for _ in range(90)
    )
    cloud = ellipse(30, 40, 55, 26, "url(#cloud)", 'transform="rotate(-30 30 40)"')
    saturn = (
        circle(80, 20, 12, "#e8b366")
        + area("M69,17 Q80,12 91,16 L92,20 Q80,16 68,21Z", "#c98c45")
        + ellipse(80, 20, 22, 5.5, "none", 'stroke="#f6deb0" stroke-width="2.6" '
                  'transform="rotate(-18 80 20)"')
        + area("M68.6,17 A12,12 0 0 1 91.4,17 L90,21 Q80,25 70,23Z", "#e8b366")
    )  # fmt: skip
    earth = (
        circle(15, 17, 13, "#2b7fd6")
        + area("M6,12 Q12,4 18,8 Q22,12 15,15 Q12,22 7,19Z", "#4db05a")
        + area("M18,19 Q25,16 27,21 Q22,29 18,26Z", "#4db05a")
    )  # fmt: skip
    moon = (
        ellipse(50, 108, 84, 24, "#a9aeb8")
        + ellipse(14, 98, 8, 2.6, "#868c97") + ellipse(86, 96, 9, 2.8, "#868c97")
    )  # fmt: skip
    defs = gradient("deep", (0, "#070b26"), (1, "#1a1450")) + glow(
        "cloud", (0, "#8a3fd1", 0.75), (1, "#8a3fd1", 0)
    )
    return _all("url(#deep)") + cloud + stars + saturn + earth + moon, defs


def _cave(view: View) -> Back:
    inside = _all("#2a1f18") + ellipse(50, 52, 60, 56, "url(#lit)")
    hanging = "".join(
        area(f"M{x - w},-20 L{x + w},-20 L{x + w * 0.6},4 L{x},{tip} L{x - w * 0.6},4Z", color)
        for x, w, tip, color in (
            (-4, 12, 60, "#1f1611"), (14, 9, 40, "#33261d"), (29, 7, 24, "#241a14"),
            (44, 7, 30, "#33261d"), (59, 6, 20, "#241a14"), (73, 8, 36, "#33261d"),
            (88, 9, 30, "#241a14"), (103, 12, 62, "#1f1611"),
        )
    )  # fmt: skip
    standing = "".join(
        area(f"M{x - w},120 L{x - w * 0.5},96 L{x},{tip} L{x + w * 0.5},96 L{x + w},120Z", color)
        for x, w, tip, color in (
            (0, 14, 66, "#1f1611"), (15, 10, 78, "#33261d"), (86, 10, 76, "#33261d"),
            (101, 14, 62, "#1f1611"),
        )
    )  # fmt: skip
    floor = area("M-20,92 Q50,84 120,92 V120 H-20Z", "#3c2d22")
    lit = glow("lit", (0, "#d9b98a", 1), (0.55, "#a07a52", 1), (1, "#2a1f18", 1))
    return inside + floor + hanging + standing, lit


def _seafloor(view: View) -> Back:
    rays = "".join(
        area(f"M{x},-20 L{x + 8},-20 L{x + d + 14},84 L{x + d - 4},84Z", "#ffffff", 'opacity=".13"')
        for x, d in ((10, -16), (34, -8), (58, 6), (82, 16))
    )
    weeds = "".join(
        line(f"M{x},{y} q-6,-10 0,-19 t0,-19 t0,-15", color, 3.4)
        for x, y, color in ((6, 86, "#2fae5a"), (13, 90, "#1d8c49"), (94, 88, "#2fae5a"))
    )
    coral = (
        line("M84,92 V66 M84,80 L74,66 M84,76 L95,60 M78,72 L72,74 M90,68 V58", "#ff5d73", 4.4)
        + line("M22,94 V82 M22,90 L15,80 M22,88 L29,78", "#ff9d3c", 3.6)
    )  # fmt: skip
    bubbles = "".join(
        circle(x, y, r, "#bfe9ff", 'fill-opacity=".35" stroke="#e3f6ff" stroke-width=".9"')
        for x, y, r in ((24, 30, 3.6), (29, 20, 2.4), (25, 10, 3), (72, 34, 2.6), (77, 24, 3.6))
    )

    def fish(color: str) -> str:
        return (
            area("M20,50 Q44,22 70,50 L88,34 V66 L70,50 Q44,78 20,50Z", color)
            + circle(34, 47, 4.5, "#ffffff") + circle(33, 47, 2.2, "#10233a")
            + line("M50,38 Q55,50 50,62", "#ffffff", 3)
        )  # fmt: skip

    shoal = (
        place(fish("#ffb300"), 14, 18, 0.3) + place(fish("#ff6f43"), 88, 14, 0.34)
        + place(fish("#ffd54f"), 50, 12, 0.22)
    )  # fmt: skip
    sand = area("M-20,90 Q20,82 50,88 T120,86 V120 H-20Z", "#dcc78e")
    star = place(_star(5, 11, 5, "#ff5a4f"), 60, 96, 0.5, 20)
    sea = gradient("sea", (0, "#1f9fd6"), (0.5, "#0d69a8"), (1, "#083a6b"))
    return _all("url(#sea)") + rays + weeds + sand + coral + bubbles + shoal + star, sea


PLACES: dict[str, Callable[[View], Back]] = {
    "beach": _beach,
    "desert": _desert,
    "glacier": _glacier,
    "volcano": _volcano,
    "park": _park,
    "gym": _gym,
    "waterfall": _waterfall,
    "space": _space,
    "cave": _cave,
    "seafloor": _seafloor,
}
