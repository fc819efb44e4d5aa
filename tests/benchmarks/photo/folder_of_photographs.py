"""A folder as a person has it: photographs of all kinds, and files that are none."""

import io
import os
from pathlib import Path

import numpy as np
import odd_pictures
from PIL import Image, ImageCms

SHADES = Image.fromarray(
    np.stack(np.meshgrid(np.arange(0, 240, 4), np.arange(0, 160, 4), [90]), -1)[:, :, 0].astype(
        "u1"
    )
)
HTML = "a<img src=x onerror=alert(1)>&amp;.png"
SEEN = {  # name -> size
    HTML: (40, 30),
    "alpha.png": (40, 30),
    "animated.gif": (40, 30),
    "cmyk.jpg": (40, 30),
    "grey16.png": (32, 32),
    "nested/deep/turned.jpg": (30, 40),
    "nested/profile.png": SHADES.size,
    "panorama.jpg": (12_000, 120),
    "über \N{CAMERA}.webp": (40, 30),
}
PASSED = {
    "empty.jpg": "is empty",
    "half.jpg": "is damaged (image file is truncated",
    "nested/link/": "a link to a folder; links are not followed",
    "nowhere.jpg": "is a link to gone.jpg, which is not there",
    "phone.heic": "is HEIC that cannot be read here; install pillow-heif",
    "program.eps": "is text, not a picture",
    "saved_page.jpg": "is a web page",
    "text.jpg": "is text, not a picture",
}


def swapped_profile() -> bytes:
    """An ICC profile in which red and blue have changed places, all else as in sRGB."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    red, blue = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    swapped = bytearray(profile)
    swapped[red : red + 4], swapped[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(swapped).replace("sRGB".encode("utf-16-be"), "tRGB".encode("utf-16-be"))


def make_folder(folder: Path) -> Path:
    """Write the files of ``SEEN`` and ``PASSED``, and a hidden one."""
    (folder / "nested" / "deep").mkdir(parents=True)
    shown, refused = odd_pictures.SHOWN, odd_pictures.REFUSED
    panorama = io.BytesIO()
    odd_pictures.RGB.resize((12_000, 120)).save(panorama, "JPEG")
    files = {
        HTML: shown["PNG"],
        "alpha.png": shown["clear PNG"],
        "animated.gif": shown["animated GIF"],
        "cmyk.jpg": shown["CMYK"],
        "grey16.png": shown["16 bits of grey, PNG"],
        "nested/deep/turned.jpg": shown["EXIF, whole"],
        "nested/profile.png": odd_pictures.encoded(SHADES, icc_profile=swapped_profile()),
        "panorama.jpg": panorama.getvalue(),
        "über \N{CAMERA}.webp": shown["clear WebP"],
        "empty.jpg": b"",
        "half.jpg": refused["half a JPEG"],
        "phone.heic": b"\0\0\0\x18ftypheic" + bytes(90),
        "program.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
        "saved_page.jpg": refused["a page"],
        "text.jpg": b"not a picture\n",
        ".hidden.jpg": b"not looked at",
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    os.symlink(folder, folder / "nested" / "link")
    os.symlink("gone.jpg", folder / "nowhere.jpg")
    return folder
