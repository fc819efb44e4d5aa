"""Open country: mountains over fields, and the sea."""

import numpy as np

from mllm.benchmarks.photo.draw.canvas import colour, curve, disc, grid, mix, noise, smooth
from mllm.benchmarks.photo.draw.parts import HOURS, Layout, balloon, boat, grain, sky, tree
from mllm.benchmarks.photo.frame import Frame

FIELDS = ("#5f7d33", "#8a8a3c", "#6f8f45", "#a08a4a", "#b79a55")
ROCKS = ("#4c5a4a", "#4f5666", "#5a5048", "#3f5750")
GAY = ("#d8352a", "#e8a21c", "#2b59c3", "#8b2fa8", "#d14a86", "#1f8f7a")


def landscape(rng: np.random.Generator, height: int, width: int, layout: Layout) -> Frame:
    """Draw mountains, a field and a balloon or a tree."""
    x, y = grid(height, width)
    across = width / height
    hour = str(rng.choice(list(HOURS)))
    horizon = layout.get("horizon", "y", rng.uniform(0.45, 0.6))
    light = sky(rng, x, y, horizon, hour)
    depth = np.ones((height, width), np.float32)
    pale = colour(HOURS[hour][1])
    ridges = layout.get("ridges", "count", int(rng.integers(1, 4)))
    rise = min(0.2, 0.55 * horizon)
    for number in range(ridges):
        far = 1 - number / max(ridges, 2)
        line = horizon - rise * far * (0.6 if number else 0.75)
        line = line - 0.05 * rise / 0.2 * curve(rng, width, height, 1 + number)
        mask = smooth(y - line[None], -0.006, 0.006)
        stone = grain(rng, colour(rng.choice(ROCKS)) + 0 * mask[..., None], 0.25)
        light = mix(light, stone * (1 - 0.7 * far) + pale * 0.7 * far, mask)
        depth = np.where(mask > 0.5, 0.95 - 0.35 * (1 - far), depth)
    ground = smooth(y - horizon, -0.004, 0.004) + 0 * x
    near = np.clip((y - horizon) / max(1 - horizon, 0.1), 0, 1)
    field = grain(rng, colour(rng.choice(FIELDS)) * (0.8 + 0.3 * near[..., None]), 0.3, (0.25, 0.8))
    light = mix(light, field + 0 * light, ground)
    depth = np.where(ground > 0.5, 0.6 * (1 - near) ** 1.5 + 0 * x, depth)
    tone = colour(rng.choice(GAY))
    size = layout.get("extent", "size", rng.uniform(0.26, 0.34))
    fx = layout.get("placement", "x", rng.uniform(0.25, 0.75))
    if layout.has("placement") or rng.random() < 0.5:
        fy = layout.get("placement", "y", rng.uniform(0.3, 0.5))
        light, subject = balloon(rng, light, x, y, fx * across, fy, size, tone)
    else:
        base = horizon + 0.4 * (1 - horizon) if horizon < 0.8 else 0.97
        green = colour("#3f6a28")
        light, subject = tree(rng, light, x, y, fx * across, base, size * 1.3, green)
    depth = np.where(subject > 0.5, 0.35, depth)
    return Frame(light, subject, depth, facts={"horizon": float(horizon)})


def seascape(rng: np.random.Generator, height: int, width: int, layout: Layout) -> Frame:
    """Draw the sea with a boat, and the sun or the moon over it."""
    x, y = grid(height, width)
    across = width / height
    hour = str(rng.choice(list(HOURS)))
    horizon = layout.get("horizon", "y", rng.uniform(0.4, 0.6))
    light = sky(rng, x, y, horizon, hour)
    glow_x = rng.uniform(0.15, 0.85) * across
    glow = disc(x, y, glow_x, horizon * rng.uniform(0.25, 0.6), 0.045, 0.012)
    light = light + glow[..., None] * colour(HOURS[hour][2]) * 1.5
    near = np.clip((y - horizon) / max(1 - horizon, 0.1), 0, 1)
    waves = 0.22 * noise(rng, height, width, (0.05, 0.5), fine=True) * (0.5 + near)
    path = np.exp(-(((x - glow_x) / (0.05 + 0.2 * near)) ** 2)) * (0.4 + 0.6 * (waves > 0.05))
    water = mix(colour(HOURS[hour][0]) * 0.55, colour(HOURS[hour][1]) * 0.6, 1 - near + 0 * x)
    water = water * np.clip(1 + waves, 0.3, 2)[..., None]
    water = water + (0.5 * path)[..., None] * colour(HOURS[hour][2])
    sea = smooth(y - horizon, -0.004, 0.004) + 0 * x
    light = mix(light, water, sea)
    depth = np.where(sea > 0.5, 0.8 * (1 - near) ** 1.5 + 0 * x, 1).astype(np.float32)
    size = layout.get("extent", "size", rng.uniform(0.26, 0.36))
    fx = layout.get("placement", "x", rng.uniform(0.25, 0.75))
    base = min(horizon + 0.12 + 0.2 * (1 - horizon), 0.97)
    light, subject = boat(light, x, y, fx * across, base, size, colour(rng.choice(GAY)))
    depth = np.where(subject > 0.5, 0.4, depth)
    return Frame(light, subject, depth, facts={"horizon": float(horizon)})
