"""Pictures of a data set as small data URIs for the page."""

from __future__ import annotations

import io

from PIL import Image

from mllm.reporting.figures import data_uri

THUMBNAIL = 128
_MAXIMUM_PIXELS = 40_000_000


def thumbnail(encoded: bytes | None, side: int = THUMBNAIL) -> str | None:
    """Return a JPEG data URI whose sides have at most `side` pixels, or None where nothing decodes.

    The picture is decoded and written anew, so that no byte of the given file reaches the page.
    """
    if not encoded:
        return None
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            if image.width * image.height > _MAXIMUM_PIXELS:
                return None
            small = image.convert("RGBA")
            small.thumbnail((side, side))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    ground = Image.new("RGB", small.size, "white")
    ground.paste(small, mask=small.getchannel("A"))
    buffer = io.BytesIO()
    ground.save(buffer, "JPEG", quality=82)
    return data_uri(buffer.getvalue(), "image/jpeg")
