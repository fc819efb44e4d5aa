"""Encoded images to pixels, on the host with Pillow, so that pixels equal those of the published
processors.

    decode        bytes -> RGB image
    make_picture  RGB image -> Picture: the tiles that a vision tower sees
    framed        RGB image -> what a model sees of it, before it is scaled

Sizes of Pillow images are (width, height); extents and grids, as arrays, have the height first.
"""

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from mllm.data import anyres, sizes
from mllm.registry import lookup

MAX_PIXELS = 64_000_000  # of an encoded image
MAX_CANVAS = 2 * MAX_PIXELS  # of any picture on the way: 512 MB, the largest 2:1 image made square
CLIP_MEAN = (122, 116, 104)  # 255 * the mean colour of CLIP, cut to integers as LLaVA does
SIXTEEN_BITS = ("PNG", "PPM")  # of other formats, integers of mode I have 32 bits and any range
RESAMPLE = {member.name.lower(): member for member in Image.Resampling}


@dataclass(frozen=True)
class ImageConfig:
    """How an image becomes a ``Picture``.

    image_size: side in pixels of a square tile (crop, pad_square, stretch, fit, idefics3, anyres).
    transform: a name of ``TRANSFORMS``; resample: a Pillow filter, in lower case.
    alpha: "white" lays transparency over white; "drop" ignores it (colours stay as stored).
    longest_edge, shortest_edge: bounds in pixels (idefics2: both, idefics3: the first).
    split: also show parts of the image, enlarged (idefics2, idefics3, anyres).
    grids: (rows, columns) of tiles of the canvases to choose from. cells: tokens along a side of a
      tile (anyres: both).

    Raises:
      ValueError: an unknown name, or a size that the transform needs is not positive.
    """

    image_size: int = 64
    transform: str = "crop"
    resample: str = "bicubic"
    alpha: str = "white"
    longest_edge: int = 0
    shortest_edge: int = 0
    split: bool = False
    grids: tuple[tuple[int, int], ...] = ()
    cells: int = 0

    def __post_init__(self):
        object.__setattr__(self, "grids", tuple(map(tuple, self.grids)))  # JSON has lists
        lookup(TRANSFORMS, self.transform, "transform")
        lookup(RESAMPLE, self.resample, "resample")
        lookup(ALPHA, self.alpha, "alpha")
        for name in SIZES[self.transform]:
            if (found := getattr(self, name)) < 1:
                raise ValueError(f"transform {self.transform!r} needs {name} > 0, found {found}")
        if self.transform == "anyres" and self.split and not anyres.are_grids(self.grids):
            raise ValueError(
                "transform 'anyres' needs grids to split: pairs of numbers of rows and columns, "
                f"found {self.grids!r}"
            )


@dataclass(frozen=True, eq=False)
class Picture:
    """What a vision tower sees of one image.

    tiles: u8[N, H, W, 3], zeros right of and below what is real.
    extents: (height, width) in pixels of what is real in each tile.
    grid: (rows, columns) of the crops, row by row, that precede the whole view; (0, 0) without.
    offsets: i32[N, T], where each token of a tile stands, counted from the first token of the
      image, -1 for nowhere; None where each tile has its own run of tokens.
    """

    tiles: np.ndarray
    extents: tuple[tuple[int, int], ...]
    grid: tuple[int, int] = (0, 0)
    offsets: np.ndarray | None = None


def _over_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _without_alpha(image: Image.Image) -> Image.Image:
    return image.convert("RGB")


ALPHA: dict[str, Callable[[Image.Image], Image.Image]] = {
    "white": _over_white,
    "drop": _without_alpha,
}


def decode(data: bytes, where: str = "image", alpha: str = "white") -> Image.Image:
    """Decode to RGB: EXIF orientation applied, transparency as ``ImageConfig.alpha`` says.

    Of an animation the first picture is taken, as the published processors do. Of 16 bits a
    channel the upper 8 are kept, also of grey, which Pillow by itself cuts off at 255.

    Raises:
      ValueError: not a whole image, one whose values have no known range, or more than
        ``MAX_PIXELS`` (read from the header, before any pixel is decoded); the message starts
        with ``where``. Or ``alpha`` is unknown.
    """
    to_rgb = lookup(ALPHA, alpha, "alpha")
    return to_rgb(_read(data, where))


