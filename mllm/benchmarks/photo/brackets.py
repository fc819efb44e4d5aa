"""What brackets a model: right answers, guesses, and other pictures in place of the right one."""

import io
import random
from functools import cache

from PIL import Image

from mllm.benchmarks.photo.album import Album
from mllm.benchmarks.photo.protocol import candidates, gold
from mllm.data.conversation import Media, image
from mllm.evaluation.baselines import Fixed, Replaced
from mllm.evaluation.request import Answerer, Request

GREY = (128, 128, 128)


def oracle(album: Album) -> Fixed:
    """Return the baseline that knows all keys and critiques."""

    def reply(request: Request) -> str:
        if request.tags["reading"] == "critique":
            return getattr(album.photo(request.tags["photo"]).critique, request.tags["part"])
        return gold(request)

    return Fixed("oracle", reply)


def guessing(album: Album, seed: int) -> Fixed:
    """Return the baseline that draws an option, and says of a photograph what the critique of
    another one says.
    """

    def reply(request: Request) -> str:
        if request.tags["reading"] == "critique":
            return getattr(album.other(request.tags["photo"]).critique, request.tags["part"])
        return random.Random(f"{seed}:{request.key}").choice(list(candidates(request)))

    return Fixed(f"random {seed}", reply)


def blank(inner: Answerer) -> Replaced:
    """Return a model that is shown a grey picture of the same size."""
    return Replaced(inner, lambda request, medium: image(grey(medium.data)), "blank")


def wrong_photo(inner: Answerer, album: Album, seed: int) -> Replaced:
    """Return a model that is shown a photograph of another source.

    Args:
      seed: that the other photographs of the album are drawn with.
    """

    def picture_of(request: Request, medium: Media) -> Media:
        return image(album.other(request.tags["photo"]).picture)

    return Replaced(inner, picture_of, f"wrong photo {seed}")


def grey(picture: bytes) -> bytes:
    """Return a PNG of the size of a picture, in the grey at the middle of the scale."""
    with Image.open(io.BytesIO(picture)) as opened:
        return _flat(opened.size)


@cache
def _flat(size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, GREY).save(buffer, "PNG")
    return buffer.getvalue()
