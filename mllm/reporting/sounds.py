"""Sounds of a data set as small data URIs that a page plays."""

from __future__ import annotations

import io

import numpy as np
import soundfile

from mllm.reporting.figures import data_uri

SECONDS = 4.0
_QUALITY = 0.7  # of libsndfile: 0 is the largest file, 1 the smallest


def sound_uri(samples: np.ndarray, rate: int, seconds: float = SECONDS) -> str:
    """Return the beginning of a sound, float[S] in [-1, 1], as an MP3 data URI.

    MP3 is small, every browser plays it, and the same samples give the same bytes, which in an Ogg
    file a random number changes.

    Args:
      rate: samples of a second. seconds: that are kept.

    Raises:
      ValueError: there is no sample, or one is NaN or infinite.
    """
    kept = np.asarray(samples, np.float32)[: round(seconds * rate)]
    if not len(kept) or not np.isfinite(kept).all():
        raise ValueError(f"a sound of {len(kept)} samples, expected at least one and finite ones")
    buffer = io.BytesIO()
    soundfile.write(
        buffer,
        np.clip(kept, -1, 1),
        rate,
        format="MP3",
        bitrate_mode="VARIABLE",
        compression_level=_QUALITY,
    )
    return data_uri(buffer.getvalue(), "audio/mpeg")
