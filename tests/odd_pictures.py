"""Encoded pictures as real files carry them, for all that reads pictures."""

import io
import struct

import numpy as np
from PIL import Image

RGB = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8))


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def tag(number: int, kind: int, count: int, value: bytes) -> bytes:
    return struct.pack("<HHI", number, kind, count) + value


def tags(*entries: bytes, tail: bytes = b"") -> bytes:
    """The body of EXIF data."""
    count = struct.pack("<H", len(entries))
    return b"II*\x00\x08\x00\x00\x00" + count + b"".join(entries) + bytes(4) + tail


def with_exif(body: bytes) -> bytes:
    """A JPEG whose EXIF data is whatever is given."""
    plain = encoded(RGB, "JPEG")
    body = b"Exif\x00\x00" + body
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + plain[2:]


TURNED = tag(0x0112, 3, 1, struct.pack("<HH", 6, 0))  # by 90 degrees
UPRIGHT = tag(0x0112, 3, 1, struct.pack("<HH", 1, 0))
XMP = b'http://ns.adobe.com/xap/1.0/\x00<rdf:Description tiff:Orientation="%s" dc:title="\xa8"/>'


def with_xmp(orientation: bytes) -> bytes:
    plain, body = encoded(RGB, "JPEG"), XMP % orientation
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + plain[2:]


# name -> (file, whether it shows RGB turned)
EXIF = {
    "whole": (with_exif(tags(TURNED)), True),
    "upright": (with_exif(tags(UPRIGHT)), False),
    "orientation 0": (with_exif(tags(tag(0x0112, 3, 1, bytes(4)))), False),
    "orientation 9": (with_exif(tags(tag(0x0112, 3, 1, b"\x09\0\0\0"))), False),
    "orientation as text": (with_exif(tags(tag(0x0112, 2, 2, b"6\0\0\0"))), False),
    "two orientations": (with_exif(tags(tag(0x0112, 3, 2, b"\x06\0\x03\0"))), True),
    "header twice": (with_exif(b"Exif\x00\x00" + tags(TURNED)), True),
    "resolution of 0/0": (
        with_exif(tags(TURNED, tag(0x011A, 5, 1, struct.pack("<I", 38)), tail=bytes(8))),
        True,
    ),
    "text where a number is due": (with_exif(tags(TURNED, tag(0x8769, 2, 2, b"ab\0\0"))), True),
    "a number where text is due": (with_exif(tags(TURNED, tag(0x010E, 12, 0, bytes(4)))), True),
    "floats without a value": (with_exif(tags(TURNED, tag(0x0132, 11, 0, bytes(4)))), True),
    "a place beyond the end": (with_exif(tags(TURNED, tag(0x0132, 2, 99, b"\xff" * 4))), True),
    "cut off": (with_exif(tags(TURNED)[:16]), False),
    "cut in its header": (with_exif(tags(TURNED)[:3]), False),
    "no TIFF": (with_exif(b"\x01\x02\x03 not a tiff"), False),
    "empty": (with_exif(b""), False),
    "XMP that is not UTF-8": (with_xmp(b"6"), True),
    "XMP without a number": (with_xmp(b"x"), False),
}


def _grey(kind: str) -> bytes:
    values = np.arange(0, 65536, 64, dtype=np.uint16).reshape(32, 32)
    return encoded(Image.fromarray(values), kind)


def _turned(kind: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(RGB, kind, exif=exif)


CLEAR = RGB.convert("RGBA")
CLEAR.putalpha(Image.linear_gradient("L").resize(RGB.size))
SHOWN = {
    "PNG": encoded(RGB),
    "JPEG": encoded(RGB, "JPEG"),
    "CMYK": encoded(RGB.convert("CMYK"), "JPEG"),
    "several in one file": encoded(RGB, "MPO", save_all=True, append_images=[RGB.rotate(180)]),
    "animated GIF": encoded(RGB, "GIF", save_all=True, append_images=[RGB.rotate(180)]),
    "animated WebP": encoded(RGB, "WEBP", save_all=True, append_images=[RGB], lossless=True),
    "palette with one clear colour": encoded(RGB.quantize(16), transparency=0),
    "clear PNG": encoded(CLEAR),
    "clear WebP": encoded(CLEAR, "WEBP", lossless=True),
    "clear TIFF": encoded(CLEAR, "TIFF"),
    "black and white": encoded(RGB.convert("1")),
    "16 bits of grey, PNG": _grey("PNG"),
    "16 bits of grey, TIFF": _grey("TIFF"),
    "16 bits of grey, PPM": _grey("PPM"),
    "LAB": encoded(Image.new("LAB", (40, 30), (100, 20, 30)), "TIFF"),
    "turned TIFF": _turned("TIFF"),
    "turned WebP": _turned("WEBP"),
    "one column": encoded(RGB.resize((1, 40))),
    "BMP": encoded(RGB, "BMP"),
    "ICO": encoded(RGB.resize((32, 32)), "ICO"),
    **{f"EXIF, {name}": data for name, (data, _) in EXIF.items()},
}
REFUSED = {
    "float TIFF": encoded(Image.fromarray(np.linspace(0, 1, 99, dtype=np.float32)[None]), "TIFF"),
    "32-bit TIFF": encoded(Image.fromarray(np.arange(99, dtype=np.int32)[None] * 1000), "TIFF"),
    "32-bit TIFF of small values": encoded(Image.fromarray(np.int32([[0, 200, 255]])), "TIFF"),
    "negative TIFF": encoded(Image.fromarray(np.int32([[-1, 5]])), "TIFF"),
    "half a JPEG": encoded(RGB, "JPEG")[:-300],
    "half a PNG": encoded(RGB)[:-300],
    "a page": b"<html><body>404</body></html>",
    "a pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n",
}
