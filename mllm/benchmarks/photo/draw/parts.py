"""Parts that several scenes share: skies, surfaces, shaded solids, lamps, backgrounds."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mllm.benchmarks.photo.draw.canvas import blurred, colour, disc, mix, noise, ramp, smooth

# Zenith, horizon and sunlight of an hour.
HOURS = {
    "midday": ("#3f7fd0", "#c3dcf2", "#fff6e6"),
    "morning": ("#6d9fd6", "#f0dfc4", "#ffe9c4"),
    "overcast": ("#9aa7b4", "#d5dadd", "#e4e8ea"),
    "evening": ("#5d78b0", "#f4bd86", "#ffc98a"),
}
GAY = ("#d8352a", "#e8a21c", "#2b59c3", "#8b2fa8", "#d14a86", "#1f8f7a")
WARM = ("#d8352a", "#e8801c", "#e8b21c", "#d14a56")
COOL = ("#2b59c3", "#1f8fa0", "#3aa0d8", "#5a4ac0")
MUTED = ("#7d8791", "#8d7f74", "#6f7f78", "#93897c", "#74707f")


@dataclass(frozen=True)
class Layout:
    """What a scene is drawn to show, by the operation that sets it; the rest the scene draws."""

    parameters: dict[str, dict[str, Any]]

    def get(self, operation: str, key: str, otherwise: Any) -> Any:
        """Return a parameter of an operation, ``otherwise`` where it is not applied."""
        return self.parameters.get(operation, {}).get(key, otherwise)

    def has(self, operation: str) -> bool:
        """Whether the scene is drawn for an operation."""
        return operation in self.parameters


def pick(rng: np.random.Generator, codes) -> np.ndarray:
    """Return one of several colours, a little lighter or darker."""
    return colour(str(rng.choice(codes))) * np.float32(rng.uniform(0.85, 1.15))


def sky(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, horizon: float, hour: str
) -> np.ndarray:
    """Return a sky with clouds, float32[H, W, 3]; y = horizon is where it is palest."""
    zenith, pale, sun = map(colour, HOURS[hour])
    height, width = y.shape[0], x.shape[1]
    light = ramp(zenith, pale, np.clip(y / max(horizon, 0.25), 0, 1) ** 1.3 + 0 * x)
    cloud = smooth(noise(rng, height, width, (1.2, 4)), rng.uniform(0.0, 1.0), 2.4)
    shade = 0.8 + 0.12 * np.clip(noise(rng, height, width, (1, 2)), -1.5, 1.5)
    return mix(light, sun * shade[..., None], cloud * 0.85)


def grain(rng: np.random.Generator, light: np.ndarray, amount: float, scale=(2, 2)) -> np.ndarray:
    """Return light with the texture of a rough surface."""
    height, width = light.shape[:2]
    rough = noise(rng, height, width, scale, fine=True)
    return light * np.clip(1 + amount * rough, 0.25, 2.2)[..., None]


@dataclass(frozen=True)
class Rig:
    """How a subject is lit.

    Attributes:
      lamps: (right, up, towards the camera, strength) of each lamp.
      ambient: light from everywhere.
      backdrop: how bright what lies behind the subject is.
      spot: whether a round spot of light falls on the subject alone.
    """

    lamps: tuple[tuple[float, float, float, float], ...]
    ambient: float = 0.2
    backdrop: float = 1.0
    spot: bool = False


RIGS = ("light_direction", "light_effect", "lights", "fill", "flash")  # operations that set one


def rig_of(rng: np.random.Generator, layout: Layout) -> Rig:
    """Return the rig that an operation asks for, else a lamp on one side."""
    for name in RIGS:
        if layout.has(name):
            asked = layout.parameters[name]
            lamps = tuple(tuple(lamp) for lamp in asked["lamps"])
            rest = {key: asked[key] for key in ("ambient", "backdrop", "spot") if key in asked}
            return Rig(lamps, **rest)
    return Rig(((float(rng.choice([-0.7, 0.7])), 0.6, 0.7, 0.85),), ambient=0.25)


def solid(x, y, cx: float, cy: float, radii: tuple[float, float], rig: Rig):
    """Return an ellipsoid that is lit by a rig.

    Args:
      radii: across and down, the picture's height being 1.

    Returns:
      Its mask; the light on it (Lambert, summed over lamps); and the highlights (Blinn), all
      float32[H, W].
    """
    dx, dy = (x - cx) / radii[0], (cy - y) / radii[1]
    squared = dx**2 + dy**2
    dz = np.sqrt(np.clip(1 - squared, 0, 1))
    lit = np.full(squared.shape, rig.ambient, np.float32)
    shine = np.zeros(squared.shape, np.float32)
    for *toward, strength in rig.lamps:
        to = np.asarray(toward) / np.linalg.norm(toward)
        half = to + np.array([0, 0, 1])
        half = half / max(np.linalg.norm(half), 1e-3)
        a, b, c = map(float, to)
        lit += strength * np.clip(dx * a + dy * b + dz * c, 0, None)
        a, b, c = map(float, half)
        shine += strength * np.clip(dx * a + dy * b + dz * c, 0, 1) ** 40 * (squared < 1)
    edge = 0.012 / min(radii)
    return smooth(np.sqrt(squared), 1 + edge, 1 - edge), lit, shine


BACKGROUNDS = ("plain", "busy", "soft", "black")


def background(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, treatment: str, tone: np.ndarray
) -> np.ndarray:
    """Return what lies behind a subject, float32[H, W, 3].

    Args:
      treatment: one of `BACKGROUNDS`. tone: its main colour.
    """
    height, width = y.shape[0], x.shape[1]
    if treatment == "black":
        return np.full((height, width, 3), 0.004, np.float32)
    shade = 0.8 + 0.25 * (1 - y) + 0.03 * noise(rng, height, width, (3, 3))
    light = tone * shade[..., None]
    if treatment == "plain":
        return light
    number = 26 if treatment == "busy" else 16
    for _ in range(number):
        cx, cy = rng.uniform(0, width / height), rng.uniform(0, 1)
        radius = rng.uniform(0.04, 0.1) if treatment == "busy" else rng.uniform(0.06, 0.14)
        paint = pick(rng, GAY + MUTED)
        tall = rng.uniform(0.5, 1.8) if treatment == "busy" else 1.0
        rows = slice(*np.searchsorted(y[:, 0], (cy - radius * tall, cy + radius * tall)))
        columns = slice(*np.searchsorted(x[0], (cx - radius, cx + radius)))
        if treatment == "busy":
            light[rows, columns] = paint
        else:
            mask = 0.55 * disc(x[:, columns], y[rows], cx, cy, radius * 0.98, radius * 0.1)
            light[rows, columns] = mix(light[rows, columns], paint, mask)
    return light if treatment == "busy" else blurred(light, 0.02 * height)
