"""What people have built: roads, facades, cities, huts, patterns of lines; and a forest."""

import numpy as np

from mllm.benchmarks.photo.draw.canvas import (
    bar,
    blurred,
    colour,
    disc,
    grid,
    mix,
    noise,
    ramp,
    smooth,
    to_linear,
)
from mllm.benchmarks.photo.draw.parts import HOURS, MUTED, Layout, grain, pick, sky
from mllm.benchmarks.photo.draw.things import figure, tree
from mllm.benchmarks.photo.frame import Frame

WALLS = ("#a65a3c", "#b9a27e", "#8c8f94", "#c9b8a0", "#7d5a4a")


def road(rng: np.random.Generator, height: int, width: int, layout: Layout) -> Frame:
    """Draw a road through fields; it leads to a point on the horizon, or across."""
    x, y = grid(height, width)
    across = width / height
    horizon = rng.uniform(0.4, 0.48)
    light = sky(rng, x, y, horizon, str(rng.choice(list(HOURS))))
    near = np.clip((y - horizon) / (1 - horizon), 0, 1)
    field = pick(rng, ("#5f7d33", "#a08a4a", "#b79a55", "#6f8f45"))
    field = grain(rng, field * (0.8 + 0.25 * near + 0 * x)[..., None], 0.25, (1, 3))
    light = mix(light, field, smooth(y - horizon, -0.004, 0.004) + 0 * x)
    tar = grain(rng, colour("#4c4c50") + 0 * light, 0.08)
    vanish = layout.get("leading_lines", "x", float(rng.uniform(0.35, 0.65)))
    if vanish is None:
        middle = horizon + 0.38 * (1 - horizon)
        lane = bar(y - middle, -0.11, 0.11) + 0 * x
        line = bar(y - middle, -0.012, 0.012) * (np.sin(x * 30) > 0)
        rows: list[tuple[float, float, float]] = []
    else:
        middle = vanish * across + (0.5 * across - vanish * across) * near
        half = 0.36 * across * near + 0.002
        lane = smooth(np.abs(x - middle), half + 0.006, half - 0.006) * (near > 0)
        dashes = np.sin(4.5 / (near + 0.08)) > -0.2
        line = smooth(np.abs(x - middle), 0.05 * half + 0.004, 0.03 * half) * (near > 0) * dashes
        rows = [(side, float(at), 0.34 * float(at)) for at in (0.16, 0.3, 0.55) for side in (-1, 1)]
    light = mix(mix(light, tar, lane), colour("#e8e4d0"), line)
    for side, at, size in rows:
        base = horizon + at * (1 - horizon)
        cx = (vanish + (0.5 - vanish) * at + side * 0.5 * at) * across
        light, _ = tree(rng, light, x, y, cx, base, size + 0.04, colour("#35592a"))
    depth = np.where(y + 0 * x > horizon, 0.9 * (1 - near) ** 2, 1).astype(np.float32)
    return Frame(light, None, depth, facts={"horizon": float(horizon)})


def lines(rng: np.random.Generator, height: int, width: int, layout: Layout) -> Frame:
    """Draw boards, louvres or furrows that run in one direction."""
    x, y = grid(height, width)
    angle = layout.get("lines", "angle", float(rng.choice([0, 45, 90, -45])))
    turn = np.radians(angle + rng.uniform(-6, 6))
    over = x * np.sin(turn) + y * np.cos(turn)
    count = rng.uniform(7, 12)
    wave = over * count + 0.05 * noise(rng, height, width, (3, 3))
    edge = np.abs(wave % 1 - 0.5) * 2
    first, second = pick(rng, MUTED + WALLS), pick(rng, MUTED)
    shade = 0.5 + 0.5 * edge
    light = ramp(first * 0.5, second * 1.25, shade)
    light = light * (0.35 + 0.65 * smooth(edge, 0.02, 0.2))[..., None]
    light = grain(rng, light, 0.08) * (0.8 + 0.35 * (1 - y) + 0 * x)[..., None]
    return Frame(light)


