"""Equal digests are shown alike; what is shown otherwise has another digest."""

import io

import numpy as np
import pytest
from odd_pictures import CLEAR, EXIF, RGB, SHOWN, encoded
from PIL import Image

from mllm.benchmarks.digests import picture_digest
from mllm.benchmarks.mllmu.schema import Profile, fingerprint
from mllm.data.images import ALPHA, decode


def exif(orientation):
    found = Image.Exif()
    found[0x0112] = orientation
    return found


@pytest.mark.filterwarnings("ignore")  # of Pillow, about EXIF data
def test_files_of_one_digest_are_shown_alike_and_what_differs_is_seen():
    half = CLEAR.copy()
    half.putalpha(128)
    opaque = RGB.convert("RGBA")
    files = {
        **SHOWN,
        "packed less": encoded(RGB, compress_level=0),
        "opaque": encoded(opaque),
        "half clear": encoded(half),
        "turned": encoded(RGB, exif=exif(6)),
        "turned the other way": encoded(RGB, exif=exif(8)),
        "one clear colour": encoded(RGB, transparency=RGB.getpixel((0, 0))),
    }
    by_digest = {}
    for name, data in files.items():
        by_digest.setdefault(picture_digest(data), {})[name] = data
    for alike in by_digest.values():
        for alpha in ALPHA:
            shown = {decode(data, alpha=alpha).tobytes() for data in alike.values()}
            assert len(shown) == 1, alike.keys()
    plain = by_digest[picture_digest(SHOWN["PNG"])]
    assert plain.keys() == {"PNG", "packed less", "opaque"}
    assert len(by_digest) == len(files) - 2


def test_generated_drawings_keep_the_digest_of_their_pixels():
    """sha256 of shape and pixels: what every fingerprint so far was computed from."""
    import hashlib

    pixels = np.asarray(RGB)
    expected = hashlib.sha256(b"(30, 40, 3)" + pixels.tobytes()).digest()
    for image in (RGB, RGB.convert("RGBA")):
        assert picture_digest(encoded(image)) == expected
    with Image.open(io.BytesIO(EXIF["whole"][0])) as image:
        assert image.format == "JPEG"
    assert picture_digest(EXIF["whole"][0]) == hashlib.sha256(EXIF["whole"][0]).digest()


@pytest.mark.parametrize("change", ["name", "order", "picture", "split", "none"])
def test_a_fingerprint_tells_rows_apart(change):
    def rows(second="b", picture=RGB):
        return [
            Profile(name, f"Person {name}", "fictitious", (encoded(picture),))
            for name in ("a", second)
        ]

    first = fingerprint({"full": rows()})
    other = {
        "name": {"full": rows(second="c")},
        "order": {"full": rows()[::-1]},
        "picture": {"full": rows(picture=RGB.rotate(180))},
        "split": {"test": rows()},
        "none": {"full": iter(rows())},
    }[change]
    assert (fingerprint(other) == first) == (change == "none")
