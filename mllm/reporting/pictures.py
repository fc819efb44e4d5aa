"""Pictures of a data set as small data URIs for the page."""

from __future__ import annotations

import io

from PIL import Image

from mllm.reporting.figures import data_uri

THUMBNAIL = 128
_MAXIMUM_PIXELS = 40_000_000


def thumbnail(encoded: bytes | None, side: int = THUMBNAIL, *, enlarge: bool = False) -> str | None:
    """Return a JPEG data URI whose sides have at most `side` pixels, or None where nothing decodes.

    The picture is decoded and written anew, so that no byte of the given file reaches the page. A
    smaller one keeps its size, or is made as large with `enlarge`.
    """
    image = open_picture(encoded)
    if image is None:
        return None
    if enlarge and max(image.size) < side:
        scale = side / max(image.size)
        size = [max(1, round(scale * length)) for length in image.size]
        image = image.resize(size, Image.Resampling.BICUBIC)
    image.thumbnail((side, side))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=82)
    return data_uri(buffer.getvalue(), "image/jpeg")


def open_picture(encoded: bytes | None) -> Image.Image | None:
    """Return a picture in RGB on white ground, None where nothing decodes."""
    if not encoded:
        return None
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            if image.width * image.height > _MAXIMUM_PIXELS:
                return None
            whole = image.convert("RGBA")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    ground = Image.new("RGB", whole.size, "white")
    ground.paste(whole, mask=whole.getchannel("A"))
    return ground
