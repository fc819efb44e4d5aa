"""A file as a person has it, read as a photograph: upright, in sRGB, of a bounded size."""

import contextlib
import importlib
import io
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from mllm.benchmarks.photo.assistant.colours import as_srgb
from mllm.benchmarks.photo.assistant.files import Passed
from mllm.data.images import SIXTEEN_BITS, eight_bits, upright
from mllm.files import require_file

SIDE = 2048  # pixels of the longer side that a model is shown at most
MOST_PIXELS = 96_000_000  # that are decoded at once; a JPEG is decoded smaller than it is stored
HEIC = "pillow_heif"  # a package that teaches Pillow this format
BY_PROGRAM = ("EPS",)  # formats that Pillow hands to another program
PAGES = ("TIFF",)
ONE_PHOTOGRAPH = ("MPO",)  # what phones add to it are other views, or a gain map
RAW = (".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".raf", ".rw2")
SPECIAL = {
    **dict.fromkeys((".heic", ".heif"), "HEIC that cannot be read here; install pillow-heif"),
    **dict.fromkeys((".avif", ".jxl"), "no picture that the Pillow installed here reads"),
    **dict.fromkeys(RAW, "a raw file of a camera; develop it first"),
}


@dataclass(frozen=True, eq=False)
class Photograph:
    """A photograph that was read.

    Attributes:
      name: its path from the folder.
      picture: a PNG, upright, RGB in sRGB, whose sides have at most ``SIDE`` pixels.
      size: (width, height) in pixels, upright, as stored.
      notes: what a person should know about how it was read.
    """

    name: str
    picture: bytes
    size: tuple[int, int]
    notes: tuple[str, ...] = ()


def read_photograph(path: Path, name: str) -> Photograph | Passed:
    """Read a file of any format that Pillow decodes by itself.

    Of an animation the first frame is taken, and a note says so. Transparency is laid over white.
    A file that is no whole picture is passed over with the reason.
    """
    try:
        require_file(path)
    except (ValueError, FileNotFoundError) as error:
        return Passed(name, str(error).removeprefix(f"{path}: "))
    except OSError as error:
        return Passed(name, f"cannot be opened ({error.strerror})")
    if not path.stat().st_size:
        return Passed(name, "is empty")
    try:
        with warnings.catch_warnings():  # about pictures of many pixels
            warnings.simplefilter("ignore")
            with Image.open(path, formats=_formats()) as image:
                return _read(image, name)
    except UnidentifiedImageError:
        return Passed(name, _unknown(path))
    except Image.DecompressionBombError:
        return Passed(name, f"has more than {2 * Image.MAX_IMAGE_PIXELS:,} pixels; save it smaller")
    except OSError as error:
        why = f"cannot be opened ({error.strerror})" if error.strerror else f"is damaged ({error})"
        return Passed(name, why)
    except Exception as error:  # decoders answer damaged files with all sorts
        return Passed(name, f"cannot be read ({str(error) or type(error).__name__})")


@cache
def _formats() -> tuple[str, ...]:
    """Return the formats that are read; HEIC is one of them where its package is installed."""
    with contextlib.suppress(ImportError):
        importlib.import_module(HEIC).register_heif_opener()
    Image.init()
    return tuple(name for name in Image.OPEN if name not in BY_PROGRAM)


def _read(image: Image.Image, name: str) -> Photograph:
    notes, size = [], image.size
    frames = 1 if image.format in ONE_PHOTOGRAPH else getattr(image, "n_frames", 1)
    if frames > 1:
        what = "pages" if image.format in PAGES else "frames of an animation"
        notes.append(f"the first of {frames} {what}")
    image.draft(None, [2 * side for side in _fitted(size)])
    if image.width * image.height > MOST_PIXELS:
        found = f"{image.width} x {image.height} pixels of {image.format}"
        raise ValueError(f"{found}, more than {MOST_PIXELS:,}; save it smaller, or as JPEG")
    image.load()
    profile = image.info.get("icc_profile")
    sixteen = image.mode != "I" or image.format in SIXTEEN_BITS
    turned = upright(image)
    if (image.width < image.height) != (turned.width < turned.height):
        size = size[::-1]
    coloured, note = as_srgb(_shrunk(eight_bits(turned, sixteen)), profile)
    file = io.BytesIO()
    _over_white(coloured).save(file, "PNG", compress_level=1)
    if max(size) > SIDE:
        notes.append(f"shown to the model with {SIDE} pixels along its longer side")
    return Photograph(name, file.getvalue(), size, (*notes, *filter(None, [note])))


def _fitted(size: tuple[int, int]) -> tuple[int, int]:
    """Return a (width, height) of at most ``SIDE``, its shape kept."""
    scale = min(1.0, SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _shrunk(image: Image.Image) -> Image.Image:
    if max(image.size) <= SIDE:
        return image
    if image.mode in ("1", "P", "PA"):  # numbers of colours have no averages
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image.resize(_fitted(image.size), Image.Resampling.LANCZOS, reducing_gap=2.0)


def _over_white(image: Image.Image) -> Image.Image:
    if image.mode != "RGBA":
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _unknown(path: Path) -> str:
    """Return why a file of no known format is none."""
    if reason := SPECIAL.get(path.suffix.lower()):
        return f"is {reason}"
    with path.open("rb") as file:
        start = file.read(4096)
    try:
        start[: start.rfind(b"\n") + 1 or len(start)].decode("utf-8")
    except UnicodeDecodeError:
        return "is no picture of a format that Pillow reads"
    printable = not any(byte < 9 or 13 < byte < 32 for byte in start)
    return "is text, not a picture" if printable else "is no picture of a format that Pillow reads"
