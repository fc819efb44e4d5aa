"""A picture in another form that a person would still recognise."""

import io
from collections.abc import Callable

from PIL import Image, ImageEnhance, ImageOps

from mllm.data import images

KEPT = 0.8  # share of each side that a crop keeps
QUALITY = 20  # of JPEG, of 100
DARK = 0.5  # share of the brightness


def mirrored(data: bytes) -> bytes:
    """Return a picture with left and right exchanged, as PNG."""
    return _png(ImageOps.mirror(images.decode(data)))


def cropped(data: bytes) -> bytes:
    """Return the middle of a picture, in its size, as PNG."""
    picture = images.decode(data)
    width, height = picture.size
    left, top = round(width * (1 - KEPT) / 2), round(height * (1 - KEPT) / 2)
    box = left, top, width - left, height - top
    return _png(picture.resize(picture.size, Image.Resampling.BICUBIC, box))


def compressed(data: bytes) -> bytes:
    """Return a picture as a small JPEG."""
    buffer = io.BytesIO()
    images.decode(data).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def darkened(data: bytes) -> bytes:
    """Return a picture at half its brightness, as PNG."""
    return _png(ImageEnhance.Brightness(images.decode(data)).enhance(DARK))


PICTURES: dict[str, Callable[[bytes], bytes]] = {
    "mirrored": mirrored,
    "cropped": cropped,
    "compressed": compressed,
    "darkened": darkened,
}


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
