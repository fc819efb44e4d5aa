"""Things that stand in a scene. Each function lays one on light and returns light and its mask.

cx is the middle of the thing, base the y of its foot, size its height; the picture's height is 1.
"""

import numpy as np

from mllm.benchmarks.photo.draw.canvas import bar, colour, disc, mix, noise, smooth
from mllm.benchmarks.photo.draw.parts import Rig, grain, solid

Laid = tuple[np.ndarray, np.ndarray]
SUN = Rig(((-0.5, 0.7, 0.7, 0.8),), ambient=0.3)


def balloon(light, x, y, cx: float, cy: float, size: float, tone) -> Laid:
    """Lay a hot-air balloon on light; its middle is (cx, cy)."""
    radius, top = size * 0.38, cy - size * 0.12
    mask, lit, _ = solid(x, y, cx, top, (radius, radius), SUN)
    gores = np.cos(np.arcsin(np.clip((x - cx) / radius, -1, 1)) * 6) > 0
    skin = mix(tone, colour("#f4efe4"), gores * 0.9 + 0 * y) * lit[..., None]
    light = mix(light, skin, mask)
    neck = bar(x - cx, -radius * 0.3, radius * 0.3) * bar(y - top, radius * 0.85, radius * 1.35)
    basket = bar(x - cx, -radius * 0.24, radius * 0.24) * bar(y - top, radius * 1.36, radius * 1.75)
    light = mix(mix(light, tone * 0.5, neck), colour("#3a2615"), basket)
    return light, np.clip(mask + neck + basket, 0, 1)


def tree(rng, light, x, y, cx: float, base: float, size: float, tone) -> Laid:
    """Lay a tree on light."""
    columns = slice(*np.searchsorted(x[0], (cx - 0.6 * size, cx + 0.6 * size)))
    rows = slice(*np.searchsorted(y[:, 0], (base - 1.3 * size, base + 0.02)))
    x, y = x[:, columns], y[rows]
    light, mask = light.copy(), np.zeros(light.shape[:2], np.float32)
    if not x.size or not y.size:
        return light, mask
    height, width = y.shape[0], x.shape[1]
    trunk = bar(x - cx, -size * 0.045, size * 0.045) * bar(y, base - size * 0.65, base)
    ragged = 0.07 * size * noise(rng, height, width, (4, 4))
    distance = np.hypot((x - cx) / 0.85, y - (base - size * 0.66)) + ragged
    crown = smooth(distance, size * 0.36, size * 0.31)
    shade = 0.5 + 0.6 * smooth(cx - x + base - size * 0.66 - y, -size * 0.4, size * 0.4)
    leaves = grain(rng, tone * shade[..., None], 0.3, (1.5, 1.5))
    part = mix(light[rows, columns], colour("#2b2018"), trunk)
    light[rows, columns] = mix(part, leaves, crown)
    mask[rows, columns] = np.clip(trunk + crown, 0, 1)
    return light, mask


def boat(light, x, y, cx: float, base: float, size: float, tone) -> Laid:
    """Lay a sailing boat on light."""
    dx, up = (x - cx) / size, (base - y) / size
    hull = smooth(np.abs(dx), 0.41 + 0.25 * up, 0.35 + 0.25 * up) * bar(up, -0.02, 0.16, 0.02)
    left = smooth(-dx, 0.36 * (0.98 - up), 0.33 * (0.98 - up)) * (dx < -0.02)
    right = smooth(dx, 0.26 * (0.86 - up), 0.23 * (0.86 - up)) * (dx > 0.02) * (up < 0.85)
    sails = np.clip(left + right, 0, 1) * smooth(up, 0.17, 0.2) * (up < 0.97)
    light = mix(light, tone, hull)
    light = mix(light, colour("#f5f1e6") * (0.75 + 0.25 * (dx < 0) + 0 * up)[..., None], sails)
    return light, np.clip(hull + sails, 0, 1)


