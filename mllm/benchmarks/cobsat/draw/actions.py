"""Animals in ten actions, told by pose, face, props and place."""

import math
from collections.abc import Callable

from mllm.benchmarks.cobsat.draw import faces
from mllm.benchmarks.cobsat.draw.glyphs import shape
from mllm.benchmarks.cobsat.draw.parts import (
    ANIMALS,
    Scene,
    animal,
    area,
    circle,
    ellipse,
    figure,
    gradient,
    ground,
    line,
    place,
    rect,
)
from mllm.benchmarks.cobsat.draw.view import View


def draw(action: str, name: str, view: View) -> Scene:
    """Return an animal in an action."""
    return ACTIONS[action](name)


def _mouth(name: str, x: float, y: float, scale: float) -> tuple[float, float]:
    """Return where the mouth comes to of an animal that `place` puts at (x, y)."""
    mouth_x, mouth_y = faces.FACES[name].mouth
    return x + scale * (mouth_x - 50), y + scale * (mouth_y - 50)


def _swim(name: str) -> Scene:
    back = ground("#c9f0ff") + rect(-20, -20, 140, 34, "#9fdcf7")
    tiles = "".join(line(f"M{x},-20 V16", "#e3f7ff", 0.8) for x in range(-20, 121, 10))
    tiles += "".join(line(f"M-20,{y} H120", "#e3f7ff", 0.8) for y in range(-20, 16, 4))
    lanes = "".join(
        circle(x, 20, 2.2, ("#e53935", "#ffffff")[k % 2]) for k, x in enumerate(range(-18, 120, 4))
    )
    pool = rect(-20, 20, 140, 100, "#2fa8e6")
    swimmer = place(animal(name), 52, 50, 0.78, -8)
    ring = ellipse(52, 64, 36, 10.5, "none", 'stroke="#ffffff" stroke-width="9"') + ellipse(
        52, 64, 36, 10.5, "none", 'stroke="#f4442e" stroke-width="9" stroke-dasharray="17 17"'
    )
    front_half = (
        '<clipPath id="near"><rect x="-30" y="64" width="170" height="60"/></clipPath>'
        f'<g clip-path="url(#near)">{ring}</g>'
    )
    wave = "M-30,{y} q8,-6 16,0 t16,0 t16,0 t16,0 t16,0 t16,0 t16,0 t16,0 t16,0 t16,0 V140 H-30Z"
    water = area(wave.format(y=72), "#1b8fd6") + area(wave.format(y=80), "#1479bd")
    foam = line(wave.format(y=72).split(" V")[0], "#ffffff", 2.2)
    drops = "".join(
        circle(x, y, r, "#ffffff", 'stroke="#1b8fd6" stroke-width=".8"')
        for x, y, r in ((10, 58, 2.6), (6, 50, 1.8), (15, 49, 1.6), (92, 58, 2.6), (96, 49, 1.8))
    )
    return Scene(back + tiles + pool + lanes, ring + swimmer + front_half + drops + water + foam)


def _sleep(name: str) -> Scene:
    stars = "".join(
        circle(x, y, 1, "#fff3b0") for x, y in ((34, 8), (46, 20), (8, 34), (60, 6), (92, 44))
    )
    moon = area("M24,6 A15,15 0 1 0 35,28 A12,12 0 0 1 24,6Z", "#ffe27a")
    back = ground("#1d2452") + stars + moon
    bed = rect(1, 36, 7, 62, "#8a5a2b", 'rx="3"') + rect(93, 60, 6, 38, "#8a5a2b", 'rx="3"')
    mattress = rect(6, 76, 88, 16, "#f1f1f6", 'rx="4"')
    pillow = rect(6, 60, 38, 20, "#ffffff", 'rx="9" stroke="#b9c2d9" stroke-width="1.5"')
    sleeper = place(animal(name) + faces.closed(name), 49, 58, 0.72, -4)
    blanket = area("M42,74 Q60,60 96,70 V98 H30 Q38,86 42,74Z", "#e2557f") + line(
        "M42,74 Q60,60 96,70", "#ffffff", 4
    )
    dots = "".join(
        circle(x, y, 2.2, "#ffd1dd")
        for x, y in ((52, 82), (64, 78), (76, 84), (88, 79), (60, 92), (84, 94))
    )
    letters = "".join(
        line(f"M{x},{y} h{s} L{x},{y + s} h{s}", "#ffffff", w)
        for x, y, s, w in ((60, 28, 8, 3), (71, 17, 10, 3.4), (84, 3, 13, 4))
    )
    return Scene(back, bed + mattress + pillow + sleeper + blanket + dots + letters)