def facade(rng: np.random.Generator, height: int, width: int, layout: Layout) -> Frame:
    """Draw a building with windows, from one of four viewpoints."""
    view = layout.get("viewpoint", "view", "frontal")
    x, y = grid(height, width)
    across = width / height
    wall, glass = pick(rng, WALLS), colour(str(rng.choice(["#5b7690", "#2c3c4c", "#8aa4b8"])))
    paint = _Windows(wall, glass, rng.uniform(4.5, 6.5))
    if view == "frontal":
        light = paint(x - across / 2 + 0.5, y + 0 * x)
    elif view == "below":
        deep = 0.35 + 1.15 * y
        inside = np.abs(x - across / 2) / (across * (0.14 + 0.42 * y))
        tower = paint((x - across / 2) / deep * 1.2, 1.6 / deep + 0 * x)
        light = sky(rng, x, y, 1.0, str(rng.choice(list(HOURS))))
        light = mix(light, tower, smooth(inside, 1.02, 0.98))
    elif view == "corner":
        away = np.abs(x - across / 2) / across
        scale = 1 - 1.25 * away
        face = paint(np.sign(x - across / 2) * away * 2.2 / scale, (y - 0.5) / scale + 0.5)
        shade = np.where(x < across / 2, 1.1, 0.55)[..., None]
        light = sky(rng, x, y, 1.0, str(rng.choice(list(HOURS))))
        light = mix(light, face * shade, smooth(np.abs(y - 0.5), 0.44 * scale, 0.43 * scale))
    else:
        light = _corridor(paint, x, y, across)
    light = grain(rng, light, 0.06)
    return Frame(light)


