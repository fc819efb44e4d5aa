"""How a scene is lit. Lamps are (right, up, towards the camera, strength)."""

import numpy as np

from mllm.benchmarks.photo.draw.canvas import smooth
from mllm.benchmarks.photo.frame import Frame
from mllm.benchmarks.photo.operations.base import operation

WARM, COOL = (1.6, 0.9, 0.35), (0.4, 0.85, 1.7)


def one_sided(frame: Frame, *, dark: list[float], least: float) -> Frame:
    """Let the light fall off towards one side of the picture.

    Args:
      dark: (right, down) towards the dark side; (0, 0) for even light.
      least: the light at that side; it is 1 at the opposite side.
    """
    height, width = frame.shape
    right = (np.arange(width, dtype=np.float32)[None] + 0.5) / width * 2 - 1
    down = (np.arange(height, dtype=np.float32)[:, None] + 0.5) / height * 2 - 1
    share = (1 + dark[0] * right + dark[1] * down) / 2 if any(dark) else np.zeros(frame.shape)
    return frame.lit(frame.light * (least ** np.broadcast_to(share, frame.shape))[..., None])


def gels(frame: Frame, *, left: list[float], right: list[float]) -> Frame:
    """Light a scene from both sides in colours: gains of red, green and blue at each side."""
    width = frame.shape[1]
    share = smooth((np.arange(width, dtype=np.float32) + 0.5) / width, 0.15, 0.85)[:, None]
    gains = np.asarray(left) * (1 - share) + np.asarray(right) * share
    return frame.lit(frame.light * gains[None])


SIDE, OTHER = [-1.0, 0.35, 0.45], [1.0, 0.35, 0.45]

OPERATIONS = (
    operation(
        "light_direction",
        "scene",
        {
            "left": {"lamps": [[-1.0, 0.2, 0.25, 1.0]], "ambient": 0.06},
            "right": {"lamps": [[1.0, 0.2, 0.25, 1.0]], "ambient": 0.06},
            "above": {"lamps": [[0.0, 1.0, 0.15, 1.0]], "ambient": 0.06},
            "below": {"lamps": [[0.0, -1.0, 0.15, 1.0]], "ambient": 0.06},
            "front": {"lamps": [[0.0, 0.1, 1.0, 0.9]], "ambient": 0.06},
        },
        touches="light local",
        needs="light_direction",
    ),
    operation(
        "light_effect",
        "scene",
        {
            "silhouette": {"lamps": [], "ambient": 0.01, "backdrop": 1.5},
            "rim": {
                "lamps": [[-0.8, 0.3, -0.55, 2.2], [0.8, 0.3, -0.55, 2.2]],
                "ambient": 0.02,
                "backdrop": 0.12,
            },
            "spot": {"lamps": [[0.0, 0.4, 1.0, 0.9]], "ambient": 0.1, "spot": True},
            "even": {"lamps": [[0.0, 0.5, 1.0, 0.3]], "ambient": 0.65},
        },
        touches="light local background tone",
        needs="light_effect",
    ),
    operation(
        "lights",
        "scene",
        {
            "one side": {"lamps": [[*SIDE, 1.0]], "ambient": 0.03},
            "two sides": {
                "lamps": [[-1.0, 0.0, 0.05, 1.1], [1.0, 0.0, 0.05, 1.1]],
                "ambient": 0.02,
            },
            "top": {"lamps": [[0.0, 1.0, 0.1, 1.2]], "ambient": 0.03},
            "ring": {"lamps": [[0.0, 0.0, 1.0, 1.0]], "ambient": 0.05},
        },
        touches="light local",
        needs="lights",
    ),
    operation(
        "fill",
        "scene",
        {
            "none": {"lamps": [[*SIDE, 1.05]], "ambient": 0.0},
            "little": {"lamps": [[*SIDE, 0.85]], "ambient": 0.2},
            "much": {"lamps": [[*SIDE, 0.5]], "ambient": 0.5},
            "equal": {"lamps": [], "ambient": 0.95},
        },
        touches="light local tone",
        needs="fill",
    ),
    operation(
        "flash",
        "scene",
        {
            "none": {"lamps": [[0.2, 0.8, 0.6, 0.1]], "ambient": 0.16, "backdrop": 0.3},
            "direct": {
                "lamps": [[0.0, 0.05, 1.0, 1.25]],
                "ambient": 0.1,
                "backdrop": 0.3,
                "halo": 1,
            },
            "left": {"lamps": [[-1.0, 0.3, 0.3, 1.3]], "ambient": 0.05, "backdrop": 0.3},
            "right": {"lamps": [[1.0, 0.3, 0.3, 1.3]], "ambient": 0.05, "backdrop": 0.3},
        },
        touches="light local tone",
        needs="flash",
    ),
    operation(
        "cast_shadow",
        "scene",
        {
            "none": {"lean": 0.0, "length": 0.0},
            "short": {"lean": 0.15, "length": 0.3},
            "long left": {"lean": -2.2, "length": 0.55},
            "long right": {"lean": 2.2, "length": 0.55},
        },
        touches="light geometry",
        needs="cast_shadow",
    ),
    operation(
        "falloff",
        "light",
        {
            "left": {"dark": [-1, 0], "least": 0.05},
            "right": {"dark": [1, 0], "least": 0.05},
            "top": {"dark": [0, -1], "least": 0.05},
            "bottom": {"dark": [0, 1], "least": 0.05},
        },
        one_sided,
        touches="local light tone edges",
    ),
    operation(
        "gels",
        "light",
        {
            "warm left": {"left": list(WARM), "right": list(COOL)},
            "warm right": {"left": list(COOL), "right": list(WARM)},
            "warm": {"left": list(WARM), "right": list(WARM)},
            "cool": {"left": list(COOL), "right": list(COOL)},
        },
        gels,
        touches="colour local",
    ),
)