def _note(x: float, y: float, scale: float, color: str, double: bool = False) -> str:
    single = ellipse(44, 66, 8, 6, color, 'transform="rotate(-20 44 66)"') + line(
        "M51,64 V34", color, 4
    )
    if double:
        drawn = single + ellipse(68, 60, 8, 6, color, 'transform="rotate(-20 68 60)"')
        drawn += line("M75,58 V28", color, 4) + area("M49,32 L77,24 V34 L49,42Z", color)
    else:
        drawn = single + line("M51,34 Q62,38 62,50", color, 4)
    return place(drawn, x, y, scale)


def _sing(name: str) -> Scene:
    back = (
        ground("#5a1d7a")
        + area("M30,-20 L70,-20 L112,100 H-12Z", "#ffffff", 'opacity=".22"')
        + "".join(
            area(f"M{x},-20 H{x + 10} Q{x + 12},40 {x + 2},84 H{x - 4}Z", "#b3173d")
            for x in (-20, -10, 0, 98, 108)
        )
        + ellipse(50, 100, 75, 20, "#d9a04e")
    )
    x, y = _mouth(name, 58, 58, 0.74)
    singer = place(animal(name) + faces.singing(name), 58, 58, 0.74)
    x, y = max(x - 9, 9), y + 4
    microphone = (
        line(f"M{x - 4},{y + 3} L{x - 6},98", "#1b1b22", 3.2)
        + line(f"M{x - 12},98 H{x + 2}", "#1b1b22", 4)
        + line(f"M{x},{y} l-5,4.5", "#3a3a44", 7)
        + circle(x + 1.6, y - 2, 6.4, "#c9ced6", 'stroke="#1b1b22" stroke-width="1.6"')
        + line(f"M{x - 3},{y - 4} l8,6 M{x},{y - 7} l6,5 M{x - 4},{y} l6,4", "#6b727c", 0.9)
    )
    notes = (
        _note(22, 18, 0.5, "#ffe14d", double=True) + _note(48, 12, 0.4, "#7cf7ff")
        + _note(80, 16, 0.5, "#ff8ad8", double=True) + _note(93, 36, 0.36, "#9dff8a")
    )  # fmt: skip
    return Scene(back, singer + microphone + notes)


def _run(name: str) -> Scene:
    track = (
        ground("#aee3ff")
        + rect(-20, 52, 140, 24, "#79c34f")
        + rect(-20, 74, 140, 60, "#c4512d")
        + "".join(line(f"M-20,{y} H120", "#ffffff", 1.8) for y in (75, 85, 96))
    )
    flag = line("M8,74 V18", "#6b6b6b", 2.2) + rect(8, 18, 20, 15, "#ffffff") + "".join(
        rect(8 + 5 * column, 18 + 5 * row, 5, 5, "#111111")
        for row in range(3) for column in range(4) if (row + column) % 2
    )  # fmt: skip
    runner = place(animal(name), 48, 53, 0.74, -16)
    speed = "".join(
        line(f"M{x},{y} H{x + length}", "#ffffff", 3.2)
        for x, y, length in ((80, 26, 24), (84, 38, 28), (82, 50, 22), (86, 62, 26))
    ) + "".join(
        line(f"M{x},{y} H{x + length}", "#3f8fc0", 1.2)
        for x, y, length in ((80, 28.6, 24), (84, 40.6, 28), (82, 52.6, 22), (86, 64.6, 26))
    )
    dust = "".join(
        circle(x, y, r, "#f3dcc0", 'stroke="#a8643c" stroke-width="1.2"')
        for x, y, r in ((96, 88, 7), (86, 91, 6), (77, 92, 4.6), (99, 79, 5))
    )
    sweat = "".join(
        area(f"M{x},{y} q4,-1 6,-5 q3,6 -1,8 q-4,1 -5,-3Z", "#2f9bea")
        for x, y in ((64, 14), (72, 20))
    )
    shadow = ellipse(48, 88, 28, 3.6, "#6d2812", 'opacity=".6"')
    return Scene(track, flag + speed + shadow + dust + runner + sweat)


