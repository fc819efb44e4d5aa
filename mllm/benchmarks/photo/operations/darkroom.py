"""What is done to a finished picture. Arrays are sRGB values from 0 to 1."""

import io

import numpy as np
from PIL import Image
from scipy import ndimage

from mllm.benchmarks.photo.draw.canvas import blurred, smooth
from mllm.benchmarks.photo.frame import Frame, luminance
from mllm.benchmarks.photo.operations.base import operation


def enhance(frame: Frame, *, radius: float, amount: float) -> Frame:
    """Sharpen with an unsharp mask, or smear where the amount is below 0.

    Args:
      radius: of the mask, in thousandths of the longer side.
    """
    if amount == 0:
        return frame
    soft = blurred(frame.light, radius / 1000 * frame.long)
    return frame.lit(np.clip(frame.light + amount * (frame.light - soft), 0, 1))


def degrade(frame: Frame, *, kind: str) -> Frame:
    """Store a picture badly.

    Args:
      kind: "blocks" (strong JPEG compression), "bands" (few tones), "pixels" (low resolution) or
        "clean".
    """
    light = frame.light
    if kind == "blocks":
        stream = io.BytesIO()
        Image.fromarray(np.round(light * 255).astype(np.uint8)).save(stream, "JPEG", quality=4)
        with Image.open(stream) as image:
            return frame.lit(np.asarray(image.convert("RGB"), np.float32) / 255)
    if kind == "bands":
        return frame.lit(np.floor(np.clip(light, 0, 0.999) * 4) / 3)
    if kind == "pixels":
        side = max(2, round(frame.long / 19))
        height, width = frame.shape
        rows = np.minimum(np.arange(height) // side * side + side // 2, height - 1)
        columns = np.minimum(np.arange(width) // side * side + side // 2, width - 1)
        return frame.lit(blurred(light, side / 3)[rows[:, None], columns[None]])
    return frame


def dodge(frame: Frame, *, subject: float, surroundings: float) -> Frame:
    """Dodge (above 0) or burn (below 0) the subject or what surrounds it, in stops of sRGB."""
    mask = blurred(frame.subject, 0.015 * frame.long)[..., None]
    stops = subject * mask + surroundings * (1 - mask)
    return frame.lit(np.clip(frame.light * 2.0**stops, 0, 1))


def retouch(frame: Frame, *, right: float, down: float) -> Frame:
    """Smudge a disc with a healing brush, which also takes the wrong tone.

    Args:
      right, down: of its middle, fractions of the picture.
    """
    height, width = frame.shape
    x = (np.arange(width, dtype=np.float32)[None] + 0.5) - right * width
    y = (np.arange(height, dtype=np.float32)[:, None] + 0.5) - down * height
    radius = 0.19 * min(height, width)
    mask = smooth(np.hypot(x, y), radius * 1.05, radius * 0.95)[..., None]
    patch = blurred(frame.light, 0.05 * frame.long)
    patch = 0.75 * patch + 0.25 * (patch.mean((0, 1)) < 0.5)
    return frame.lit(frame.light + (patch - frame.light) * mask)


def stylise(frame: Frame, *, kind: str) -> Frame:
    """Apply an effect.

    Args:
      kind: "sketch" (dark edges on white), "mosaic" (large tiles with joints), "double" (a second
        exposure, upside down and shifted, over the first) or "none".
    """
    light = frame.light
    if kind == "sketch":
        luma = luminance(light)
        edges = np.hypot(ndimage.sobel(luma, 0), ndimage.sobel(luma, 1))
        return frame.lit(np.repeat(np.clip(1 - 1.6 * edges, 0, 1)[..., None], 3, 2))
    if kind == "mosaic":
        side = max(4, round(frame.long / 12))
        height, width = frame.shape
        rows, columns = np.arange(height), np.arange(width)
        middle = blurred(light, side / 3)[
            np.minimum(rows // side * side + side // 2, height - 1)[:, None],
            np.minimum(columns // side * side + side // 2, width - 1)[None],
        ]
        joints = (rows % side == 0)[:, None] | (columns % side == 0)[None]
        return frame.lit(middle * (1 - 0.85 * joints)[..., None])
    if kind == "double":
        height, width = frame.shape
        second = np.roll(light[::-1, ::-1], (height // 4, width // 3), (0, 1))
        return frame.lit(0.5 * light + 0.5 * second)
    return frame


OPERATIONS = (
    operation(
        "detail",
        "finish",
        {
            "smeared": {"radius": 22, "amount": -0.95},
            "natural": {"radius": 10, "amount": 0.0},
            "crisp": {"radius": 10, "amount": 3.0},
            "haloed": {"radius": 40, "amount": 3.5},
        },
        enhance,
        touches="detail",
        needs="texture",
    ),
    operation(
        "quality",
        "finish",
        {
            "clean": {"kind": "clean"},
            "blocks": {"kind": "blocks"},
            "bands": {"kind": "bands"},
            "pixels": {"kind": "pixels"},
        },
        degrade,
        touches="detail tone",
        needs="texture",
    ),
    operation(
        "dodging",
        "tone",
        {
            "subject dodged": {"subject": 1.5, "surroundings": 0.0},
            "subject burned": {"subject": -3.0, "surroundings": 0.0},
            "surroundings burned": {"subject": 0.0, "surroundings": -2.6},
            "none": {"subject": 0.0, "surroundings": 0.0},
        },
        dodge,
        touches="local tone light",
        needs="subject",
    ),
    operation(
        "retouching",
        "finish",
        {
            "upper left": {"right": 0.25, "down": 0.27},
            "upper right": {"right": 0.75, "down": 0.27},
            "lower left": {"right": 0.25, "down": 0.73},
            "lower right": {"right": 0.75, "down": 0.73},
        },
        retouch,
        touches="local detail",
    ),
    operation(
        "effects",
        "finish",
        {
            "sketch": {"kind": "sketch"},
            "mosaic": {"kind": "mosaic"},
            "double": {"kind": "double"},
            "none": {"kind": "none"},
        },
        stylise,
        touches="detail colour tone edges local light",
        needs="texture",
    ),
)
