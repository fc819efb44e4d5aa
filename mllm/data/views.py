"""Random views of pictures, another one every time a picture is shown."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from mllm.data import images
from mllm.data.cache import Cache
from mllm.data.conversation import Media
from mllm.data.images import Picture
from mllm.data.processor import Processor
from mllm.registry import lookup

KEPT = 256 * 2**20  # bytes of decoded pictures kept to draw views of


@dataclass(frozen=True)
class Views:
    """How far a random view may be from its picture.

    Attributes:
      plain: probability of the picture itself. mirror: probability that left and right change
        places.
      angle: degrees that it is turned by, to either side.
      zoom: range of the share of the picture that is seen along a side.
      shift: shares of a side that it is moved by, in any direction.
      color: how much brightness, contrast and saturation each change, as a share.
      blur, noise: probabilities of a lower resolution, and of noise on each pixel.
    """

    plain: float = 0.0
    mirror: float = 0.5
    angle: float = 14.0
    zoom: tuple[float, float] = (0.82, 1.15)
    shift: float = 0.08
    color: float = 0.25
    blur: float = 0.25
    noise: float = 0.25


# Teaching on strong views of a portrait rather than on the portrait makes the person known, not the
# picture. Gentle ones are for what should come out as it went in.
VIEWS = {
    "strong": Views(),
    "gentle": Views(0.7, 0.0, 4.0, (0.95, 1.05), 0.03, 0.05, 0.0, 0.0),
}


def views_named(augment: bool | str) -> Views | None:
    """Return the views of a schedule's ``augment``: a name of ``VIEWS``; true stands for "strong",
    false for None, no views.
    """
    if not augment:
        return None
    return lookup(VIEWS, "strong" if augment is True else augment, "kind of views")


def augment(
    image: Image.Image,
    size: int | tuple[int, int],
    rng: np.random.Generator,
    views: Views = VIEWS["strong"],
) -> np.ndarray:
    """Return a random view, u8[height, width, 3]: mirrored, turned, zoomed, shifted, recoloured,
    blurred by chance.

    Args:
      size: (width, height) of the view, or the side of a square one.
    """
    size = (size, size) if isinstance(size, int) else size
    if views.plain and rng.random() < views.plain:
        return np.asarray(image.resize(size, Image.Resampling.BICUBIC))
    if rng.random() < views.mirror:
        image = ImageOps.mirror(image)
    angle, zoom = np.deg2rad(rng.uniform(-views.angle, views.angle)), rng.uniform(*views.zoom)
    shift = rng.uniform(-views.shift, views.shift, 2) * image.size
    cos, sin, x, y = np.cos(angle) * zoom, np.sin(angle) * zoom, image.width / 2, image.height / 2
    offsets = x - cos * x - sin * y, y + sin * x - cos * y
    affine = (cos, sin, offsets[0] + shift[0], -sin, cos, offsets[1] + shift[1])
    background = image.getpixel((1, 1))
    bilinear = Image.Resampling.BILINEAR
    image = image.transform(image.size, Image.Transform.AFFINE, affine, bilinear, 0, background)
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhance(image).enhance(rng.uniform(1 - views.color, 1 + views.color))
    if rng.random() < views.blur:  # a lower resolution and back
        share = rng.uniform(0.5, 0.8)
        width, height = (max(8, int(side * share)) for side in size)
        image = image.resize((width, height), bilinear)
    pixels = np.asarray(image.resize(size, Image.Resampling.BICUBIC), np.float32)
    if rng.random() < views.noise:
        pixels = pixels + rng.normal(0, rng.uniform(2, 10), pixels.shape)
    return np.clip(np.round(pixels), 0, 255).astype(np.uint8)


@dataclass
class Viewer:
    """Shows pictures as a model sees them.

    Attributes:
      processor: prepares them.
      views: what is shown instead of a picture; None shows the picture itself.
    """

    processor: Processor
    views: Views | None = None
    _kept: Cache = field(default_factory=lambda: Cache(KEPT))

    def see(
        self, number: int, read: Callable[[], Media], rng: np.random.Generator, where: str
    ) -> Picture:
        """Return the picture of a ``content_number``, which is read if it is not at hand, or a
        random view of it.

        Raises:
          ValueError: it cannot be decoded; the message starts with ``where``.
        """
        if self.views is None:
            return self.processor.prepared(number, read, where)
        config = self.processor.config

        def decoded() -> Image.Image:
            image = images.decode(read().data, where, config.alpha)
            image, (width, height) = images.framed(image, config)
            return image.resize((2 * width, 2 * height))  # twice the view: small, and so quick

        image = self._kept.get(number, decoded, lambda image: 4 * image.width * image.height)
        width, height = image.width // 2, image.height // 2
        view = augment(image, (width, height), rng, self.views)
        offsets = images.offsets_of((width, height), config)
        return Picture(view[None], ((height, width),), offsets=offsets)
