"""What a lens does to a picture, and how the camera is held.

Places are measured from the middle of the picture; a corner is 1 away.
"""

import numpy as np

from mllm.benchmarks.photo.draw.canvas import blurred, smooth
from mllm.benchmarks.photo.frame import Frame
from mllm.benchmarks.photo.operations.base import operation, seed


def tilt(frame: Frame, *, degrees: float, zoom: float) -> Frame:
    """Turn the picture anticlockwise, and crop the edges off.

    Args:
      degrees: of the turn. zoom: how much is cropped, the same for all settings.
    """
    y, x = frame.places()
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return frame.at((y * cos + x * sin) / zoom, (x * cos - y * sin) / zoom)


def keystone(frame: Frame, *, vertical: float, horizontal: float) -> Frame:
    """Tip the camera, so that parallel lines converge: a homography about the middle.

    Args:
      vertical: above 0, upright lines converge towards the top; below 0, towards the bottom.
      horizontal: above 0, level lines converge towards the right; below 0, towards the left.
    """
    y, x = frame.places()
    scale = 1 / (1 + vertical * y - horizontal * x)
    return frame.at(y * scale / scale.max(), x * scale / scale.max())


def distort(frame: Frame, *, second: float, fourth: float) -> Frame:
    """Read the picture at r (1 + second r² + fourth r⁴), scaled so that nothing outside is seen.

    Barrel distortion has second above 0, pincushion distortion below 0.
    """
    y, x = frame.places()
    squared = y**2 + x**2
    factor = 1 + second * squared + fourth * squared**2
    radii = np.linspace(0.02, 1, 50)
    factor = factor / (1 + second * radii**2 + fourth * radii**4).max()
    return frame.at(y * factor, x * factor)


def fringe(frame: Frame, *, red: float, green: float, blue: float) -> Frame:
    """Enlarge the channels differently, in hundredths: lateral chromatic aberration."""
    y, x = frame.places()
    channels = []
    for k, amount in enumerate((red, green, blue)):
        one, scale = Frame(frame.light[..., k : k + 1]), 1 + amount / 100
        channels.append(one.at(y / scale, x / scale).light if amount else one.light)
    return frame.lit(np.concatenate(channels, 2))


def vignette(frame: Frame, *, corner: float) -> Frame:
    """Multiply light by 1 in the middle and by ``corner`` in the corners (second power)."""
    y, x = frame.places()
    return frame.lit(frame.light * (1 + (corner - 1) * (y**2 + x**2))[..., None])


def lens_type(frame: Frame, *, kind: str) -> Frame:
    """Take the picture with a special lens.

    Args:
      kind: "fisheye" bends lines and leaves black corners; "tilt-shift" is sharp along a narrow
        band alone; "swirl" blurs the edges round the middle, as a Petzval lens does; "ordinary".
    """
    y, x = frame.places()
    radius = np.hypot(y, x)
    if kind == "fisheye":
        short = min(frame.shape) / np.hypot(*frame.shape)
        inside = smooth(radius, short * 1.0, short * 0.96)
        scaled = np.clip(radius / short, 0, 1)
        factor = 0.72 * np.tan(scaled * 0.93) / np.clip(scaled, 1e-3, None) * np.ones_like(radius)
        bent = frame.at(y * factor, x * factor)
        return bent.lit(bent.light * inside[..., None])
    if kind == "tilt-shift":
        sharp = smooth(np.abs(y), 0.22, 0.08)[..., None]
        soft = blurred(frame.light, 0.03 * frame.long)
        return frame.lit(soft + (frame.light - soft) * sharp)
    if kind == "swirl":
        share = smooth(radius, 0.3, 0.6)[..., None]
        bare, turned = Frame(frame.light), []
        for angle in np.linspace(-0.28, 0.28, 9):
            cos, sin = np.cos(angle), np.sin(angle)
            turned.append(bare.at(y * cos - x * sin, x * cos + y * sin).light)
        return frame.lit(frame.light + (np.mean(turned, 0) - frame.light) * share)
    return frame


def flaw(frame: Frame, *, kind: str, seed: int) -> Frame:
    """Show one flaw of a lens.

    Args:
      kind: "fringes" (lateral chromatic aberration), "corners" (dark ones), "soft" (blurred
        edges), "dust" (dark specks) or "none".
      seed: of where dust lies.
    """
    if kind == "fringes":
        return fringe(frame, red=11, green=0, blue=-5)
    if kind == "corners":
        return vignette(frame, corner=0.02)
    y, x = frame.places()
    if kind == "soft":
        share = smooth(np.hypot(y, x), 0.25, 0.65)[..., None]
        return frame.lit(
            frame.light + (blurred(frame.light, 0.03 * frame.long) - frame.light) * share
        )
    if kind == "dust":
        rng = np.random.default_rng(seed)
        light = frame.light
        for _ in range(14):
            down, right = rng.uniform(-0.55, 0.55), rng.uniform(-0.75, 0.75)
            speck = smooth(np.hypot(y - down, x - right), 0.045, 0.025)
            light = light * (1 - 0.9 * speck)[..., None]
        return frame.lit(light)
    return frame


