"""Subjects that a photographer lights: fruit on a table, a person, a flower."""

import numpy as np

from mllm.benchmarks.photo.draw.canvas import bar, colour, grid, mix, noise, smooth
from mllm.benchmarks.photo.draw.parts import (
    BACKGROUNDS,
    COOL,
    GAY,
    MUTED,
    WARM,
    Layout,
    Rig,
    background,
    grain,
    pick,
    rig_of,
    solid,
)
from mllm.benchmarks.photo.draw.things import bloom
from mllm.benchmarks.photo.frame import Frame

TABLES = ("#7a4f2c", "#8f6a45", "#5f4634", "#a08768")
FRUIT = ("#c8281e", "#e08a1a", "#6f9a2a", "#d8b52a", "#7a2a52")
SKINS = ("#e3b796", "#c68f68", "#8d5a3c", "#f0cdb2")
HAIR = ("#2a1c14", "#6b3d1c", "#c89a4a", "#1a1a1e", "#8a8a8a")


def still_life(rng: np.random.Generator, height: int, width: int, layout: Layout) -> Frame:
    """Draw fruit on a table before a wall."""
    x, y = grid(height, width)
    across = width / height
    rig = rig_of(rng, layout)
    edge = rng.uniform(0.5, 0.58)
    treatment = layout.get("background", "treatment", "plain")
    wall = background(rng, x, y, treatment, pick(rng, MUTED))
    near = np.clip((y - edge) / (1 - edge), 0, 1) + 0 * x
    table = grain(rng, pick(rng, TABLES) * (0.8 + 0.3 * near)[..., None], 0.16, (1.2, 5))
    light = mix(wall, table, smooth(y - edge, -0.004, 0.004) + 0 * x) * rig.backdrop
    depth = np.where(y + 0 * x > edge, 0.75 * (1 - near), 1).astype(np.float32)
    size = layout.get("extent", "size", rng.uniform(0.38, 0.46)) * min(1.0, across)
    fx, fy = rng.uniform(0.42, 0.58) * across, rng.uniform(0.6, 0.64)
    light = _spot(light, x, y, fx, fy, size, rig)
    subject = np.zeros((height, width), np.float32)
    balls = [(fx, fy, size, 0.25)]
    if not layout.has("extent"):
        apart = rng.uniform(0.75, 0.9) * size
        balls = [(fx + s * apart, fy - 0.1 * size, size * 0.6, 0.6) for s in (-1, 1)] + balls
    for px, py, extent, away in balls:
        radius = extent / 2
        light = _cast(light, x, y, px, py + radius * 0.85, radius, rig, layout, edge)
        mask, lit, shine = solid(x, y, px, py, (radius, radius), rig)
        skin = grain(rng, pick(rng, FRUIT) * lit[..., None], 0.05, (1, 1))
        light = mix(light, skin + 0.6 * shine[..., None], mask)
        depth = np.where(mask > 0.5, away, depth)
        subject = mask if away == 0.25 else subject
    return Frame(light, subject, depth)


def _cast(light, x, y, cx: float, base: float, radius: float, rig: Rig, layout, edge: float):
    """Darken the table where a ball of some radius throws its shadow; base: y of its foot."""
    lean = layout.get("cast_shadow", "lean", None)
    length = layout.get("cast_shadow", "length", 0.4)
    if lean is None:
        lean = -0.6 * sum(lamp[0] * lamp[3] for lamp in rig.lamps)
    if length == 0:
        return light
    reach = radius * (1 + 3.5 * abs(lean) * length)
    along = np.abs(x - cx - np.sign(lean) * (reach - radius)) / reach
    mask = smooth(np.hypot(along, (y - base) / (radius * 0.38)), 1.15, 0.6) * (y > edge)
    return light * (1 - 0.65 * mask)[..., None]


def _spot(light, x, y, cx: float, cy: float, size: float, rig: Rig):
    """Leave only a round spot of light about the subject, where the rig has one."""
    if not rig.spot:
        return light
    near = smooth(np.hypot(x - cx, y - cy), size * 1.05, size * 0.6)
    return light * (0.03 + 1.1 * near)[..., None]


