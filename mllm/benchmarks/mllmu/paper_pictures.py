"""Pictures as the published scripts see them: ``Image.open(...).convert("RGB")`` of Pillow.

The rest of this codebase applies the orientation of EXIF and lays transparency over white.
"""

import io

import numpy as np
from PIL import Image

from mllm.data import images

ORIENTATION = 0x0112  # of EXIF
PLAIN = ("1", "L", "RGB", "CMYK", "YCbCr")  # modes that both ways read alike


def as_published(data: bytes) -> bytes:
    """Return a file that shows everywhere what the published scripts see of a file: the file
    itself if that is the same, else a PNG.

    Raises:
      ValueError: it cannot be decoded.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            if _is_plain(image):
                return data
            seen = image.convert("RGB")
    except Exception as error:  # decoders answer damaged files with all sorts
        raise ValueError(f"a picture cannot be decoded: {error}") from error
    shown = _upright(data)
    if shown is not None and shown.size == seen.size and np.array_equal(shown, seen):
        return data
    file = io.BytesIO()
    Image.fromarray(np.asarray(seen)).save(file, "PNG")  # the pixels, without what else it says
    return file.getvalue()


def _is_plain(image: Image.Image) -> bool:
    """Return whether the header alone shows that there is nothing to turn or to see through."""
    if image.mode not in PLAIN or image.has_transparency_data:
        return False
    try:
        return image.getexif().get(ORIENTATION, 1) == 1
    except Exception:  # EXIF that is damaged, which says nothing about the pixels
        return False


def _upright(data: bytes) -> Image.Image | None:
    """Return the picture as it is decoded elsewhere, or None where that refuses it."""
    try:
        return images.decode(data)
    except ValueError:
        return None