def bird(light, x, y, cx: float, cy: float, size: float, tone) -> Laid:
    """Lay a bird with spread wings on light; its middle is (cx, cy), its wings span 2 sizes."""
    dx, dy = (x - cx) / size, (y - cy) / size
    wing = 0.28 * np.abs(np.sin(np.clip(np.abs(dx), 0, 1) * np.pi * 0.8))
    thick = 0.13 * (1.05 - np.abs(dx))
    wings = smooth(np.abs(dy + wing - 0.1), thick, thick * 0.6) * (np.abs(dx) < 1)
    body = smooth(np.hypot(dx / 0.17, dy / 0.36), 1.1, 0.9)
    mask = np.clip(wings + body, 0, 1)
    return mix(light, tone, mask), mask


def kite(light, x, y, cx: float, cy: float, size: float, tone) -> Laid:
    """Lay a kite on light: a rhomb with a cross and a tail; its middle is (cx, cy)."""
    dx, dy = (x - cx) / size, (y - cy) / size
    mask = smooth(np.abs(dx) / 0.42 + np.abs(dy) / 0.6, 1.05, 0.95)
    tail = smooth(np.abs(dx - 0.08 * np.sin(dy * 14)), 0.05, 0.03) * bar(dy, 0.55, 1.0)
    light = mix(light, tone * 0.6, tail)
    light = mix(light, tone * (0.75 + 0.35 * (dx * dy > 0))[..., None], mask)
    return light, np.clip(mask + tail, 0, 1)


def lighthouse(light, x, y, cx: float, base: float, size: float, tone) -> Laid:
    """Lay a striped lighthouse on light."""
    dx, up = (x - cx) / size, (base - y) / size
    half = 0.13 - 0.05 * np.clip(up, 0, 1)
    tower = smooth(np.abs(dx), half + 0.012, half - 0.012) * bar(up, 0.0, 0.8, 0.01)
    stripes = (np.floor(up * 6) % 2 == 0) + 0 * dx
    shade = (0.65 + 0.35 * smooth(-dx, -0.1, 0.1))[..., None]
    light = mix(light, mix(colour("#f2efe8"), tone, stripes) * shade, tower)
    room = bar(dx, -0.06, 0.06, 0.01) * bar(up, 0.8, 0.9, 0.01)
    roof = smooth(np.abs(dx), 0.1 * (1.0 - up) / 0.1, 0.09 * (1 - up) / 0.1) * bar(up, 0.9, 0.99)
    light = mix(mix(light, colour("#ffe9a0"), room), colour("#5a1f1a"), roof)
    return light, np.clip(tower + room + roof, 0, 1)


def bloom(rng, light, x, y, cx: float, cy: float, size: float, tone) -> Laid:
    """Lay a flower with petals on light; its middle is (cx, cy), its diameter the size."""
    radius, petals = size / 2, int(rng.integers(6, 11))
    dx, dy = x - cx, y - cy
    distance, angle = np.hypot(dx, dy), np.arctan2(dy, dx) + rng.uniform(0, 6)
    wave = 0.8 + 0.2 * np.cos(petals * angle)
    mask = smooth(distance / radius, wave + 0.04, wave - 0.04)
    vein = 0.75 + 0.25 * np.cos(petals * angle) - 0.25 * np.cos(5 * petals * angle) * 0.3
    light_on = (vein * (0.7 + 0.5 * np.clip(distance / radius, 0, 1)))[..., None]
    light = mix(light, tone * light_on, mask)
    heart = disc(x, y, cx, cy, radius * 0.28)
    seeds = grain(rng, colour("#6b4a12") + np.zeros_like(light), 0.4)
    return mix(light, seeds, heart), mask


def figure(light, x, y, cx: float, base: float, size: float, tone) -> Laid:
    """Lay a standing person on light."""
    dx, up = (x - cx) / size, (base - y) / size
    head = smooth(np.hypot(dx / 0.085, (up - 0.9) / 0.1), 1.15, 0.85)
    body = smooth(np.abs(dx), 0.17, 0.13) * bar(up, 0.42, 0.8, 0.02)
    legs = smooth(np.abs(np.abs(dx) - 0.07), 0.065, 0.04) * bar(up, 0.0, 0.45, 0.01)
    light = mix(light, colour("#2a2c38"), legs)
    light = mix(mix(light, tone, body), colour("#c99a78"), head)
    return light, np.clip(head + body + legs, 0, 1)
