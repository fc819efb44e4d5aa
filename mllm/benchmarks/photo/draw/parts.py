"""Parts that several scenes share: skies, shaded solids, figures. All light is linear."""

from dataclasses import dataclass

import numpy as np

from mllm.benchmarks.photo.draw.canvas import colour, disc, mix, noise, smooth

# Zenith, horizon and sunlight of an hour.
HOURS = {
    "midday": ("#3f7fd0", "#c3dcf2", "#fff6e6"),
    "morning": ("#6d9fd6", "#f0dfc4", "#ffe9c4"),
    "overcast": ("#9aa7b4", "#d5dadd", "#e4e8ea"),
    "evening": ("#5d78b0", "#f4bd86", "#ffc98a"),
}


@dataclass(frozen=True)
class Layout:
    """What a scene is drawn to show, by the operation that sets it; the rest the scene draws."""

    parameters: dict[str, dict]

    def get(self, operation: str, key: str, otherwise):
        """Return a parameter of an operation, ``otherwise`` where it is not applied."""
        return self.parameters.get(operation, {}).get(key, otherwise)

    def has(self, operation: str) -> bool:
        """Whether the scene is drawn for an operation."""
        return operation in self.parameters


def sky(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, horizon: float, hour: str
) -> np.ndarray:
    """Return a sky with clouds, float32[H, W, 3]; y = horizon is where it is palest."""
    zenith, pale, sun = map(colour, HOURS[hour])
    height, width = y.shape[0], x.shape[1]
    down = np.clip(y / max(horizon, 0.25), 0, 1) ** 1.3 + 0 * x
    light = mix(zenith, pale, down)
    drawn = noise(rng, height, width, (0.5, 1.6)) + 0.3 * noise(rng, height, width, (0.2, 0.5))
    cloud = smooth(drawn, rng.uniform(0.1, 0.9), 2.2) * 0.85
    lit = sun * (0.78 + 0.16 * np.clip(noise(rng, height, width, (0.4, 1)), -1, 1)[..., None])
    return mix(light, lit, cloud)


def grain(rng: np.random.Generator, light: np.ndarray, amount: float, scale=(1, 1)) -> np.ndarray:
    """Return light with the texture of a rough surface."""
    height, width = light.shape[:2]
    rough = noise(rng, height, width, scale, fine=True)
    return light * np.clip(1 + amount * rough, 0.25, 2.2)[..., None]


def sphere(x, y, cx: float, cy: float, radius: float, toward, edge: float = 0.006):
    """Return the mask and the shading of a ball that is lit from a direction.

    Args:
      toward: the light's direction (right, up, to the camera), of any length.

    Returns:
      Mask float32[H, W]; Lambert shading [H, W] from 0 to 1; Blinn's highlight [H, W].
    """
    dx, dy = (x - cx) / radius, (cy - y) / radius
    squared = dx**2 + dy**2
    dz = np.sqrt(np.clip(1 - squared, 0, 1))
    to = np.asarray(toward, np.float32) / np.linalg.norm(toward)
    shading = np.clip(dx * to[0] + dy * to[1] + dz * to[2], 0, 1)
    half = to + np.array([0, 0, 1], np.float32)
    half = half / np.linalg.norm(half)
    shine = np.clip(dx * half[0] + dy * half[1] + dz * half[2], 0, 1) ** 40
    return disc(x, y, cx, cy, radius, edge), shading, shine


def balloon(rng: np.random.Generator, light, x, y, cx: float, cy: float, size: float, tone):
    """Lay a hot-air balloon on light; return light and its mask. size: height, picture = 1."""
    radius = size * 0.38
    top = cy - size * 0.12
    mask, shading, _ = sphere(x, y, cx, top, radius, (-0.5, 0.7, 0.7))
    gores = np.cos(np.arcsin(np.clip((x - cx) / radius, -1, 1)) * 6) > 0
    skin = mix(tone, colour("#f4efe4"), (gores * 0.9) + 0 * y) * (0.3 + 0.8 * shading)[..., None]
    light = mix(light, skin, mask)
    neck = smooth(np.abs(x - cx), radius * 0.35, radius * 0.25) * smooth(
        np.abs(y - top - radius * 1.1), radius * 0.28, radius * 0.2
    )
    basket = smooth(np.abs(x - cx), radius * 0.27, radius * 0.2) * smooth(
        np.abs(y - top - radius * 1.55), radius * 0.22, radius * 0.15
    )
    light = mix(light, tone * 0.5, neck)
    light = mix(light, colour("#3a2615"), basket)
    return light, np.clip(mask + neck + basket, 0, 1)


def tree(rng: np.random.Generator, light, x, y, cx: float, base: float, size: float, tone):
    """Lay a tree on light; return light and its mask. base: y of its foot. size: its height."""
    height, width = light.shape[:2]
    trunk = smooth(np.abs(x - cx), size * 0.05, size * 0.035) * smooth(y, base, base - 0.01)
    trunk = trunk * smooth(y, base - size * 0.7, base - size * 0.6)
    ragged = 0.16 * size * noise(rng, height, width, (0.3 * size + 0.1, 0.3 * size + 0.1))
    distance = np.hypot((x - cx) / 0.85, y - (base - size * 0.66)) + ragged * 0.5
    crown = smooth(distance, size * 0.36, size * 0.32)
    shade = 0.55 + 0.5 * smooth(-(x - cx) - (y - base + size * 0.66), -size * 0.4, size * 0.4)
    leaves = tone * shade[..., None]
    light = mix(light, colour("#2b2018"), trunk)
    return mix(light, grain(rng, leaves, 0.35, (0.5, 0.5)), crown), np.clip(trunk + crown, 0, 1)


def boat(light, x, y, cx: float, base: float, size: float, tone):
    """Lay a sailing boat on light; return light and its mask. size: its height."""
    dx, up = (x - cx) / size, (base - y) / size
    hull = smooth(np.abs(dx), 0.40 + 0.25 * up, 0.36 + 0.25 * up) * smooth(
        np.abs(up - 0.06), 0.1, 0.07
    )
    left = smooth(-dx, 0.36 * (0.98 - up), 0.34 * (0.98 - up)) * (dx < -0.02)
    right = smooth(dx, 0.26 * (0.86 - up), 0.24 * (0.86 - up)) * (dx > 0.02)
    sails = np.clip(left + right, 0, 1) * smooth(up, 0.17, 0.2) * (up < 0.97)
    light = mix(light, tone, hull + 0 * sails)
    light = mix(light, colour("#f5f1e6") * (0.75 + 0.25 * (dx < 0))[..., None], sails + 0 * hull)
    return light, np.clip(hull + sails, 0, 1)
