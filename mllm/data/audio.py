"""Encoded sounds to samples, on the host with libsndfile: mono, 16 kHz, float32.

    decode    bytes -> samples: WAV, FLAC, OGG with Vorbis or Opus, MP3 and what else libsndfile
              reads, of any rate and number of channels
    fit       samples -> those that a model hears, by a policy for clips of other lengths

Silence and clipped sound are read as they are. Samples of float files may lie beyond [-1, 1]; they
are kept. Where the header of a file promises more samples than follow, those that are there count.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from math import gcd

import numpy as np
import soundfile

from mllm.registry import lookup

RATE = 16_000  # samples of a second, as models hear them
HOP = 160  # samples from one frame of a spectrogram to the next
RATES = 1_000, 768_000  # samples of a second that a file may have
MAX_SECONDS = 3600  # of a file
BLOCK = 1 << 20  # samples that are read at once
CONTAINERS = {  # of films, by what stands at the beginning of a file, from some byte on
    "MP4 or QuickTime": (4, b"ftyp"),
    "Matroska or WebM": (0, b"\x1a\x45\xdf\xa3"),
    "AVI": (8, b"AVI "),
    "MPEG": (0, b"\x00\x00\x01\xba"),
    "Flash": (0, b"FLV"),
}


@dataclass(frozen=True)
class AudioConfig:
    """How a sound becomes samples and tokens.

    Attributes:
      token: stands for a sound in the text. begin, end: stand around it; None for none.
      seconds: the longest sound that the model hears. policy: a name of ``POLICIES``.
      tokens: of every sound; 0 where they follow from its length, as in Qwen2-Audio: Whisper halves
        the frames of a spectrogram, and ``pool`` of what comes out are averaged into a token.

    Raises:
      ValueError: an unknown policy, or a number that is not positive.
    """

    token: str = "<|AUDIO|>"
    begin: str | None = "<|audio_bos|>"
    end: str | None = "<|audio_eos|>"
    seconds: float = 30.0
    policy: str = "crop"
    tokens: int = 0
    pool: int = 2

    def __post_init__(self):
        lookup(POLICIES, self.policy, "policy for sounds of other lengths")
        if self.window < 1 or self.pool < 1 or self.tokens < 0:
            raise ValueError(
                f"seconds {self.seconds}, pool {self.pool}, tokens {self.tokens}: expected the "
                "first two above 0 and the last at least 0"
            )

    @property
    def window(self) -> int:
        """Samples of the longest sound."""
        return round(self.seconds * RATE)

    @property
    def least(self) -> int:
        """Samples of the shortest sound that has a token; shorter ones are followed by silence."""
        return 1 if self.tokens else HOP * (2 * self.pool - 2) + 1

    def tokens_of(self, samples: int) -> int:
        """Return the tokens of a sound."""
        frames = -(-samples // HOP)
        return self.tokens or (frames + 1) // 2 // self.pool


def decode(data: bytes, where: str = "audio") -> np.ndarray:
    """Return the samples of an encoded sound, float32[S] at 16 kHz; channels are averaged.

    Raises:
      ValueError: it cannot be decoded, is empty or a film, or holds NaN or infinity; the message
        starts with ``where``.
    """
    for name, (start, mark) in CONTAINERS.items():
        if data[start : start + len(mark)] == mark:
            raise ValueError(
                f"{where}: is a container for films ({name}), expected a sound file; write its "
                "sound to one, such as WAV or FLAC"
            )
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            rate, sound = file.samplerate, _read(file, where)
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise ValueError(f"{where}: cannot be decoded as a sound ({error})") from None
    if not len(sound):
        raise ValueError(f"{where}: holds no sample")
    wrong = np.flatnonzero(~np.isfinite(sound).all(axis=1))
    if len(wrong):
        raise ValueError(
            f"{where}: {len(wrong)} of {len(sound)} samples are NaN or infinite, the first at "
            f"{wrong[0] / rate:.3f} s"
        )
    return resample(sound.mean(axis=1), rate)


def _read(file: soundfile.SoundFile, where: str) -> np.ndarray:
    """Return float32[S, channels] of an open file."""
    rate, (least, most) = file.samplerate, RATES
    if not least <= rate <= most:
        raise ValueError(f"{where}: has {rate} samples a second, expected {least} to {most}")
    blocks, count = [], 0
    while len(block := file.read(BLOCK, dtype="float32", always_2d=True)):
        blocks.append(block)
        count += len(block)
        if count > MAX_SECONDS * rate:
            raise ValueError(f"{where}: is longer than {MAX_SECONDS} s; cut it into clips")
    return np.concatenate(blocks) if blocks else np.zeros((0, 1), np.float32)


def resample(sound: np.ndarray, rate: int) -> np.ndarray:
    """Return float32 samples at 16 kHz of samples at another rate, by a polyphase filter."""
    if rate == RATE:
        return sound.astype(np.float32)
    from scipy import signal  # only here: every command reads this file, and few hear

    common = gcd(rate, RATE)
    return signal.resample_poly(sound, RATE // common, rate // common).astype(np.float32)


def fit(sound: np.ndarray, config: AudioConfig, where: str = "audio") -> np.ndarray:
    """Return the samples of a sound that a model hears.

    Raises:
      ValueError: the policy refuses sounds that long; the message starts with ``where``.
    """
    sound = POLICIES[config.policy](sound, config.window, where)
    return np.pad(sound, (0, max(config.least - len(sound), 0)))


def _pad(sound: np.ndarray, window: int, where: str) -> np.ndarray:
    if len(sound) > window:
        raise ValueError(
            f"{where}: lasts {len(sound) / RATE:.2f} s, but the model hears {window / RATE:g} s; "
            "cut it, or choose the policy 'crop'"
        )
    return sound


def _crop(sound: np.ndarray, window: int, where: str) -> np.ndarray:
    return sound[:window]


def _loop(sound: np.ndarray, window: int, where: str) -> np.ndarray:
    return np.resize(sound, window)


# A shorter sound is followed by silence, but repeated until the window is full by "loop"; of a
# longer one, the beginning is heard, but "pad" refuses it.
POLICIES: dict[str, Callable[[np.ndarray, int, str], np.ndarray]] = {
    "pad": _pad,
    "crop": _crop,
    "loop": _loop,
}
