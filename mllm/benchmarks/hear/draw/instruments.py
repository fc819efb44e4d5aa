"""Instruments: strings that are plucked and bowed, columns of air, things that are struck."""

import numpy as np

from mllm.benchmarks.hear.draw.signals import (
    band,
    decay,
    falling,
    formants,
    held,
    passing,
    peak,
    phase,
    placed,
    regular,
    repeated,
    ringing,
    shaped,
    tone,
    unit,
)
from mllm.benchmarks.hear.draw.voice import voice
from mllm.data.audio import RATE

SCALE = 2 ** (np.array((0, 2, 4, 7, 9, 12)) / 12)  # pentatonic


def _melody(rng, time, pitch, rate, note):
    """Return notes of a scale, each made by ``note`` of its frequency."""
    starts = regular(rng, time[-1], rate, 0.03)
    return placed(len(time), ((t, note(pitch * rng.choice(SCALE))) for t in starts))


def _rung(frequency, size, partials):
    """Return partials that fade: (ratio, amplitude, seconds to 1/e)."""
    return ringing(size, ((frequency * ratio, loud, fade) for ratio, loud, fade in partials))


def guitar(rng, time, pitch, rate):
    """Pluck single strings: bright at first, darker as they fade."""

    def note(frequency):
        size = int(0.5 * RATE)
        partials = [(k, k**-0.8, 0.45 / k**0.8) for k in range(1, 13)]
        return _rung(frequency, size, partials) * held(size, 0.002, 0.03)

    return _melody(rng, time, pitch, rate, note)


def violin(rng, time, pitch, rate):
    """Bow long notes with vibrato and much brightness."""

    def note(frequency):
        size = int(0.96 / rate * RATE)
        vibrato = 1 + 0.018 * np.sin(2 * np.pi * phase(6.0, size))
        bowed = tone(frequency * vibrato, size, falling(16, 0.75))
        scratch = 0.12 * band(rng, size, passing(2000, 7000, 1))
        body = formants((500, 0.6), (1100, 0.7), (2700, 1.0))
        return shaped(unit(bowed) + scratch, body) * held(size, 0.08, 0.06)

    return _melody(rng, time, pitch, rate, note)


def harp(rng, time, pitch, rate):
    """Run over many strings, upwards and fast."""
    ratios = np.concatenate([SCALE[:-1] * 2**octave for octave in range(3)])

    def string(frequency):
        size = int(0.6 * RATE)
        return _rung(frequency, size, ((1, 1.0, 0.3), (2, 0.3, 0.15), (3, 0.1, 0.08)))

    first = rng.uniform(0, 0.1)
    starts = first + np.arange(len(ratios)) / rate
    turns = int(np.ceil(time[-1] * rate / len(ratios)))
    return placed(
        len(time),
        (
            (t + turn * len(ratios) / rate, string(pitch * ratio))
            for turn in range(turns)
            for t, ratio in zip(starts, ratios, strict=True)
        ),
    )


def flute(rng, time, pitch, rate):
    """Blow over an edge: a nearly pure tone with breath in it."""

    def note(frequency):
        size = int(0.9 / rate * RATE)
        vibrato = 1 + 0.25 * np.sin(2 * np.pi * phase(5.0, size))
        breath = 0.16 * band(rng, size, peak(frequency * 2, 1.0))
        return (tone(frequency, size, (1.0, 0.25, 0.06)) * vibrato + breath) * held(
            size, 0.06, 0.05
        )

    return _melody(rng, time, pitch, rate, note)


def trumpet(rng, time, pitch, rate):
    """Blow brass: notes whose high partials come a little after the low ones."""

    def note(frequency):
        size = int(0.75 / rate * RATE)
        t = np.arange(size) / RATE
        turns = 2 * np.pi * phase(frequency, size)
        tops = int(min(14, 7600 // frequency))
        made = sum(
            k**-0.3 * np.sin(k * turns) * (1 - np.exp(-t / (0.012 * k))) for k in range(1, tops + 1)
        )
        return shaped(made, peak(1500, 1.2)) * held(size, 0.02, 0.05)

    return _melody(rng, time, pitch, rate, note)


def organ(rng, time, pitch, rate):
    """Hold a chord of many pipes."""
    stops = (1.0, 0.8, 0, 0.7, 0, 0, 0, 0.5, 0, 0, 0, 0, 0, 0, 0, 0.25)

    def chord():
        size, low = int(2.4 / rate * RATE), pitch * rng.choice(SCALE[:4])
        pipes = sum(tone(low * ratio, size, stops) for ratio in (1.0, 1.26, 1.498, 2.0))
        tremulant = 1 + 0.12 * np.sin(2 * np.pi * phase(6 * rate, size))
        return pipes * tremulant * held(size, 0.05, 0.05)

    return placed(len(time), repeated(rng, time[-1], chord, 0.03, late=0.05))


def drum(rng, time, pitch, rate):
    """Beat a skin: low thuds that sink in pitch."""

    def beat():
        size = int(0.3 * RATE)
        sink = pitch * (1 + 0.8 * np.exp(-np.arange(size) / RATE / 0.03))
        skin = tone(sink, size, (1.0, 0.25)) * decay(size, 0.1)
        return skin + 0.12 * band(rng, size, passing(500, 3000, 1)) * decay(size, 0.015)

    return placed(len(time), ((t, beat()) for t in regular(rng, time[-1], rate, 0.08)))


def bell(rng, time, pitch, rate):
    """Toll: inharmonic partials that ring on."""
    partials = (
        (0.5, 0.5, 1.2), (1.0, 1.0, 0.9), (1.2, 0.7, 0.8), (1.5, 0.4, 0.6), (2.0, 0.8, 0.7),
        (2.67, 0.4, 0.4), (3.01, 0.5, 0.35), (4.17, 0.4, 0.25), (5.43, 0.3, 0.18),
    )  # fmt: skip
    size = len(time)
    return placed(size, ((t, _rung(pitch, size, partials)) for t in regular(rng, time[-1], rate)))


def xylophone(rng, time, pitch, rate):
    """Strike bars of wood: short high notes, fast."""

    def note(frequency):
        size = int(0.2 * RATE)
        bar = _rung(frequency, size, ((1, 1.0, 0.05), (3.0, 0.35, 0.02), (6.2, 0.15, 0.01)))
        return bar + 0.1 * band(rng, size, passing(1000, 6000, 1)) * decay(size, 0.004)

    return _melody(rng, time, pitch, rate, note)


VOICES = (
    voice("guitar", guitar, pitch=(140, 230), rate=(3.0, 4.5)),
    voice("violin", violin, pitch=(380, 560), rate=(1.2, 2.0)),
    voice("harp", harp, pitch=(240, 340), rate=(12, 18)),
    voice("flute", flute, pitch=(700, 1050), rate=(1.6, 2.6)),
    voice("trumpet", trumpet, pitch=(280, 420), rate=(2.4, 3.8)),
    voice("organ", organ, pitch=(160, 260), rate=(0.8, 1.2)),
    voice("drum", drum, pitch=(65, 110), rate=(2.2, 4.0)),
    voice("bell", bell, pitch=(420, 700), rate=(0.8, 1.4)),
    voice("xylophone", xylophone, pitch=(900, 1300), rate=(5.0, 8.0)),
)
