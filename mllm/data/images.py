"""Encoded images to pixels, on the host with Pillow, so that pixels equal those of the published
processors.
"""

import io

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

MAX_PIXELS = 64_000_000


def decode(data: bytes, where: str = "image") -> Image.Image:
    """Decode to RGB: EXIF orientation applied, transparency laid over white.

    Raises:
      ValueError: not a whole image, or more than ``MAX_PIXELS``; the message starts with ``where``.
    """
    try:
        image = Image.open(io.BytesIO(data))
        if image.width * image.height > MAX_PIXELS:
            size = f"{image.width}x{image.height}"
            raise ValueError(f"{where}: {size} pixels, more than the {MAX_PIXELS} allowed")
        image = ImageOps.exif_transpose(image)
        if image.has_transparency_data:
            image = image.convert("RGBA")
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image)
        return image.convert("RGB")
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{where}: cannot be decoded as an image ({error})") from None


def to_pixels(image: Image.Image, size: int) -> np.ndarray:
    """Bicubic resize of the shorter side to ``size``, then centre crop: u8[size, size, 3] (CLIP's
    processor).
    """
    width, height = (int(size * side / min(image.size)) for side in image.size)
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    left, top = (width - size) // 2, (height - size) // 2
    return np.asarray(image.crop((left, top, left + size, top + size)), np.uint8)


def augment(image: Image.Image, size: int, rng: np.random.Generator) -> np.ndarray:
    """A random view, u8[size, size, 3]: mirrored, turned, zoomed, shifted, recoloured, blurred by
    chance.

    Teaching on views of a portrait rather than on the portrait makes the person known, not the
    picture.
    """
    if rng.random() < 0.5:
        image = ImageOps.mirror(image)
    angle, zoom = np.deg2rad(rng.uniform(-14, 14)), rng.uniform(0.82, 1.15)
    shift = rng.uniform(-0.08, 0.08, 2) * image.width
    cos, sin, centre = np.cos(angle) * zoom, np.sin(angle) * zoom, image.width / 2
    offsets = centre - cos * centre - sin * centre, centre + sin * centre - cos * centre
    affine = (cos, sin, offsets[0] + shift[0], -sin, cos, offsets[1] + shift[1])
    background = image.getpixel((1, 1))
    bilinear = Image.Resampling.BILINEAR
    image = image.transform(image.size, Image.Transform.AFFINE, affine, bilinear, 0, background)
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhance(image).enhance(rng.uniform(0.75, 1.25))
    if rng.random() < 0.25:  # a lower resolution and back: blur
        small = max(8, int(size * rng.uniform(0.5, 0.8)))
        image = image.resize((small, small), bilinear)
    pixels = np.asarray(image.resize((size, size), Image.Resampling.BICUBIC), np.float32)
    if rng.random() < 0.25:
        pixels = pixels + rng.normal(0, rng.uniform(2, 10), pixels.shape)
    return np.clip(np.round(pixels), 0, 255).astype(np.uint8)
