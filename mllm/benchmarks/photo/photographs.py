"""Photographs of installed packages. Their files are read; the packages are not imported."""

import io
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from mllm.benchmarks.photo.draw.canvas import generator, smooth, to_linear
from mllm.benchmarks.photo.frame import Frame
from mllm.files import require_file
from mllm.registry import lookup

PACKAGE = "scikit-image"
LARGEST = 1024  # pixels: longer photographs are reduced
WALLPAPERS = Path("/usr/share/backgrounds")  # where Debian's packages of wallpapers put them
COLLECTIONS = {  # below it: title of the photographs and their licence
    "mate/nature": ("nature", "GPL-2.0-or-later (mate-backgrounds)"),
    "lomiri": ("a wallpaper", "CC BY 4.0 or CC BY-SA 4.0, by file (lomiri-wallpapers)"),
}


@dataclass(frozen=True)
class Photograph:
    """A photograph of a package.

    Attributes:
      file: below the package, or an absolute path where there is no package.
      title: what it shows, after "A photo of".
      split: that its pictures belong to.
      box: left, top, right and bottom of its subject, fractions of the picture; None without one.
      licence: of the photograph.
      depth: file with the disparity of each pixel, from which its depth follows; "" without one.
      package: to import it by; "" for a path.
    """

    file: str
    title: str
    split: str
    box: tuple[float, float, float, float] | None
    licence: str
    depth: str = ""
    package: str = "skimage"

    def path(self, file: str) -> Path:
        """Return the path of one of its files.

        Raises:
          FileNotFoundError: the package is not installed.
        """
        return require_file(_folder(self.package) / file if self.package else Path(file))

    @property
    def aspect(self) -> float:
        """Width over height of the whole photograph."""
        with Image.open(self.path(self.file)) as image:
            return image.width / image.height


PHOTOGRAPHS: dict[str, Photograph] = {
    "astronaut": Photograph(
        "data/astronaut.png", "an astronaut", "train", (0.05, 0.02, 0.72, 1.0),
        "public domain (NASA)",
    ),
    "coffee": Photograph(
        "data/coffee.png", "a cup of coffee", "train", (0.12, 0.02, 0.8, 0.96),
        "CC0 1.0 (Rachel Michetti)",
    ),
    "rocket": Photograph(
        "data/rocket.jpg", "a rocket", "validation", (0.42, 0.25, 0.6, 1.0), "CC0 1.0 (SpaceX)"
    ),
    "chelsea": Photograph(
        "data/chelsea.png", "a cat", "test", (0.02, 0.0, 0.85, 0.96),
        "CC0 1.0 (Stefan van der Walt)",
    ),
    "motorcycle": Photograph(
        "data/motorcycle_left.png", "a motorcycle", "test", (0.12, 0.1, 0.92, 0.9),
        "CC0 1.0 (Daniel Scharstein et al., Middlebury 2014)", "data/motorcycle_disp.npz",
    ),
}  # fmt: skip
SKLEARN = {
    "china": Photograph(
        "datasets/images/china.jpg", "a temple", "train", None,
        "CC BY 2.0 (M. Schiele)", package="sklearn",
    ),
    "flower": Photograph(
        "datasets/images/flower.jpg", "a flower", "test", (0.25, 0.1, 0.75, 0.9),
        "CC BY 2.0 (dany13)", package="sklearn",
    ),
}  # fmt: skip


@cache
def photographs(further: bool = False) -> dict[str, Photograph]:
    """Return the photographs that pictures are made from, by name.

    Args:
      further: whether those of scikit-learn and Debian's wallpapers count, as far as they are
        installed.
    """
    found = dict(PHOTOGRAPHS)
    if further and find_spec("sklearn") is not None:
        found |= SKLEARN
    for folder, (title, licence) in COLLECTIONS.items() if further else ():
        for path in sorted((WALLPAPERS / folder).rglob("*.jpg")):
            share = generator("split", path.name).random()
            split = "test" if share < 0.2 else "validation" if share < 0.3 else "train"
            found[f"{folder}/{path.stem}"] = Photograph(
                str(path), title, split, None, licence, package=""
            )
    return found


def about(name: str) -> Photograph:
    """Return the photograph of a name.

    Raises:
      ValueError: there is none, perhaps since its package is not installed.
    """
    return lookup(photographs(further=True), name, "photograph")


@cache
def _folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            f"package {package}: not installed; its photographs are part of this data set: "
            "pip install -r requirements.txt"
        )
    return Path(spec.origin).parent


@lru_cache(8)
def pixels(name: str) -> np.ndarray:
    """Return a photograph as linear light float32[H, W, 3], at most `LARGEST` pixels long."""
    data = about(name).path(about(name).file).read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        shown = image.convert("RGB")
    shown.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    return to_linear(np.asarray(shown, np.float32) / 255)


@lru_cache(8)
def depth(name: str) -> np.ndarray | None:
    """Return the depth of a photograph from its disparity, float32[H, W], 0 near to 1 far."""
    if not (file := about(name).depth):
        return None
    with np.load(about(name).path(file), allow_pickle=False) as arrays:
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
        return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC, edges, 2.0))

    light = np.clip(np.stack([part(whole[..., k]) for k in range(3)], 2), 0, None)
    distance = depth(name)
    subject = None
    if (subject_box := about(name).box) is not None:
        x = (np.arange(width) + 0.5) / width * (box[2] - box[0]) + box[0]
        y = (np.arange(height) + 0.5) / height * (box[3] - box[1]) + box[1]
        left, top, right, bottom = subject_box
        across = (x - (left + right) / 2) / (right - left) * 2
        down = (y - (top + bottom) / 2) / (bottom - top) * 2
        subject = smooth(np.hypot(across[None], down[:, None]), 1.08, 0.92).astype(np.float32)
    return Frame(light, subject, None if distance is None else np.clip(part(distance), 0, 1))
