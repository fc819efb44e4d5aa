"""Insects: chirps, drones and whines."""

import numpy as np

from mllm.benchmarks.hear.draw.signals import (
    band,
    bump,
    falling,
    peak,
    phase,
    placed,
    regular,
    tone,
    wander,
)
from mllm.benchmarks.hear.draw.voice import voice
from mllm.data.audio import RATE


def cricket(rng, time, pitch, rate):
    """Chirp: bursts of three or four pulses of one high tone."""
    pulses = int(rng.integers(3, 5))

    def chirp():
        size, gap = int(0.018 * RATE), int(0.012 * RATE)
        pulse = np.append(tone(pitch, size, (1.0, 0.1)) * bump(size), np.zeros(gap))
        return np.tile(pulse, pulses)

    return placed(len(time), ((t, chirp()) for t in regular(rng, time[-1], rate, 0.03)))


def cicada(rng, time, pitch, rate):
    """Drone: a broad band of high noise in fast even pulses."""
    size = len(time)
    pulses = np.maximum(0, np.sin(2 * np.pi * phase(rate, size))) ** 2
    swell = 1 + 0.2 * wander(rng, size, 0.7)
    return band(rng, size, peak(pitch, 0.2)) * (0.15 + pulses) * swell


def mosquito(rng, time, pitch, rate):
    """Whine: a thin steady tone that comes near and goes away."""
    size = len(time)
    glide = pitch * (1 + 0.035 * wander(rng, size, rate))
    near = 1 + 0.35 * wander(rng, size, 0.8 * rate)
    return tone(glide, size, falling(9, 0.55)) * np.clip(near, 0.25, None)


VOICES = (
    voice("cricket", cricket, pitch=(4000, 5200), rate=(2.6, 4.2)),
    voice("cicada", cicada, pitch=(5200, 6600), rate=(45, 75)),
    voice("mosquito", mosquito, pitch=(480, 720), rate=(0.8, 1.6)),
)
