"""Weights of the cells of a grid as heat over the picture that they belong to."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from mllm.reporting.figures import data_uri
from mllm.reporting.pictures import open_picture

# Black, violet, orange, pale yellow: lightness grows evenly, so no colour vision is needed.
_RAMP = np.array([(10, 8, 30), (104, 26, 110), (222, 82, 52), (252, 190, 60), (252, 253, 191)])
_LEAST, _MOST = 0.35, 0.75  # opacity of the colour of the smallest and of the largest weight


def overlay(encoded: bytes | None, weights: np.ndarray, side: int) -> str | None:
    """Return a JPEG data URI of a picture in grey with weights as colour, None where it does not
    decode or no weight is positive.

    The grid covers a square. The picture lies in its upper left corner and is as long as the
    square; what lies beside the picture is cut off. The largest weight on the picture takes the
    brightest colour.

    Args:
      weights: float[rows, columns], not negative.
      side: of the longer side, in pixels; smaller pictures are enlarged.
    """
    image = open_picture(encoded)
    if image is None:
        return None
    scale = side / max(image.size)
    width, height = (max(1, round(scale * length)) for length in image.size)
    grey = np.asarray(image.convert("L").resize((width, height), Image.Resampling.BICUBIC), float)
    grid = Image.fromarray(np.asarray(weights, np.float32), "F")
    heat = np.asarray(grid.resize((side, side), Image.Resampling.BILINEAR))[:height, :width]
    most = float(heat.max(initial=0.0))
    if not most > 0:
        return None
    place = np.clip(heat / most, 0, 1)[..., None]
    steps = np.linspace(0, 1, len(_RAMP))
    colours = np.concatenate([np.interp(place, steps, channel) for channel in _RAMP.T], axis=-1)
    opacity = _LEAST + (_MOST - _LEAST) * place
    mixed = opacity * colours + (1 - opacity) * grey[..., None]
    buffer = io.BytesIO()
    Image.fromarray(np.round(mixed).astype(np.uint8)).save(buffer, "JPEG", quality=82)
    return data_uri(buffer.getvalue(), "image/jpeg")