def _read(name: str) -> Scene:
    shelf = ground("#f2e3c6")
    colors = ("#d84343", "#3f7fd0", "#4aa85a", "#e0a030", "#8a56b8", "#2fa3a3")
    for row, y in enumerate((-6, 20)):
        for k, x in enumerate(range(-18, 120, 7)):
            tall = 15 + (k * 5 + row * 3) % 7
            shelf += rect(x, y + 22 - tall, 6, tall, colors[(k + 2 * row) % 6])
        shelf += rect(-20, y + 22, 140, 4, "#8a5a2b")
    reader = place(animal(name) + faces.glasses(name), 52, 47, 0.72)
    pages = figure(shape("book", 350), "#ffffff", "#2b3a55")
    cover = area(
        "M13,24 Q32,20 50,27 Q68,20 87,24 V80 Q68,76 50,83 Q32,76 13,80Z", "#c92a2a",
        'stroke="#7a1414" stroke-width="1.6"',
    )  # fmt: skip
    return Scene(shelf, reader + place(cover + pages, 44, 79, 0.66))


def _fly(name: str) -> Scene:
    def cloud(x: float, y: float, scale: float) -> str:
        return place(
            ellipse(50, 56, 30, 12, "#ffffff") + circle(38, 48, 13, "#ffffff")
            + circle(58, 44, 16, "#ffffff"), x, y, scale,
        )  # fmt: skip

    back = (
        '<rect x="-20" y="-20" width="140" height="140" fill="url(#sky)"/>'
        + cloud(14, 14, 0.6) + cloud(88, 30, 0.5) + cloud(10, 88, 0.75) + cloud(84, 92, 0.85)
    )  # fmt: skip
    feathers = "".join(
        area(f"M50,58 Q{x1},{y1} {x2},{y2} Q{x2 + 7},{y2 + 9} 58,64Z", "#ffffff",
             'stroke="#54718f" stroke-width="1.6" stroke-linejoin="round"')
        for x1, y1, x2, y2 in (
            (52, 20, 74, 2), (60, 28, 86, 14), (66, 38, 92, 28), (66, 46, 92, 42), (64, 54, 86, 54),
        )
    )  # fmt: skip
    right = place(feathers, 57, 43, 1.0)
    left = f'<g transform="translate(100,0) scale(-1,1)">{place(feathers, 57, 41, 1.0)}</g>'
    flyer = place(animal(name), 50, 58, 0.68, -10)
    wind = line("M30,92 q10,-4 20,0 M54,96 q8,-3 16,0", "#ffffff", 2.2)
    return Scene(back, left + right + flyer + wind, gradient("sky", (0, "#2f8fe8"), (1, "#a9dcff")))


def _eat(name: str) -> Scene:
    wall = ground("#ffe9b8") + "".join(rect(x, -20, 6, 100, "#ffdf9a") for x in range(-20, 120, 14))
    cloth = rect(-20, 78, 140, 50, "#ffffff") + "".join(
        rect(-20 + 8 * column, 78 + 8 * row, 8, 8, "#e8453c")
        for row in range(5) for column in range(18) if (row + column) % 2
    )  # fmt: skip
    eater = place(animal(name), 60, 48, 0.74)
    x, y = _mouth(name, 60, 48, 0.74)
    plate = ellipse(40, 87, 36, 9, "#ffffff", 'stroke="#7d8a99" stroke-width="1.6"') + ellipse(
        40, 86, 24, 5.5, "#e3e9ef"
    )
    bun = 'stroke="#5b3410" stroke-width="2"'
    seeds = ((36, 36), (50, 31), (64, 37), (44, 43), (58, 44))
    burger = (
        area("M18,52 Q20,24 50,24 Q80,24 82,52Z", "#e09a3e", bun)
        + "".join(ellipse(dx, dy, 2.4, 1.4, "#fff1cf") for dx, dy in seeds)
        + area(f"M14,52 {'q6,8 12,0 ' * 6}V56 H14Z", "#4fb84a")
        + rect(15, 56, 70, 6, "#ffd23f")
        + rect(15, 61, 70, 9, "#6b3516", 'rx="4"')
        + area("M17,71 H83 Q83,82 72,82 H28 Q17,82 17,71Z", "#e09a3e", bun)
    )
    bx, by = max(x - 8, 17), min(y + 12, 72)
    meal = place(burger, bx, by, 0.46)
    crumbs = "".join(
        circle(bx + dx, by + dy, 1.2, "#8a5a20")
        for dx, dy in ((16, 12), (20, 6), (12, 18), (-16, 16))
    )
    fork = (
        line("M84,95 V72", "#6f7a86", 3)
        + line("M79,58 V67 Q84,74 89,67 V58 M84,58 V70", "#6f7a86", 2)
    )  # fmt: skip
    fries = "".join(
        line(f"M{a},86 L{b},78", "#f2b632", 3) for a, b in ((44, 42), (50, 50), (56, 58), (62, 66))
    )
    return Scene(wall, eater + cloth + plate + fries + meal + crumbs + fork)


