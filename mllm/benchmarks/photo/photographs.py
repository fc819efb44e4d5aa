"""Photographs of installed packages. Their files are read; the packages are not imported."""

import io
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from mllm.benchmarks.photo.draw.canvas import smooth, to_linear
from mllm.benchmarks.photo.frame import Frame
from mllm.files import require_file

PACKAGE = "scikit-image"


@dataclass(frozen=True)
class Photograph:
    """A photograph of a package.

    Attributes:
      file: below the package's folder of data.
      title: what it shows, after "A photo of".
      split: that its pictures belong to.
      box: left, top, right and bottom of its subject, fractions of the picture; None without one.
      licence: of the photograph.
      depth: file with the disparity of each pixel, from which its depth follows; "" without one.
    """

    file: str
    title: str
    split: str
    box: tuple[float, float, float, float] | None
    licence: str
    depth: str = ""

    @property
    def aspect(self) -> float:
        """Width over height of the whole photograph."""
        with Image.open(require_file(folder() / self.file)) as image:
            return image.width / image.height


PHOTOGRAPHS: dict[str, Photograph] = {
    "astronaut": Photograph(
        "astronaut.png", "an astronaut", "train", (0.05, 0.02, 0.72, 1.0),
        "public domain (NASA)",
    ),
    "coffee": Photograph(
        "coffee.png", "a cup of coffee", "train", (0.12, 0.02, 0.8, 0.96),
        "CC0 1.0 (Rachel Michetti)",
    ),
    "rocket": Photograph(
        "rocket.jpg", "a rocket", "validation", (0.42, 0.25, 0.6, 1.0), "CC0 1.0 (SpaceX)"
    ),
    "chelsea": Photograph(
        "chelsea.png", "a cat", "test", (0.02, 0.0, 0.85, 0.96), "CC0 1.0 (Stefan van der Walt)"
    ),
    "motorcycle": Photograph(
        "motorcycle_left.png", "a motorcycle", "test", (0.12, 0.1, 0.92, 0.9),
        "CC0 1.0 (Daniel Scharstein et al., Middlebury 2014)", "motorcycle_disp.npz",
    ),
}  # fmt: skip


def folder() -> Path:
    """Return the folder with the photographs.

    Raises:
      FileNotFoundError: the package is not installed.
    """
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            f"package {PACKAGE}: not installed; its photographs are part of this data set: "
            "pip install -r requirements.txt"
        )
    return Path(spec.origin).parent / "data"


@cache
def pixels(name: str) -> np.ndarray:
    """Return a photograph as linear light float32[H, W, 3]."""
    data = require_file(folder() / PHOTOGRAPHS[name].file).read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        return to_linear(np.asarray(image.convert("RGB"), np.float32) / 255)


@cache
def depth(name: str) -> np.ndarray | None:
    """Return the depth of a photograph from its disparity, float32[H, W], 0 near to 1 far."""
    if not (file := PHOTOGRAPHS[name].depth):
        return None
    with np.load(require_file(folder() / file), allow_pickle=False) as arrays:
        disparity = np.asarray(arrays["arr_0"], np.float32)
    known = np.isfinite(disparity)
    disparity = np.where(known, disparity, np.median(disparity[known]))
    near, far = np.percentile(disparity, (98, 2))
    return np.clip((near - disparity) / (near - far), 0, 1)


def photograph(name: str, box: tuple[float, float, float, float], height: int, width: int) -> Frame:
    """Return a part of a photograph as a frame.

    Args:
      box: left, top, right and bottom of the part, fractions of the photograph.
      height, width: of the frame, in pixels.
    """
    whole = pixels(name)
    rows, columns = whole.shape[:2]
    edges = (box[0] * columns, box[1] * rows, box[2] * columns, box[3] * rows)

    def part(channel: np.ndarray) -> np.ndarray:
        image = Image.fromarray(channel.astype(np.float32))
        return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC, edges))

    light = np.clip(np.stack([part(whole[..., k]) for k in range(3)], 2), 0, None)
    distance = depth(name)
    about = PHOTOGRAPHS[name]
    subject = None
    if about.box is not None:
        x = (np.arange(width) + 0.5) / width * (box[2] - box[0]) + box[0]
        y = (np.arange(height) + 0.5) / height * (box[3] - box[1]) + box[1]
        left, top, right, bottom = about.box
        across = (x - (left + right) / 2) / (right - left) * 2
        down = (y - (top + bottom) / 2) / (bottom - top) * 2
        subject = smooth(np.hypot(across[None], down[:, None]), 1.08, 0.92).astype(np.float32)
    return Frame(light, subject, None if distance is None else part(distance))