def as_png(data: bytes, where: str = "image") -> bytes:
    """Return a picture of any format as a PNG that ``decode`` shows alike, its transparency kept.

    Raises:
      ValueError: as ``decode`` does.
    """
    image = _read(data, where)
    file = io.BytesIO()
    image.convert("RGBA" if image.has_transparency_data else "RGB").save(file, "PNG")
    return file.getvalue()


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of a loaded image, from 1 to 8; 1, upright, where none can be
    read, because EXIF data that is damaged does not make a picture unusable.
    """
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
        return int(found) if found in _UPRIGHT else 1
    except Exception:  # Pillow's parser answers damaged data with all sorts
        return 1


def upright(image: Image.Image) -> Image.Image:
    """Return a loaded image turned as its EXIF orientation says."""
    turned = _UPRIGHT[orientation(image)]
    return image if turned is None else image.transpose(turned)


_UPRIGHT = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _read(data: bytes, where: str) -> Image.Image:
    """Return the image upright, with 8 bits a channel, in any mode."""
    try:
        image = Image.open(io.BytesIO(data))
        if image.width * image.height > MAX_PIXELS:
            raise ValueError(f"{image.width}x{image.height} pixels")
        image.load()
        sixteen = image.mode != "I" or image.format in SIXTEEN_BITS
        return eight_bits(upright(image), sixteen)
    except UnidentifiedImageError:
        reason = f"no known format in {len(data)} bytes"
    except Exception as error:  # decoders answer damaged files with all sorts
        reason = str(error) or type(error).__name__
    raise ValueError(
        f"{where}: cannot be decoded as an image ({reason}); "
        f"replace it, or save it as PNG or JPEG of at most {MAX_PIXELS} pixels"
    )


def eight_bits(image: Image.Image, sixteen: bool = True) -> Image.Image:
    """Return an image with 8 bits a channel: of 16 bits the upper 8.

    Args:
      sixteen: whether integers are known to have 16 bits.

    Raises:
      ValueError: the values are floats, or integers that may have more bits.
    """
    if image.mode[0] not in "IF":  # I: integers of 16 or 32 bits, F: floats
        return image
    low, high = image.getextrema()
    if image.mode == "F" or not sixteen or low < 0 or high > 65535:
        raise ValueError(f"values {low} to {high} of mode {image.mode}, not of 8 or 16 bits")
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))


def make_picture(image: Image.Image, config: ImageConfig, where: str = "image") -> Picture:
    """Return the tiles of an RGB image, equal to the byte to what the published processors make
    with Pillow, before pixels are rescaled and normalised.

    Raises:
      ValueError: the image is not RGB, or so narrow that it would fill the memory; the message
        starts with ``where``.
    """
    if image.mode != "RGB":
        raise ValueError(f"{where}: mode {image.mode!r}, needs 'RGB' (convert it, or use decode)")
    try:
        tiles, grid = TRANSFORMS[config.transform](image, config)
        offsets = offsets_of(image.size, config)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    extents = tuple((tile.height, tile.width) for tile in tiles)
    canvas = np.max(extents, axis=0)
    if config.transform == "fit":
        canvas = config.image_size, config.image_size
    padded = np.zeros((len(tiles), *canvas, 3), np.uint8)
    for place, tile in zip(padded, tiles, strict=True):
        place[: tile.height, : tile.width] = np.asarray(tile)
    return Picture(padded, extents, grid, offsets)


Tiles = tuple[list[Image.Image], tuple[int, int]]  # and the grid of a Picture


def _crop(image: Image.Image, config: ImageConfig) -> Tiles:
    """Resize the shorter side to ``image_size``, then cut out the square in the centre (CLIP)."""
    side, short = config.image_size, min(image.size)
    width, height = (side * length // short for length in image.size)
    image = _resize(image, (width, height), config)
    left, top = (width - side) // 2, (height - side) // 2
    return [image.crop((left, top, left + side, top + side))], (0, 0)


def _pad_square(image: Image.Image, config: ImageConfig) -> Tiles:
    """Centre the image on a square of CLIP's mean colour, as LLaVA's own code does; an odd pixel
    goes to the right or to the bottom.
    """
    return [_resize(_on_square(image), (config.image_size, config.image_size), config)], (0, 0)


def _on_square(image: Image.Image) -> Image.Image:
    side = max(image.size)
    _check_canvas(image, (side, side))
    canvas = Image.new("RGB", (side, side), CLIP_MEAN)
    canvas.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return canvas


def _stretch(image: Image.Image, config: ImageConfig) -> Tiles:
    """Stretch the whole image to a square, whatever its shape (SigLIP)."""
    return [_resize(image, (config.image_size, config.image_size), config)], (0, 0)


def _fit(image: Image.Image, config: ImageConfig) -> Tiles:
    """Bring the longer side to ``image_size``; the rest of the square, at the right or at the
    bottom, stays empty.
    """
    return [_resize(image, sizes.fitted(image.size, config.image_size), config)], (0, 0)


def _idefics2(image: Image.Image, config: ImageConfig) -> Tiles:
    """Idefics2: the sides are brought between the two bounds, the shorter bound last; if split, of
    the four quarters and of the whole alike. An image one pixel wide or high has no quarters.
    """
    tiles, grid = [image], (0, 0)
    if config.split and min(image.size) > 1:
        lines = ((0, side // 2, side) for side in image.size)
        tiles, grid = [*_cut(image, *lines), image], (2, 2)
    bounds = config.longest_edge, config.shortest_edge
    return [_resize(tile, sizes.between(tile.size, *bounds), config) for tile in tiles], grid


def _idefics3(image: Image.Image, config: ImageConfig) -> Tiles:
    """Idefics3 and SmolVLM: the longer side becomes ``longest_edge``; if split, both sides grow to
    multiples of ``image_size`` and the tiles of that size are followed by the whole, squeezed into
    one tile; if not split, or if one tile holds it all, there is only the whole.
    """
    side = config.image_size
    image = _resize(image, sizes.longest_edge(image.size, config.longest_edge), config)
    if not config.split:
        return [_resize(image, (side, side), config)], (0, 0)

    def multiple(length: int) -> int:
        return math.ceil(length / side) * side

    width, height = sizes.at_least(sizes.scaled(image.size, multiple(max(image.size))), 1)
    image = _resize(image, (multiple(width), multiple(height)), config)
    columns, rows = image.width // side, image.height // side
    if rows * columns == 1:
        return [image], (0, 0)
    lines = (range(0, length + 1, side) for length in image.size)
    return [*_cut(image, *lines), _resize(image, (side, side), config)], (rows, columns)


def _anyres(image: Image.Image, config: ImageConfig) -> Tiles:
    """LLaVA-NeXT: the whole, stretched to one tile; if split, then the tiles of the best canvas, on
    which the image is centred in black. The text names no tile, so the grid is (0, 0).
    """
    side = config.image_size
    whole = _resize(image, (side, side), config)
    if not config.split:
        return [whole], (0, 0)
    rows, columns = anyres.best_grid(image.size[::-1], config.grids, side)
    canvas = Image.new("RGB", (columns * side, rows * side))
    height, width = anyres.fitted(image.size[::-1], canvas.size[::-1])
    left, top = (canvas.width - width) // 2, (canvas.height - height) // 2
    canvas.paste(_resize(image, (width, height), config), (left, top))
    lines = (range(0, length + 1, side) for length in canvas.size)
    return [whole, *_cut(canvas, *lines)], (0, 0)


def offsets_of(size: tuple[int, int], config: ImageConfig) -> np.ndarray | None:
    """Return ``Picture.offsets`` of an image of (width, height) pixels."""
    if config.transform != "anyres":
        return None
    if not config.split:
        return anyres.offsets_of(anyres.WHOLE, (0, 0), config.cells)
    grid = anyres.best_grid(size[::-1], config.grids, config.image_size)
    kept = anyres.unpadded(size[::-1], grid, config.cells)
    return anyres.offsets_of(grid, kept, config.cells)


TRANSFORMS: dict[str, Callable[[Image.Image, ImageConfig], Tiles]] = {
    "crop": _crop,
    "pad_square": _pad_square,
    "stretch": _stretch,
    "fit": _fit,
    "idefics2": _idefics2,
    "idefics3": _idefics3,
    "anyres": _anyres,
}
SIZES = {  # what of a config each transform needs
    "crop": ("image_size",),
    "pad_square": ("image_size",),
    "stretch": ("image_size",),
    "fit": ("image_size",),
    "idefics2": ("longest_edge", "shortest_edge"),
    "idefics3": ("image_size", "longest_edge"),
    "anyres": ("image_size", "cells"),
}


def _resize(image: Image.Image, size: tuple[int, int], config: ImageConfig) -> Image.Image:
    _check_canvas(image, size)
    return image.resize(size, RESAMPLE[config.resample])


def _check_canvas(image: Image.Image, size: tuple[int, int]) -> None:
    if size[0] * size[1] > MAX_CANVAS:
        found, needed = (f"{width}x{height}" for width, height in (image.size, size))
        raise ValueError(
            f"{found} pixels would need a canvas of {needed}, more than {MAX_CANVAS} pixels; "
            "cut the image to a less narrow shape, or shrink it"
        )


def _cut(image: Image.Image, columns: Sequence[int], rows: Sequence[int]) -> list[Image.Image]:
    """Return the pieces between the lines at x in ``columns`` and y in ``rows``, row by row."""
    return [
        image.crop((left, top, right, bottom))
        for top, bottom in pairwise(rows)
        for left, right in pairwise(columns)
    ]


def framed(image: Image.Image, config: ImageConfig) -> tuple[Image.Image, tuple[int, int]]:
    """Return what a model sees of an unsplit image, before it is scaled, and the (width, height)
    to which it is scaled then: random views are views of this.
    """
    square = config.image_size, config.image_size
    if config.transform == "crop":
        short = min(image.size)
        left, top = (image.width - short) // 2, (image.height - short) // 2
        return image.crop((left, top, left + short, top + short)), square
    if config.transform == "pad_square":
        return _on_square(image), square
    if config.transform == "fit":
        return image, sizes.fitted(image.size, config.image_size)
    if config.transform == "idefics2":
        return image, sizes.between(image.size, config.longest_edge, config.shortest_edge)
    return image, square
