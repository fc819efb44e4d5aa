"""Digests of what a model is shown, independent of how it is stored."""

import hashlib
import io

import numpy as np
import soundfile
from PIL import Image

from mllm.data.images import orientation


def picture_digest(encoded: bytes) -> bytes:
    """Return sha256 of a picture: of its pixels where the file is a plain PNG, else of the file.

    PNG files of the same picture differ between versions of zlib; the picture is what counts. What
    is shown of a PNG with transparency, more than 8 bits or an orientation depends on more than
    its colours, so it counts by its bytes.
    """
    with Image.open(io.BytesIO(encoded)) as image:
        if image.format != "PNG":
            return hashlib.sha256(encoded).digest()
        image.load()
        if not _is_plain(image):
            return hashlib.sha256(encoded).digest()
        pixels = np.asarray(image.convert("RGB"))
    return hashlib.sha256(str(pixels.shape).encode() + pixels.tobytes()).digest()


def sound_digest(encoded: bytes) -> bytes:
    """Return sha256 of a sound: of its samples where the file is 16-bit FLAC, else of the file.

    FLAC files of the same samples differ between versions of the encoder.
    """
    try:
        with soundfile.SoundFile(io.BytesIO(encoded)) as file:
            if (file.format, file.subtype) != ("FLAC", "PCM_16"):
                return hashlib.sha256(encoded).digest()
            rate, samples = file.samplerate, file.read(dtype="int16", always_2d=True)
    except soundfile.SoundFileError:
        return hashlib.sha256(encoded).digest()
    head = f"{rate} {samples.shape}".encode()
    return hashlib.sha256(head + samples.astype("<i2").tobytes()).digest()


def _is_plain(image: Image.Image) -> bool:
    if image.mode[0] in "IF" or orientation(image) != 1:
        return False
    opaque = image.mode == "RGBA" and image.getextrema()[3] == (255, 255)
    return opaque or not image.has_transparency_data
