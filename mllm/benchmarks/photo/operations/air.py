"""What lies between the camera and the scene: weather, haze, filters, things at the edge."""

import numpy as np

from mllm.benchmarks.photo.draw.canvas import blurred, generator, noise, smooth
from mllm.benchmarks.photo.frame import Frame
from mllm.benchmarks.photo.operations.base import operation, seed


def haze(frame: Frame, *, veil: float) -> Frame:
    """Lay a bluish grey veil over sRGB values, or take away more of it than there is.

    Args:
      veil: how much of the picture is veil; below 0, contrast and saturation beyond nature.
    """
    if veil >= 0:
        grey = np.array([0.74, 0.78, 0.82], np.float32)
        return frame.lit(frame.light * (1 - veil) + grey * veil)
    dark = frame.light.min(2, keepdims=True)
    cleared = (frame.light - 0.9 * -veil * dark) / (1 - 0.35 * -veil) - 0.06 * -veil
    return frame.lit(np.clip(cleared, 0, 1))


def weather(frame: Frame, *, kind: str, seed: int) -> Frame:
    """Let the weather into the picture: "clear", "fog", "rain" or "snow"."""
    height, width = frame.shape
    rng = np.random.default_rng(seed)
    if kind == "fog":
        drift = noise(generator("fog", seed), height, width, (2, 4))
        veil = np.clip(0.72 + 0.12 * drift, 0.5, 0.95)[..., None]
        return frame.lit(frame.light * (1 - veil) + 0.62 * veil)
    if kind == "rain":
        drops = (rng.random((height, width)) < 0.006).astype(np.float32)
        streaks = np.zeros_like(drops)
        for step in range(round(0.1 * frame.long)):
            streaks += np.roll(drops, (step, step // 4), (0, 1))
        light = frame.light * 0.5 + 0.04
        return frame.lit(light + 0.5 * np.clip(streaks, 0, 1)[..., None])
    if kind == "snow":
        flakes = (rng.random((height, width)) < 0.007).astype(np.float32)
        sigma = 0.007 * frame.long
        flakes = np.clip(blurred(flakes, sigma) * 2 * np.pi * sigma**2 * 1.6, 0, 1)[..., None]
        return frame.lit((frame.light * 0.85 + 0.1) * (1 - flakes) + 1.0 * flakes)
    return frame


def filtered(frame: Frame, *, kind: str) -> Frame:
    """Put a filter before the lens.

    Args:
      kind: "graduated" darkens the upper half; "diffusion" spreads the light; "red" passes red
        light only; "none".
    """
    if kind == "graduated":
        height = frame.shape[0]
        down = (np.arange(height, dtype=np.float32) + 0.5) / height
        return frame.lit(frame.light * (0.06 + 0.94 * smooth(down, 0.35, 0.62))[:, None, None])
    if kind == "diffusion":
        soft = blurred(frame.light, 0.035 * frame.long)
        return frame.lit(1.15 * soft + 0.12 * frame.light + 0.05)
    if kind == "red":
        return frame.lit(frame.light * np.array([1.1, 0.12, 0.08], np.float32))
    return frame


def intrude(frame: Frame, *, side: str, seed: int) -> Frame:
    """Let something out of focus come into the picture from one side.

    Args:
      side: "left", "right", "top", "bottom" or "none". seed: of its place and colour.
    """
    if side == "none":
        return frame
    rng = np.random.default_rng(seed)
    height, width = frame.shape
    down = (np.arange(height, dtype=np.float32)[:, None] + 0.5) / height
    right = (np.arange(width, dtype=np.float32)[None] + 0.5) / width
    along, into = {
        "left": (down, right),
        "right": (down, 1 - right),
        "top": (right, down),
        "bottom": (right, 1 - down),
    }[side]
    place, wide = rng.uniform(0.3, 0.7), rng.uniform(0.2, 0.26)
    mask = smooth(np.hypot((along - place) / wide, into / 0.34), 1.15, 0.8)[..., None]
    tone = np.array([[0.75, 0.25, 0.16], [0.015, 0.012, 0.01]][int(rng.integers(2))], np.float32)
    return frame.lit(frame.light * (1 - mask) + tone * mask)


OPERATIONS = (
    operation(
        "weather",
        "light",
        {
            "clear": {"kind": "clear"},
            "fog": {"kind": "fog"},
            "rain": {"kind": "rain"},
            "snow": {"kind": "snow"},
        },
        weather,
        touches="air tone detail",
        draw=seed,
    ),
    operation(
        "haze",
        "tone",
        {
            "dense": {"veil": 0.72},
            "light": {"veil": 0.36},
            "none": {"veil": 0.0},
            "overdone": {"veil": -1.0},
        },
        haze,
        touches="air tone colour",
    ),
    operation(
        "filter",
        "light",
        {
            "graduated": {"kind": "graduated"},
            "diffusion": {"kind": "diffusion"},
            "red": {"kind": "red"},
            "none": {"kind": "none"},
        },
        filtered,
        touches="tone colour detail",
    ),
    operation(
        "distraction",
        "light",
        {
            "left": {"side": "left"},
            "right": {"side": "right"},
            "top": {"side": "top"},
            "bottom": {"side": "bottom"},
            "none": {"side": "none"},
        },
        intrude,
        touches="edges local",
        draw=seed,
    ),
)