def _drink(name: str) -> Scene:
    back = (
        ground("#c6f1e6")
        + "".join(
            circle(x, y, 5, "#aee6d7") for x in range(-16, 120, 17) for y in range(-12, 80, 17)
        )
        + rect(-20, 86, 140, 40, "#8a6a4d")
        + rect(-20, 86, 140, 3, "#a98562")
    )
    drinker = place(animal(name), 62, 50, 0.74)
    x, y = _mouth(name, 62, 50, 0.74)
    clear = 'fill-opacity=".75" stroke="#3d5a66" stroke-width="1.8"'
    glass = (
        area("M4,52 H34 L30,94 H8Z", "#ffffff", clear)
        + area("M5.4,60 H32.6 L29,92.5 H9Z", "#ff8a1f")
        + rect(10, 64, 8, 8, "#ffe0bd", 'rx="1.5" transform="rotate(12 12 68)"')
        + rect(20, 70, 8, 8, "#ffe0bd", 'rx="1.5" transform="rotate(-14 24 74)"')
        + circle(5, 52, 8, "#ffc233", 'stroke="#e08a00" stroke-width="1.8"')
        + line("M5,45 v14 M-2,52 h14", "#e08a00", 1)
    )
    straw = f"M15,88 L22,{min(y - 4, 44):.1f} L{x + 1:.1f},{y:.1f}"
    pipe = line(straw, "#ffffff", 5.2) + line(straw, "#e5263d", 3.4)
    stripes = line(straw, "#ffffff", 3.4, 'stroke-dasharray="0.1 7"')
    return Scene(back, drinker + pipe + stripes + glass)


def _cry(name: str) -> Scene:
    rain = ground("#8fa3b8") + "".join(
        line(f"M{x},{y} l-3,9", "#c3d3e3", 1.4)
        for x in range(-14, 120, 13)
        for y in range(-10 + x % 7, 120, 22)
    )
    puddle = ellipse(48, 93, 46, 9, "#49b8ff", 'stroke="#ffffff" stroke-width="1.8"') + line(
        "M22,92 q8,-3 16,0 M54,95 q10,-3 20,0", "#ffffff", 1.6
    )
    crier = place(animal(name) + faces.sad(name), 52, 50, 0.78)
    drop = "M{x},{y} q-6.5,9 0,13 q6.5,-4 0,-13Z"
    drops = "".join(
        area(drop.format(x=x, y=y), "#49b8ff", 'stroke="#ffffff" stroke-width="1.4"')
        for x, y in ((8, 30), (13, 54), (6, 72), (90, 26), (94, 50), (88, 72))
    )
    return Scene(rain, puddle + drops + crier)


def _angry(name: str) -> Scene:
    corners = []
    for k in range(32):
        radius, angle = (66 if k % 2 == 0 else 50), math.pi * k / 16
        corners.append(f"{50 + radius * math.cos(angle):.1f},{52 + radius * math.sin(angle):.1f}")
    burst = ground("#b3001b") + f'<polygon points="{" ".join(corners)}" fill="#ff7a1f"/>'
    burst += circle(50, 52, 41, "#ffb03a")
    red = f'<path d="{shape(name, 450).body}" fill="#ff1a1a" opacity=".38"/>'
    fill, ink = ANIMALS[name]
    drawn = shape(name, 450)
    rim = (
        f'<path d="{drawn.body}" fill="#ffffff" stroke="#ffffff" stroke-width="5" '
        'stroke-linejoin="round"/>'
    )
    body = f'{rim}<path d="{drawn.body}" fill="{fill}"/>{red}<path d="{drawn.ink}" fill="{ink}"/>'
    fighter = place(body + faces.angry(name), 50, 58, 0.76)
    mark = "".join(
        f'<g transform="rotate({turn} 50 50)">{line("M22,44 Q42,44 44,22", "#d00000", 7)}</g>'
        for turn in (0, 90, 180, 270)
    )
    steam = "".join(
        circle(x, y, r, "#ffffff", 'stroke="#8a8a8a" stroke-width="1.2"')
        for x, y, r in ((10, 22, 6.5), (18, 15, 6), (5, 13, 4.6), (14, 6, 4))
    )
    return Scene(burst, fighter + steam + place(mark, 82, 17, 0.42))


ACTIONS: dict[str, Callable[[str], Scene]] = {
    "swim": _swim,
    "sleep": _sleep,
    "sing": _sing,
    "run": _run,
    "read": _read,
    "fly": _fly,
    "eat": _eat,
    "drink": _drink,
    "cry": _cry,
    "angry": _angry,
}