class _Windows:
    """A wall with a grid of windows, painted at any coordinates."""

    def __init__(self, wall: np.ndarray, glass: np.ndarray, count: float):
        self._wall, self._glass, self._count = wall, glass, count

    def __call__(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return light at coordinates across and down the wall."""
        across, down = (u * self._count) % 1, (v * self._count * 0.8) % 1
        pane = bar(across, 0.25, 0.75, 0.05) * bar(down, 0.2, 0.8, 0.05)
        sill = bar(across, 0.2, 0.8, 0.03) * bar(down, 0.82, 0.9, 0.03)
        light = mix(self._wall + 0 * pane[..., None], self._wall * 1.5, sill)
        return mix(light, self._glass * (0.7 + 0.6 * down)[..., None], pane)


def _corridor(paint: _Windows, x, y, across: float) -> np.ndarray:
    """Return a passage that leads straight away from the camera."""
    dx, dy = (x - across / 2) / (across / 2), (y - 0.5) / 0.5
    out = np.maximum(np.abs(dx), np.abs(dy))
    far = 1 / np.clip(out, 0.16, None)
    sides = paint(far * 1.2, dy * far * 0.5)
    floor = ramp(colour("#5a5048"), colour("#8a8078"), (np.floor(far * 4) % 2) + 0 * x)
    roof = np.broadcast_to(colour("#b8b4ac"), floor.shape)
    light = np.where((np.abs(dx) >= np.abs(dy))[..., None], sides, np.where(
        (dy > 0)[..., None], floor, roof))  # fmt: skip
    light = light * np.clip(1.3 - 0.16 * far, 0.3, 1)[..., None]
    return mix(light, colour("#f4efdc"), smooth(out, 0.2, 0.17))


def skyline(rng: np.random.Generator, height: int, width: int, layout: Layout) -> Frame:
    """Draw a city by day or by night over water."""
    x, y = grid(height, width)
    across = width / height
    horizon, dark = rng.uniform(0.68, 0.76), rng.random() < 0.35
    hour = str(rng.choice(list(HOURS)))
    light = sky(rng, x, y, horizon, hour)
    if dark:
        light = ramp(colour("#101a38"), colour("#5a4a5a"), y / horizon + 0 * x)
    depth = np.ones((height, width), np.float32)
    for row, away in enumerate((0.9, 0.7)):
        cx = -0.05
        while cx < across:
            wide = rng.uniform(0.07, 0.14)
            top = horizon - rng.uniform(0.12, 0.5) * (1 - 0.25 * row)
            columns = slice(*np.searchsorted(x[0], (cx, cx + wide)))
            rows = slice(*np.searchsorted(y[:, 0], (top, horizon + 0.01)))
            tone = colour("#1c2230") if dark else pick(rng, MUTED + WALLS) * (0.9 - 0.3 * row)
            u, v = (x[:, columns] - cx) / 0.028, (y[rows] - top) / 0.04
            shine = rng.random((16, 6)) > (0.5 if dark else 0.0)
            lamps = (u % 1 > 0.45) & (v % 1 > 0.45) & shine[v.astype(int) % 16, u.astype(int) % 6]
            pane = colour("#ffd890") * 0.9 if dark else tone * 0.45
            light[rows, columns] = np.where(lamps[..., None], pane, tone)
            depth[rows, columns] = away
            cx += wide + rng.uniform(0, 0.03)
    water = smooth(y - horizon, -0.004, 0.004) + 0 * x
    mirror = np.clip(2 * horizon - y, 0, 0.999)[:, 0]
    image = light[(mirror * height).astype(int)] * 0.55
    image = (
        blurred(image, 0.008 * height) * (1 + 0.1 * noise(rng, height, width, (0.5, 3)))[..., None]
    )
    light = mix(light, image, water)
    near = np.clip((y - horizon) / (1 - horizon), 0, 1)
    depth = np.where(water > 0.5, 0.6 * (1 - near) + 0 * x, depth).astype(np.float32)
    return Frame(light, None, depth, facts={"horizon": float(horizon)})


def forest(rng: np.random.Generator, height: int, width: int, layout: Layout) -> Frame:
    """Draw trunks at several distances, with a walker among them."""
    x, y = grid(height, width)
    across = width / height
    mist = colour(str(rng.choice(["#cfd8d0", "#d8d2b8", "#b8c4c8"])))
    floor = rng.uniform(0.62, 0.7)
    light = ramp(mist * 0.9, mist * 1.05, y + 0 * x)
    leaves = pick(rng, ("#4f6a2a", "#6a6a2a", "#8a5a24"))
    light = mix(light, grain(rng, leaves + 0 * light, 0.4), 0.55 * smooth(y, 0.3, 0.0) + 0 * x)
    near = np.clip((y - floor) / (1 - floor), 0, 1)
    ground = grain(rng, pick(rng, ("#5a4a2a", "#4a5a2a", "#6a4a2c")) + 0 * light, 0.35, (1, 2))
    light = mix(light, ground, smooth(y - floor, -0.02, 0.02) + 0 * x)
    depth = np.where(y + 0 * x > floor, 0.8 * (1 - near), 1).astype(np.float32)
    subject = np.zeros((height, width), np.float32)
    walker = rng.uniform(0.3, 0.7) * across
    for away, count, wide in ((0.85, 7, 0.012), (0.55, 4, 0.026), (0.1, 2, 0.06)):
        if away == 0.1:
            base = floor + 0.45 * (1 - floor)
            coat = pick(rng, ("#c8321e", "#d8a21c", "#2b59c3"))
            light, subject = figure(light, x, y, walker, base, 0.34 * min(1, across), coat)
            depth = np.where(subject > 0.5, 0.45, depth)
        base = floor + (1 - away) * (1 - floor)
        for number in range(count):
            cx = (number + rng.uniform(0.1, 0.9)) / count * across
            if away == 0.1 and abs(cx - walker) < 0.18:
                cx = walker + (0.3 if walker < across / 2 else -0.3)
            lean = rng.uniform(-0.02, 0.02)
            trunk = bar(x - cx - lean * y, -wide, wide) * smooth(y, base + 0.01, base - 0.01)
            bark = colour("#2c2218") * (1 - 0.8 * away) + mist * 0.62 * away
            side = 0.7 + 0.5 * smooth(cx - x, -wide, wide)
            light = mix(light, bark * side[..., None], trunk)
            depth = np.where(trunk > 0.5, away, depth)
    return Frame(light, subject, depth, facts={"horizon": float(floor)})


PALETTES = {  # hue in degrees of each hut, by scheme
    "complementary": (0, 180),
    "analogous": (0, 30, -30),
    "monochrome": (0,),
    "triad": (0, 120, 240),
}


def hue(degrees: float, strength: float = 0.75, value: float = 0.75) -> np.ndarray:
    """Return the linear light float32[3] of a hue in degrees (HSV, encoded as sRGB)."""
    k = (np.array([5.0, 3.0, 1.0]) + degrees / 60) % 6
    encoded = value - value * strength * np.clip(np.minimum(k, 4 - k), 0, 1)
    return to_linear(encoded)


def huts(rng: np.random.Generator, height: int, width: int, layout: Layout) -> Frame:
    """Draw a row of beach huts whose colours follow a scheme."""
    x, y = grid(height, width)
    across = width / height
    count = 6 if across > 1 else 5
    floor = rng.uniform(0.74, 0.8)
    light = sky(rng, x, y, floor, "overcast")
    sand = grain(rng, colour("#cbbb98") * (0.9 + 0 * light), 0.08, (1, 3))
    light = mix(light, sand, smooth(y - floor, -0.004, 0.004) + 0 * x)
    tones = _hut_colours(rng, layout, count)
    step = across / count
    top = rng.uniform(0.3, 0.4)
    for number, tone in enumerate(tones):
        cx = (number + 0.5) * step
        columns = slice(*np.searchsorted(x[0], (number * step, (number + 1) * step)))
        own = x[:, columns]
        roof = top + np.abs(own - cx) / step * 0.3
        mask = bar(own - cx, -step * 0.46, step * 0.46, 0.004) * bar(y, roof, floor + 0.03)
        boards = 0.85 + 0.15 * (np.sin((own - cx) / step * 44) > 0)
        part = mix(light[:, columns], tone * boards[..., None], mask)
        door = bar(own - cx, -step * 0.16, step * 0.16, 0.004) * bar(y, top + 0.22, floor + 0.02)
        part = mix(part, tone * 0.45, door)
        light[:, columns] = mix(part, colour("#ece8de"), mask * bar(y - roof, -0.01, 0.025))
    return Frame(light)


def _hut_colours(rng: np.random.Generator, layout: Layout, count: int) -> list[np.ndarray]:
    """Return the colour of each hut."""
    base = float(rng.uniform(0, 360))
    muted = [hue(base, 0.06, float(rng.uniform(0.5, 0.75))) for _ in range(count)]
    if layout.has("accent"):
        place = layout.get("accent", "place", None)
        if place is not None:
            muted[round(place * (count - 1))] = hue(base, 0.9, 0.85)
        return muted
    if layout.has("coordination"):
        pattern = layout.get("coordination", "pattern", "all")
        odd = int(rng.integers(count))
        shifts = {
            "alike": [0] * count,
            "one": [180 if k == odd else 0 for k in range(count)],
            "turns": [130 * (k % 2) for k in range(count)],
            "all": [360 / count * k for k in rng.permutation(count)],
        }[pattern]
        return [hue(base + shift) for shift in shifts]
    scheme = layout.get("palette", "scheme", str(rng.choice(list(PALETTES))))
    shifts = PALETTES[scheme]
    values = (0.85, 0.55, 0.7)
    return [
        hue(base + shifts[k % len(shifts)], 0.75, values[(k // len(shifts)) % 3])
        for k in range(count)
    ]


def lamp_posts(rng: np.random.Generator, height: int, width: int, layout: Layout) -> Frame:
    """Draw a street at night, lit by lamps."""
    x, y = grid(height, width)
    across = width / height
    light = ramp(colour("#0a0f20"), colour("#2a2a38"), y + 0 * x)
    ground = smooth(y - 0.7, -0.004, 0.004) + 0 * x
    light = mix(light, grain(rng, colour("#2c2a2a") + 0 * light, 0.15, (1, 4)), ground)
    depth = np.where(ground > 0.5, 0.6, 1).astype(np.float32)
    subject = np.zeros((height, width), np.float32)
    count = 3 if across > 1 else 2
    for number in range(count):
        cx = (number + rng.uniform(0.35, 0.65)) / count * across
        top = rng.uniform(0.22, 0.32)
        post = bar(x - cx, -0.008, 0.008) * bar(y, top, 0.78)
        light = mix(light, colour("#15151a"), post)
        away = np.hypot(x - cx, y - top)
        glow = colour("#ffc46a") * (0.28 * np.exp(-away / 0.1))[..., None]
        pool = np.exp(-(((x - cx) / 0.18) ** 2) - ((y - 0.8) / 0.06) ** 2)
        bulb = disc(x, y, cx, top, 0.022)
        light = light + glow + 0.25 * pool[..., None] * colour("#ffc46a")
        light = light + 2.5 * bulb[..., None] * colour("#fff0cc")
        subject = np.maximum(subject, bulb)
        depth = np.where(post + bulb > 0.5, 0.4, depth)
    return Frame(light, subject, depth, facts={"horizon": 0.7})
