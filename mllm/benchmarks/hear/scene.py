"""Where a sound is heard: room, background, level and moment, all recorded."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import signal

from mllm.benchmarks.hear.draw.signals import band, generator, passing, times, tone
from mllm.data.audio import RATE

BACKGROUNDS = ("hiss", "rumble", "hum")
SPARE = 0.1  # of the length of a clip: by how much sounds are longer, to start anywhere
EARLY = 0.004  # seconds before a room answers
FRAME = 800  # samples over which loudness is measured


def draw_scene(rng: np.random.Generator, seconds: float) -> dict[str, Any]:
    """Draw a scene for a clip of some length.

    Returns:
      reverberation_s: seconds until the room has faded by 60 dB. wet: loudness of its answer, as a
        share of that of the sound.
      background: of ``BACKGROUNDS``. snr_db: by how much the sound is louder.
      peak_db: of the clip, relative to full scale.
      start_s: how much of the sound is over when the clip starts.
      seed: of room and background.
    """
    return {
        "reverberation_s": _rounded(np.exp(rng.uniform(np.log(0.08), np.log(0.6)))),
        "wet": _rounded(rng.uniform(0.0, 0.5)),
        "background": BACKGROUNDS[rng.integers(len(BACKGROUNDS))],
        "snr_db": _rounded(rng.uniform(14, 36)),
        "peak_db": _rounded(rng.uniform(-18, -1)),
        "start_s": _rounded(rng.uniform(0.0, SPARE) * seconds),
        "seed": int(rng.integers(1 << 31)),
    }


def mix(sounds: Sequence[np.ndarray], levels_db: Sequence[float]) -> np.ndarray:
    """Return the sum of sounds float64[S] at levels relative to the loudness of the first."""
    first = loudness(sounds[0])
    gains = (
        first / loudness(one) * 10 ** (level / 20)
        for one, level in zip(sounds, levels_db, strict=True)
    )
    return sum(gain * one for gain, one in zip(gains, sounds, strict=True))


def loudness(sound: np.ndarray) -> float:
    """Return the root mean square of the loudest 50 ms of a sound."""
    energy = np.concatenate([[0.0], np.cumsum(sound**2)])
    frame = min(FRAME, len(sound))
    return float(np.sqrt(max((energy[frame:] - energy[:-frame]).max() / frame, 1e-12)))


def heard(sound: np.ndarray, scene: Mapping[str, Any], seconds: float) -> np.ndarray:
    """Return so many seconds of a sound as they are heard in a scene, float64[S].

    Args:
      sound: float64; at least ``SPARE`` longer than what is heard. scene: see `draw_scene`.
    """
    rng, size = generator("scene", scene["seed"]), round(seconds * RATE)
    start = round(scene["start_s"] * RATE)
    wet = signal.fftconvolve(sound, _room(rng, scene["reverberation_s"]))[: len(sound)]
    answered = sound + scene["wet"] * wet * loudness(sound) / loudness(wet)
    answered = answered[start : start + size]
    noise = _background(rng, size, scene["background"])
    noise *= loudness(answered) / loudness(noise) * 10 ** (-scene["snr_db"] / 20)
    both = answered + noise
    return both / np.abs(both).max() * 10 ** (scene["peak_db"] / 20)


def _room(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Return the answer of a room: noise that fades by 60 dB in so many seconds."""
    t = times(seconds)
    answer = rng.standard_normal(len(t)) * 10 ** (-3 * t / seconds)
    return answer * (t > EARLY)


def _background(rng: np.random.Generator, size: int, kind: str) -> np.ndarray:
    if kind == "hiss":
        return band(rng, size, passing(30, 7000, 1))
    rumble = band(rng, size, passing(20, 250, 1))
    if kind == "rumble":
        return rumble
    mains = tone(float(rng.choice((50.0, 60.0))), size, (1.0, 0.5, 0.3))
    return mains + 0.3 * rumble


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
