"""The part of a processor that turns pictures into the tiles that a vision tower sees."""

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

from PIL import Image

from mllm.data import images
from mllm.data.blocks import Grid
from mllm.data.cache import Cache
from mllm.data.conversation import Media
from mllm.data.encoded import TokenRun, content_number
from mllm.data.images import Picture
from mllm.data.special_tokens import SpecialTokens

KEPT = 256 * 2**20  # bytes of prepared pictures kept at hand; a split one may take megabytes


class Layout(NamedTuple):
    """How an image is written.

    Attributes:
      grid: (rows, columns) of the crops that the text names.
      runs: of its image tokens, one for each that the text holds.
    """

    grid: Grid
    runs: tuple[TokenRun, ...]


class PictureTiles(SpecialTokens):
    """A tokenizer's special tokens, and how pictures are prepared."""

    def layout(self, media: Media, where: str = "image") -> Layout:
        """Return how an image is written; nothing is decoded if no image is split."""
        if not self.config.split:
            return self._whole
        digest = media.bare.digest
        if digest not in self._layouts:
            self._layouts[digest] = self._layout_of(self.prepare(media, where))
        return self._layouts[digest]

    def _layout_of(self, picture: Picture) -> Layout:
        tiles = len(picture.tiles)
        if picture.offsets is None:
            return Layout(picture.grid, (TokenRun(self.config.image_tokens),) * tiles)
        return Layout(picture.grid, (TokenRun(int(picture.offsets.max()) + 1, tiles),))

    @cached_property
    def _whole(self) -> Layout:
        """The layout of every image that is not split."""
        offsets = images.offsets_of((1, 1), self.config)
        tokens = self.config.image_tokens if offsets is None else int(offsets.max()) + 1
        return Layout((0, 0), (TokenRun(tokens),))

    def prepare(self, media: Media, where: str = "image") -> Picture:
        """Return the tiles of an image; those used last are kept.

        Raises:
          ValueError: it cannot be decoded; the message starts with ``where``.
        """
        return self.prepared(content_number(media.bare), lambda: media, where)

    def prepared(self, number: int, read: Callable[[], Media], where: str = "image") -> Picture:
        """Return the tiles of the image of the ``content_number`` of a bare medium, which is read
        if they are not kept.
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
    def _layouts(self) -> dict[str, Layout]:
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
