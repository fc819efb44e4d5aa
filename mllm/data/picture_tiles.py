"""The part of a processor that turns pictures into the tiles that a vision tower sees."""

from collections.abc import Callable
from functools import cached_property

from PIL import Image

from mllm.data import images
from mllm.data.blocks import Grid
from mllm.data.cache import Cache
from mllm.data.conversation import Media
from mllm.data.encoded import content_number
from mllm.data.images import Picture
from mllm.data.special_tokens import SpecialTokens

KEPT = 256 * 2**20  # bytes of prepared pictures kept at hand; a split one may take megabytes


class PictureTiles(SpecialTokens):
    """A tokenizer's special tokens, and how pictures are prepared."""

    def grid(self, media: Media, where: str = "image") -> Grid:
        """Return (rows, columns) of an image's tiles; nothing is decoded if no image is split."""
        if not self.config.split:
            return 0, 0
        if media.digest not in self._grids:
            self._grids[media.digest] = self.prepare(media, where).grid
        return self._grids[media.digest]

    def prepare(self, media: Media, where: str = "image") -> Picture:
        """Return the tiles of an image; those used last are kept.

        Raises:
          ValueError: it cannot be decoded; the message starts with ``where``.
        """
        return self.prepared(content_number(media), lambda: media, where)

    def prepared(self, number: int, read: Callable[[], Media], where: str = "image") -> Picture:
        """Return the tiles of the image of a ``content_number``, which is read if they are not
        kept.
        """
        make = lambda: self.picture(read().data, where)  # noqa: E731
        return self._prepared.get(number, make, lambda picture: picture.tiles.nbytes)

    def tile_size(self, read: Callable[[], Media], where: str = "image") -> tuple[int, int]:
        """Return (height, width) of the largest tile of an image, which is read only if the size
        depends on it.
        """
        if self.config.transform != "idefics2":
            return self.config.image_size, self.config.image_size
        height, width = self.prepare(read(), where).tiles.shape[1:3]
        return height, width

    @cached_property
    def _grids(self) -> dict[str, Grid]:
        return {}

    @cached_property
    def _prepared(self) -> Cache:
        return Cache(KEPT)

    def picture(self, data: bytes, where: str = "image") -> Picture:
        """Return the tiles of an encoded image; raise ValueError starting with ``where``."""
        return self.arrange(images.decode(data, where, self.config.alpha), where)

    def arrange(self, image: Image.Image, where: str = "image") -> Picture:
        """Return the tiles of an RGB image."""
        return images.make_picture(image, self.config, where)
