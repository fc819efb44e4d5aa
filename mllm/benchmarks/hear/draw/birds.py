"""Birds: whistles, coos, hoots and drumming."""

import numpy as np

from mllm.benchmarks.hear.draw.signals import (
    band,
    bump,
    decay,
    falling,
    formants,
    held,
    peak,
    phase,
    placed,
    regular,
    repeated,
    shaped,
    tone,
    wander,
)
from mllm.benchmarks.hear.draw.voice import voice
from mllm.data.audio import RATE


def warbler(rng, time, pitch, rate):
    """Sing short whistles that jump and glide, high up."""

    def syllable():
        size = int(rng.uniform(0.05, 0.09) * RATE)
        start, end = pitch * 2 ** rng.uniform(-0.4, 0.4, 2)
        return tone(np.geomspace(start, end, size), size, (1.0, 0.08)) * bump(size)

    return placed(len(time), ((t, syllable()) for t in regular(rng, time[-1], rate, 0.15)))


def rooster(rng, time, pitch, rate):
    """Crow in four notes, the third long and highest, with many partials."""
    notes = ((0.12, 0.8), (0.10, 1.0), (0.42, 1.35), (0.22, 0.95))

    def crow():
        steps = []
        for length, height in notes:
            size = int(length / rate * RATE)
            glide = pitch * height * (1 + 0.12 * bump(size))
            steps.append(tone(glide, size, falling(10, 0.7)) * held(size, 0.015, 0.03))
        return shaped(np.concatenate(steps), formants((1100, 1.0), (2300, 0.8), (3400, 0.4)))

    return placed(len(time), repeated(rng, time[-1], crow, 1.5))


def pigeon(rng, time, pitch, rate):
    """Coo: soft low tones that tremble."""

    def coo():
        size = int(0.62 / rate * RATE)
        glide = pitch * (1 + 0.12 * bump(size) + 0.015 * wander(rng, size, 8))
        tremble = 1 + 0.7 * np.sin(2 * np.pi * phase(24.0, size))
        return tone(glide, size, (1.0, 0.3, 0.05)) * tremble * bump(size, 0.7)

    return placed(len(time), ((t, coo()) for t in regular(rng, time[-1], 1.2 * rate, 0.05)))


def owl(rng, time, pitch, rate):
    """Hoot: pure low tones, short, short, long."""

    pause = np.zeros(int(0.12 / rate * RATE))

    def hoots():
        parts = []
        for length in (0.13, 0.13, 0.4):
            size = int(length / rate * RATE)
            sink = pitch * (1 - 0.06 * np.linspace(0, 1, size))
            parts += [tone(sink, size) * bump(size, 0.6), pause]
        return np.concatenate(parts)

    return placed(len(time), repeated(rng, time[-1], hoots, 1.2))


def grouse(rng, time, pitch, rate):
    """Drum with the wings: low thumps that come ever faster."""
    starts = np.cumsum(np.geomspace(0.24, 0.045, 20)) / rate

    def thump():
        size = int(0.09 * RATE)
        body = tone(pitch * np.geomspace(1.4, 1.0, size), size) * decay(size, 0.03, 0.008)
        return body + 0.08 * band(rng, size, peak(350, 0.6)) * decay(size, 0.02)

    def drumming():
        return placed(round((starts[-1] + 0.1) * RATE), ((t, thump()) for t in starts))

    return placed(len(time), repeated(rng, time[-1], drumming, 1.0))


VOICES = (
    voice("warbler", warbler, pitch=(2800, 4600), rate=(6.0, 9.5)),
    voice("rooster", rooster, pitch=(480, 720), rate=(0.8, 1.15)),
    voice("pigeon", pigeon, pitch=(330, 470), rate=(0.85, 1.2)),
    voice("owl", owl, pitch=(280, 420), rate=(0.85, 1.15)),
    voice("grouse", grouse, pitch=(60, 95), rate=(0.85, 1.3)),
)
