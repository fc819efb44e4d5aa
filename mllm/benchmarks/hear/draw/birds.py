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
    shaped,
    tone,
    wander,
)
from mllm.benchmarks.hear.draw.voice import voice
from mllm.data.audio import RATE


def songbird(rng, time, pitch, rate):
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

    return placed(len(time), [(rng.uniform(0, 0.15), crow())])


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

    def hoots():
        at = 0.0
        for length in (0.13, 0.13, 0.4):
            size = int(length / rate * RATE)
            yield at, tone(pitch * (1 - 0.06 * np.linspace(0, 1, size)), size) * bump(size, 0.6)
            at += (length + 0.12) / rate

    first = rng.uniform(0, 0.2)
    return placed(len(time), ((first + at, hoot) for at, hoot in hoots()))


def grouse(rng, time, pitch, rate):
    """Drum with the wings: low thumps that come ever faster."""
    count = int(22 * max(1.0, time[-1] / 2))
    starts = np.cumsum(np.geomspace(0.24, 0.045, count)) / rate

    def thump():
        size = int(0.09 * RATE)
        body = tone(pitch * np.geomspace(1.4, 1.0, size), size) * decay(size, 0.03, 0.008)
        return body + 0.08 * band(rng, size, peak(350, 0.6)) * decay(size, 0.02)

    return placed(len(time), ((t, thump()) for t in starts))


VOICES = (
    voice("songbird", songbird, pitch=(2800, 4600), rate=(6.0, 9.5)),
    voice("rooster", rooster, pitch=(480, 720), rate=(0.8, 1.15)),
    voice("pigeon", pigeon, pitch=(330, 470), rate=(0.85, 1.2)),
    voice("owl", owl, pitch=(280, 420), rate=(0.85, 1.15)),
    voice("grouse", grouse, pitch=(60, 95), rate=(0.85, 1.3)),
)