def portrait(rng: np.random.Generator, height: int, width: int, layout: Layout) -> Frame:
    """Draw head and shoulders of a person."""
    x, y = grid(height, width)
    across = width / height
    rig = rig_of(rng, layout)
    treatment = layout.get("background", "treatment", str(rng.choice(BACKGROUNDS[:3])))
    light = background(rng, x, y, treatment, pick(rng, MUTED)) * rig.backdrop
    depth = np.ones((height, width), np.float32)
    head = 0.21 * min(1.0, across + 0.15)
    cx, cy = rng.uniform(0.45, 0.55) * across, 0.42
    light = _spot(light, x, y, cx, 0.5, 0.75, rig)
    if layout.get("flash", "halo", 0):
        shadow = smooth(np.hypot((x - cx - 0.06) / 0.85, y - cy - 0.02), head * 1.15, head * 1.02)
        light = light * (1 - 0.7 * shadow)[..., None]
    skin, hair, cloth = (pick(rng, codes) for codes in (SKINS, HAIR, GAY + MUTED))
    subject = np.zeros((height, width), np.float32)
    parts = (
        (hair * 0.8, (cx, cy - head * 0.15), (head * 0.98, head * 1.15)),
        (skin * 0.85, (cx, cy + head * 1.2), (head * 0.4, head * 0.7)),
        (cloth, (cx, cy + head * 3.05), (head * 2.0, head * 1.75)),
        (skin, (cx, cy), (head * 0.78, head)),
    )
    for tone, place, radii in parts:
        mask, lit, _ = solid(x, y, *place, radii, rig)
        light = mix(light, tone * lit[..., None], mask)
        subject = np.maximum(subject, mask)
    light = _face(light, x, y, cx, cy, head, skin, rig)
    fringe = smooth(np.hypot(x - cx, (y - cy + head * 0.1) * 0.9), head * 0.7, head * 0.75)
    fringe = fringe * smooth(np.hypot((x - cx) / 0.8, y - cy), head * 1.0, head * 0.96)
    _, lit, _ = solid(x, y, cx, cy - head * 0.15, (head * 0.98, head * 1.15), rig)
    light = mix(light, hair * 0.8 * lit[..., None], fringe * bar(y, 0, cy - head * 0.3, 0.02))
    depth = np.where(subject > 0.5, 0.25, depth).astype(np.float32)
    return Frame(light, subject, depth)


def _face(light, x, y, cx: float, cy: float, head: float, skin, rig: Rig):
    """Lay eyes, a nose and a mouth on a head."""
    for side in (-1, 1):
        eye = smooth(
            np.hypot((x - cx - side * head * 0.3) / 1.5, y - cy + head * 0.12),
            head * 0.085,
            head * 0.055,
        )
        light = light * (1 - 0.85 * eye)[..., None]
    mouth = smooth(
        np.hypot((x - cx) / 3.2, y - cy - head * 0.52 - 0.25 * (x - cx) ** 2 / head),
        head * 0.085,
        head * 0.05,
    )
    light = light * (1 - mouth[..., None] * np.array([0.35, 0.75, 0.7], np.float32))
    nose, lit, _ = solid(x, y, cx, cy + head * 0.15, (head * 0.13, head * 0.26), rig)
    return mix(light, skin * lit[..., None], 0.6 * nose)


def flower(rng: np.random.Generator, height: int, width: int, layout: Layout) -> Frame:
    """Draw one flower close up."""
    x, y = grid(height, width)
    across = width / height
    codes = {"warm": WARM, "cool": COOL}
    treatment = layout.get("background", "treatment", str(rng.choice(["plain", "soft"])))
    ground = layout.get("temperature", "ground", None)
    tone = pick(rng, codes[ground]) if ground else pick(rng, ("#4a6a34", "#3a5a40", "#6a7a50"))
    light = background(rng, x, y, "plain" if ground else treatment, tone)
    size = layout.get("extent", "size", rng.uniform(0.36, 0.44)) * min(1.0, across)
    fx = layout.get("placement", "x", rng.uniform(0.35, 0.65)) * across
    fy = layout.get("placement", "y", rng.uniform(0.38, 0.55))
    bend = 0.04 * np.sin((y - fy) * 5 + rng.uniform(0, 6))
    stem = bar(x - fx - bend * smooth(y, fy, 1), -0.014, 0.014) * smooth(y, fy, fy + 0.01)
    light = mix(light, colour("#3f6f2a"), stem)
    own = layout.get("temperature", "subject", None)
    paint = pick(rng, codes[own] if own else (*WARM, "#f2eee4", "#c65ad0"))
    light, subject = bloom(rng, light, x, y, fx, fy, size, paint)
    light = light * (1 + 0.02 * noise(rng, height, width))[..., None]
    depth = np.where(subject > 0.5, 0.2, 1).astype(np.float32)
    return Frame(light, subject, depth)
