"""Open country: mountains over fields, the sea, a lone thing in the sky, trees on snow, stars."""

import numpy as np

from mllm.benchmarks.photo.draw.canvas import (
    bar,
    blurred,
    colour,
    curve,
    disc,
    grid,
    mix,
    noise,
    ramp,
    smooth,
)
from mllm.benchmarks.photo.draw.openings import framed
from mllm.benchmarks.photo.draw.parts import COOL, GAY, HOURS, WARM, Layout, grain, pick, sky
from mllm.benchmarks.photo.draw.things import balloon, bird, boat, kite, lighthouse, tree
from mllm.benchmarks.photo.frame import Frame

FIELDS = ("#5f7d33", "#8a8a3c", "#6f8f45", "#a08a4a", "#b79a55")
ROCKS = ("#4c5a4a", "#4f5666", "#5a5048", "#3f5750")


def landscape(rng: np.random.Generator, height: int, width: int, layout: Layout) -> Frame:
    """Draw mountains, a field and a balloon or a tree."""
    x, y = grid(height, width)
    across = width / height
    hour = str(rng.choice(list(HOURS)))
    horizon = layout.get("horizon_height", "y", rng.uniform(0.45, 0.6))
    light = sky(rng, x, y, horizon, hour)
    depth = np.ones((height, width), np.float32)
    pale, rock = colour(HOURS[hour][1]), pick(rng, ROCKS)
    ridges = layout.get("ridges", "count", int(rng.integers(1, 4)))
    rise = min(0.42, 0.8 * horizon) * max(ridges, 2) / 4
    for number in range(ridges):
        far = 1 - number / max(ridges, 2)
        line = horizon - rise * (far - 0.3 / max(ridges, 2))
        line = line - 0.1 * rise * curve(rng, width, height, 1 + number)
        mask = smooth(y - line[None], -0.006, 0.006)
        stone = grain(rng, rock * (1 - 0.75 * far) + pale * 0.75 * far + 0 * light, 0.1)
        light = mix(light, stone, mask)
        depth = np.where(mask > 0.5, 0.95 - 0.35 * (1 - far), depth)
    ground = smooth(y - horizon, -0.004, 0.004) + 0 * x
    near = np.clip((y - horizon) / max(1 - horizon, 0.1), 0, 1)
    field = pick(rng, FIELDS) * (0.75 + 0.35 * near + 0 * x)[..., None]
    light = mix(light, grain(rng, field, 0.3, (1.2, 4)), ground)
    depth = np.where(ground > 0.5, 0.6 * (1 - near) ** 1.5 + 0 * x, depth)
    small = min(1.0, across)
    fx = layout.get("placement", "x", rng.uniform(0.25, 0.75)) * across
    size = rng.uniform(0.28, 0.36) * small
    if layout.has("placement") or rng.random() < 0.4:
        fy = layout.get("placement", "y", rng.uniform(0.3, 0.5))
        light, subject = balloon(light, x, y, fx, fy, size, pick(rng, GAY))
    else:
        base = horizon + 0.4 * (1 - horizon) if horizon < 0.8 else 0.97
        light, subject = tree(rng, light, x, y, fx, base, size * 1.2, colour("#3f6a28"))
    depth = np.where(subject > 0.5, 0.3, depth)
    frame = Frame(light, subject, depth, facts={"horizon": float(horizon)})
    return framed(rng, frame, layout)


def seascape(rng: np.random.Generator, height: int, width: int, layout: Layout) -> Frame:
    """Draw the sea with a boat or a lighthouse, and the sun over it."""
    x, y = grid(height, width)
    across = width / height
    hour = str(rng.choice(list(HOURS)))
    horizon = layout.get("horizon_height", "y", rng.uniform(0.4, 0.6))
    light = sky(rng, x, y, horizon, hour)
    sun_x = rng.uniform(0.15, 0.85) * across
    sun = disc(x, y, sun_x, horizon * rng.uniform(0.25, 0.6), 0.045, 0.012)
    light = light + sun[..., None] * colour(HOURS[hour][2]) * 1.5
    near = np.clip((y - horizon) / max(1 - horizon, 0.1), 0, 1)
    calm = layout.get("water", "calm", 0.15)
    water = _water(rng, x, y, near, calm, hour)
    waves = noise(rng, height, width, (0.35, 2.5), fine=True)
    path = np.exp(-(((x - sun_x) / (0.05 + 0.2 * near)) ** 2))
    path = path * (calm * 0.7 + (1 - calm) * (0.3 + 0.8 * (waves > 0.2)))
    water = water + (0.5 * path)[..., None] * colour(HOURS[hour][2])
    sea = smooth(y - horizon, -0.004, 0.004) + 0 * x
    light = mix(light, water, sea)
    depth = np.where(sea > 0.5, 0.8 * (1 - near) ** 1.5 + 0 * x, 1).astype(np.float32)
    size = rng.uniform(0.3, 0.4) * min(1.0, across)
    fx = rng.uniform(0.25, 0.75) * across
    base = min(horizon + 0.12 + 0.2 * (1 - horizon), 0.97)
    if layout.has("water"):
        light = _rock(rng, light, x, y, fx, base, size)
        light, subject = lighthouse(light, x, y, fx, base - 0.02, size * 1.1, pick(rng, WARM))
    else:
        light, subject = boat(light, x, y, fx, base, size, pick(rng, GAY))
    depth = np.where(subject > 0.5, 0.4, depth)
    return framed(rng, Frame(light, subject, depth, facts={"horizon": float(horizon)}), layout)


