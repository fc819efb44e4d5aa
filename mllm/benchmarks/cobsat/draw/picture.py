"""The picture of a pair, at any size and in any view."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image

from mllm.benchmarks.cobsat.draw import actions, backgrounds, colors, styles, textures
from mllm.benchmarks.cobsat.draw.parts import Scene
from mllm.benchmarks.cobsat.draw.svg import pixels
from mllm.benchmarks.cobsat.draw.view import View, view
from mllm.benchmarks.cobsat.tasks import Pair

LARGE = 128  # pixels a side; smaller pictures are drawn twice as large, and reduced

DRAWERS: dict[str, Callable[[str, str, View], Scene]] = {
    "color": colors.draw,
    "background": backgrounds.draw,
    "style": styles.draw,
    "action": actions.draw,
    "texture": textures.draw,
}


def image(pair: Pair, size: int, seed: int = 0) -> Image.Image:
    """Return the picture of a pair, RGB.

    Args:
      pair: of the 500.
      size: the side in pixels. seed: of the view; 0 is the picture itself.
    """
    seen = view(seed)
    scene = DRAWERS[pair.theme](pair.detail, pair.object, seen)
    drawn = (
        f'<defs>{scene.defs}</defs><g transform="{seen.back}">{scene.back}</g>'
        f'<g transform="{seen.front}">{scene.front}</g>'
    )
    factor = 1 if size >= LARGE else 2
    fine = Image.fromarray(pixels(drawn, size * factor)).convert("RGB")
    reduced = fine.reduce(factor) if factor > 1 else fine
    return Image.fromarray(seen.tint(np.asarray(reduced)))


def picture(pair: Pair, size: int, seed: int = 0) -> bytes:
    """Return the picture of a pair as a PNG file: the same bytes for the same arguments."""
    stream = io.BytesIO()
    image(pair, size, seed).save(stream, "PNG", compress_level=6)
    return stream.getvalue()
