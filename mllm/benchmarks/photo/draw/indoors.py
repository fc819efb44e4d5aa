"""Things on a table."""

import numpy as np

from mllm.benchmarks.photo.draw.canvas import blurred, colour, grid, mix, noise, smooth
from mllm.benchmarks.photo.draw.parts import Layout, grain, sphere
from mllm.benchmarks.photo.frame import Frame

WALLS = ("#7d8791", "#8d7f74", "#6f7f78", "#93897c", "#74707f")
TABLES = ("#7a4f2c", "#8f6a45", "#5f4634", "#a08768")
FRUIT = ("#c8281e", "#e08a1a", "#6f9a2a", "#d8b52a", "#7a2a52")


def still_life(rng: np.random.Generator, height: int, width: int, layout: Layout) -> Frame:
    """Draw fruit on a table before a wall."""
    x, y = grid(height, width)
    across = width / height
    edge = rng.uniform(0.5, 0.62)
    wall = colour(rng.choice(WALLS)) * (0.75 + 0.1 * noise(rng, height, width, (1, 1)))[..., None]
    near = np.clip((y - edge) / (1 - edge), 0, 1) + 0 * x
    table = grain(rng, colour(rng.choice(TABLES)) * (0.8 + 0.3 * near[..., None]), 0.18, (0.1, 1.5))
    light = mix(wall, table, smooth(y - edge, -0.004, 0.004) + 0 * x)
    depth = np.where(y + 0 * x > edge, 0.75 * (1 - near), 1).astype(np.float32)
    toward = layout.get("light_direction", "toward", (rng.choice([-0.7, 0.7]), 0.7, 0.6))
    size = layout.get("extent", "size", rng.uniform(0.3, 0.4))
    fx = layout.get("placement", "x", rng.uniform(0.3, 0.7))
    fy = layout.get("placement", "y", rng.uniform(0.55, 0.65))
    subject = np.zeros((height, width), np.float32)
    others = [
        (fx + side * rng.uniform(0.22, 0.3), fy - rng.uniform(0.0, 0.06), size * 0.55, 0.6)
        for side in (-1, 1)
    ]
    for place, (px, py, extent, away) in enumerate([*others, (fx, fy, size, 0.3)]):
        radius = extent / 2
        cast = smooth(
            np.hypot(
                (x - px * across + toward[0] * radius * 0.9) / 1.5, (y - py - radius * 0.85) / 0.45
            ),
            radius * 1.05,
            radius * 0.7,
        )
        light = light * (1 - 0.6 * cast * (y + 0 * x > edge))[..., None]
        mask, shading, shine = sphere(x, y, px * across, py, radius, toward)
        tone = colour(rng.choice(FRUIT))
        skin = grain(rng, tone * (0.16 + 0.95 * shading)[..., None], 0.06, (0.3, 0.3))
        light = mix(light, skin + 0.7 * shine[..., None], mask)
        depth = np.where(mask > 0.5, away, depth)
        if place == 2:
            subject = mask
    return Frame(light, subject, blurred(depth, 0.5))