def _water(rng, x, y, near, calm: float, hour: str) -> np.ndarray:
    """Return water whose waves vanish as ``calm`` goes from 0 to 1."""
    height, width = y.shape[0], x.shape[1]
    deep, pale = colour(HOURS[hour][0]) * 0.5, colour(HOURS[hour][1]) * 0.75
    light = ramp(deep, pale, np.clip(1 - near + 0.5 * calm, 0, 1) + 0 * x)
    waves = noise(rng, height, width, (0.5, 1.5), fine=True)
    long = noise(rng, height, width, (0.7, 12))
    crests = np.clip(waves - 0.9, 0, 1) * (1 - calm) ** 2
    rough = 0.3 * (1 - calm) ** 2 * waves + 0.22 * calm * (1 - calm) * 2 * long
    light = light * np.clip(1 + rough * (0.4 + near), 0.3, 2)[..., None]
    return light + (0.9 * crests * (0.3 + near))[..., None]


def _rock(rng, light, x, y, cx: float, base: float, size: float) -> np.ndarray:
    """Lay a low rock on the water."""
    height, width = light.shape[:2]
    ragged = 0.02 * noise(rng, height, width, (1, 1))
    mask = smooth(np.hypot((x - cx) / (size * 0.7), (y - base - 0.02) / 0.075) + ragged, 1.1, 0.9)
    stone = grain(rng, colour("#4a443e") + 0 * light, 0.3)
    return mix(light, stone, mask * bar(y, 0, base + 0.02))


def minimal(rng: np.random.Generator, height: int, width: int, layout: Layout) -> Frame:
    """Draw one bird or kite in an empty sky."""
    x, y = grid(height, width)
    across = width / height
    ground = rng.choice(["warm", "cool"]) if rng.random() < 0.7 else "grey"
    codes = {"warm": WARM, "cool": COOL, "grey": ("#aab4bd", "#c8ccd0")}
    own = layout.get("temperature", "subject", str(rng.choice(["warm", "cool"])))
    ground = layout.get("temperature", "ground", str(ground))
    tone = pick(rng, codes[ground])
    low, high = tone * 0.55 + 0.25, tone * 0.45 + 0.12
    light = ramp(high, low, y + 0 * x)
    light = light * (1 + 0.04 * noise(rng, height, width, (2, 5)))[..., None]
    size = layout.get("extent", "size", rng.uniform(0.3, 0.42)) * min(1.0, across)
    fx = layout.get("placement", "x", rng.uniform(0.3, 0.7)) * across
    fy = layout.get("placement", "y", rng.uniform(0.35, 0.65))
    paint = pick(rng, codes[own])
    if rng.random() < 0.5:
        light, subject = bird(light, x, y, fx, fy, size * 0.55, paint)
    else:
        light, subject = kite(light, x, y, fx, fy - 0.1 * size, size * 0.75, paint)
    return Frame(light, subject)