def effect(frame: Frame, *, kind: str, seed: int) -> Frame:
    """Show what bright light does in a lens.

    Args:
      kind: "flare" (a row of coloured ghosts), "star" (rays about a light), "glow" (light spills
        over everything) or "none".
      seed: of the place of the light.
    """
    rng = np.random.default_rng(seed)
    y, x = frame.places()
    down, right = rng.uniform(-0.4, -0.2), rng.uniform(0.3, 0.6) * rng.choice([-1, 1])
    if kind == "glow":
        return frame.lit(0.4 * frame.light + blurred(frame.light, 0.06 * frame.long) + 0.12)
    if kind == "none":
        return frame
    source = np.exp(-np.hypot(y - down, x - right) / 0.035)[..., None] * 6
    light = frame.light + source
    if kind == "star":
        angle = np.arctan2(y - down, x - right)
        away = np.hypot(y - down, x - right)
        rays = np.exp(-np.abs(np.sin(3 * angle)) * away * 55) * np.exp(-away / 0.2)
        return frame.lit(light + 2.5 * rays[..., None])
    tones = ((0.9, 0.35, 0.2), (0.25, 0.8, 0.3), (0.2, 0.35, 0.95), (0.8, 0.65, 0.15))
    for tone, place, size in zip(
        tones, (0.45, -0.1, -0.55, -1.0), (0.07, 0.11, 0.08, 0.15), strict=True
    ):
        ghost = smooth(np.hypot(y - place * down, x - place * right), size, size * 0.85)
        light = light + 0.55 * ghost[..., None] * np.asarray(tone, np.float32)
    return frame.lit(light)


def mirror(frame: Frame, *, axis: str) -> Frame:
    """Mirror the left half to the right, the upper half to the lower one, both, or neither."""

    def change(layers: np.ndarray) -> np.ndarray:
        height, width = layers.shape[:2]
        layers = layers.copy()
        if axis in ("left to right", "both"):
            layers[:, width - width // 2 :] = layers[:, : width // 2][:, ::-1]
        if axis in ("top to bottom", "both"):
            layers[height - height // 2 :] = layers[: height // 2][::-1]
        return layers

    return frame.each(change)


OPERATIONS = (
    operation(
        "tilt",
        "optics",
        {
            "strongly left": {"degrees": 14.0, "zoom": 1.35},
            "slightly left": {"degrees": 6.0, "zoom": 1.35},
            "level": {"degrees": 0.0, "zoom": 1.35},
            "slightly right": {"degrees": -6.0, "zoom": 1.35},
            "strongly right": {"degrees": -14.0, "zoom": 1.35},
        },
        tilt,
        touches="geometry",
        needs="horizon",
    ),
    operation(
        "keystone",
        "optics",
        {
            "top": {"vertical": 0.7, "horizontal": 0.0},
            "bottom": {"vertical": -0.7, "horizontal": 0.0},
            "left": {"vertical": 0.0, "horizontal": -0.5},
            "right": {"vertical": 0.0, "horizontal": 0.5},
        },
        keystone,
        touches="geometry place",
        needs="straight",
    ),
    operation(
        "distortion",
        "optics",
        {
            "barrel": {"second": 0.7, "fourth": 0.2},
            "pincushion": {"second": -0.45, "fourth": 0.05},
            "wavy": {"second": 1.6, "fourth": -1.9},
            "none": {"second": 0.0, "fourth": 0.0},
        },
        distort,
        touches="geometry place",
        needs="straight",
    ),
    operation(
        "mirror",
        "optics",
        {
            "left to right": {"axis": "left to right"},
            "top to bottom": {"axis": "top to bottom"},
            "both": {"axis": "both"},
            "neither": {"axis": "neither"},
        },
        mirror,
        touches="geometry place local background",
        needs="uneven",
    ),
    operation(
        "lens_type",
        "optics",
        {
            "fisheye": {"kind": "fisheye"},
            "tilt-shift": {"kind": "tilt-shift"},
            "swirl": {"kind": "swirl"},
            "ordinary": {"kind": "ordinary"},
        },
        lens_type,
        touches="geometry detail edges",
        needs="texture",
    ),
    operation(
        "chromatic",
        "optics",
        {
            "red and cyan": {"red": 13.0, "green": 0.0, "blue": 0.0},
            "blue and yellow": {"red": 0.0, "green": 0.0, "blue": 13.0},
            "green and magenta": {"red": 0.0, "green": 13.0, "blue": 0.0},
            "none": {"red": 0.0, "green": 0.0, "blue": 0.0},
        },
        fringe,
        touches="edges detail colour",
        needs="edges",
    ),
    operation(
        "vignette",
        "optics",
        {
            "black": {"corner": 0.0},
            "dark": {"corner": 0.42},
            "even": {"corner": 1.0},
            "bright": {"corner": 4.5},
        },
        vignette,
        touches="edges",
    ),
    operation(
        "lens_flaw",
        "optics",
        {
            "fringes": {"kind": "fringes"},
            "corners": {"kind": "corners"},
            "soft": {"kind": "soft"},
            "dust": {"kind": "dust"},
            "none": {"kind": "none"},
        },
        flaw,
        touches="edges detail",
        needs="edges",
        draw=seed,
    ),
    operation(
        "lens_effect",
        "optics",
        {
            "flare": {"kind": "flare"},
            "star": {"kind": "star"},
            "glow": {"kind": "glow"},
            "none": {"kind": "none"},
        },
        effect,
        touches="local edges",
        draw=seed,
    ),
)