def trees(rng: np.random.Generator, height: int, width: int, layout: Layout) -> Frame:
    """Draw trees on a field of snow or sand, with the shadows that they cast."""
    x, y = grid(height, width)
    across = width / height
    horizon = rng.uniform(0.42, 0.5)
    cast = layout.get("cast_shadow", "lean", rng.uniform(-0.6, 0.6))
    length = layout.get("cast_shadow", "length", 0.4)
    sunny = str(rng.choice(["midday", "morning"]))
    hour = "overcast" if length == 0 else sunny
    light = sky(rng, x, y, horizon, hour)
    ground = colour(str(rng.choice(["#d9dde4", "#cbb48a", "#8fa060"])))
    field = grain(rng, ground * (0.85 + 0.2 * y + 0 * x)[..., None], 0.06, (1, 4))
    light = mix(light, field, smooth(y - horizon, -0.004, 0.004) + 0 * x)
    near = np.clip((y - horizon) / (1 - horizon), 0, 1)
    depth = np.where(y + 0 * x > horizon, 0.8 * (1 - near), 1).astype(np.float32)
    size = rng.uniform(0.48, 0.6) * min(1.0, across + 0.1)
    where = layout.get("balance", "trees", [float(rng.uniform(0.3, 0.7))])
    subject = np.zeros((height, width), np.float32)
    base = horizon + rng.uniform(0.2, 0.3)
    for place in where:
        cx, own = place * across, size * rng.uniform(0.9, 1.1)
        if length:
            up = (y - base) / (length * own * 0.75 + 0.02)  # how far along the shadow
            middle = cx + cast * own * up
            half = own * (0.06 + 0.2 * np.clip(up - 0.25, 0, 0.5))
            shadow = smooth(np.abs(x - middle), half + 0.02, half - 0.02) * bar(up, 0, 1, 0.1)
            light = light * (1 - 0.6 * shadow)[..., None]
        green = pick(rng, ("#3f6a28", "#2f5a3a", "#7a5a22"))
        light, mask = tree(rng, light, x, y, cx, base, own, green)
        subject = np.maximum(subject, mask)
    depth = np.where(subject > 0.5, 0.35, depth)
    return Frame(light, subject, depth, facts={"horizon": float(horizon)})


def night(rng: np.random.Generator, height: int, width: int, layout: Layout) -> Frame:
    """Draw stars over a dark ridge; their trails grow with the exposure."""
    x, y = grid(height, width)
    across = width / height
    degrees = layout.get("stars", "degrees", 0.0)
    light = ramp(colour("#0d1838"), colour("#31476b"), y**1.5 + 0 * x)
    trails = np.zeros((height, width, 3), np.float32)
    pole = (rng.uniform(0.3, 0.7) * across, rng.uniform(0.25, 0.5))
    for _ in range(70):
        far, start = rng.uniform(0.04, 1.2), rng.uniform(0, 360)
        steps = max(1, round(np.radians(degrees) * far * height))
        angles = np.radians(start + np.linspace(0, degrees, steps))
        rows = ((pole[1] + far * np.sin(angles)) * height).astype(int)
        columns = ((pole[0] + far * np.cos(angles)) * height).astype(int)
        there = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        tone = colour(str(rng.choice(["#ffffff", "#cfe0ff", "#ffe6c8"])))
        trails[rows[there], columns[there]] = tone * rng.uniform(0.6, 1.4)
    light = light + blurred(trails, 0.007 * height) * (6 if degrees == 0 else 2)
    line = 0.82 - 0.05 * curve(rng, width, height, 2)
    ridge = smooth(y - line[None], -0.006, 0.006)
    light = mix(light, colour("#05070c"), ridge)
    return Frame(light, None, np.where(ridge > 0.5, 0.5, 1).astype(np.float32))


def tower(rng: np.random.Generator, height: int, width: int, layout: Layout) -> Frame:
    """Draw a lighthouse before a mountain, whose size follows from the focal length."""
    x, y = grid(height, width)
    across = width / height
    hour = str(rng.choice(list(HOURS)))
    horizon = rng.uniform(0.7, 0.76)
    light = sky(rng, x, y, horizon, hour)
    large = layout.get("focal_length", "size", rng.uniform(0.3, 0.5))
    side = float(rng.choice([-1, 1]))
    peak = (0.5 + side * 0.12) * across
    slope = np.abs(x - peak) / (large * 0.95) + 0.03 * curve(rng, width, height, 3)[None]
    mountain = smooth(horizon - y - large * (1 - slope), 0.008, -0.008) * (y < horizon)
    pale = colour(HOURS[hour][1])
    stone = grain(rng, colour("#4c5a70") * 0.6 + pale * 0.25 + 0 * light, 0.15)
    light = mix(light, stone, mountain)
    snow = smooth(horizon - y, large * 0.68, large * 0.78) * mountain
    light = mix(light, colour("#eef2f8"), snow)
    ground = smooth(y - horizon, -0.004, 0.004) + 0 * x
    light = mix(light, grain(rng, pick(rng, FIELDS) + 0 * light, 0.2, (1, 4)), ground)
    size = 0.36 * min(1.0, across + 0.2)
    cx = (0.5 - side * 0.2) * across
    light, subject = lighthouse(light, x, y, cx, horizon + 0.12, size, pick(rng, WARM))
    depth = np.where(subject > 0.5, 0.3, np.where(y > horizon, 0.3, 1)).astype(np.float32)
    return Frame(light, subject, depth, facts={"horizon": float(horizon)})
