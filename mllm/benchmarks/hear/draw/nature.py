"""Weather and water: noise with shapes and envelopes, drops and bubbles."""

import numpy as np

from mllm.benchmarks.hear.draw.signals import (
    band,
    bump,
    decay,
    passing,
    peak,
    placed,
    regular,
    repeated,
    scattered,
    shaped,
    tone,
    wander,
)
from mllm.benchmarks.hear.draw.voice import voice
from mllm.data.audio import RATE


def wind(rng, time, pitch, rate):
    """Blow: low noise in gusts, with a whistle that follows them."""
    size = len(time)
    gust = np.exp(0.5 * wander(rng, size, rate))
    low = band(rng, size, peak(pitch, 0.7))
    whistle = band(rng, size, peak(2.2 * pitch, 0.12))
    return gust * low + 0.5 * gust**2 * whistle


def rain(rng, time, pitch, rate):
    """Patter: a dense shower of short high clicks over a hiss."""
    size = len(time)
    drops = np.zeros(size)
    hits = rng.integers(0, size, int(rate * time[-1]))
    np.add.at(drops, hits, rng.lognormal(0, 0.6, len(hits)) * rng.choice((-1, 1), len(hits)))
    hiss = band(rng, size, passing(1500, 7000, 1))
    return shaped(drops, peak(pitch, 0.7)) + 0.02 * hiss


def thunder(rng, time, pitch, rate):
    """Crack, then roll: a burst of noise that becomes low and dies away."""

    def clap():
        size = int(3.0 / rate * RATE)
        after = np.arange(size) / RATE
        crack = band(rng, size, passing(150, 2500, 1)) * np.exp(-after / 0.09)
        roll = band(rng, size, passing(25, pitch, 2)) * np.exp(0.5 * wander(rng, size, 5))
        return crack + 1.4 * roll * np.exp(-after * rate)

    return placed(len(time), repeated(rng, time[-1], clap, 1.0, late=0.3))


def _bubble(rng, pitch, length, rise):
    """Return a bubble that bursts: a tone that rises and fades."""
    size = int(length * RATE)
    return tone(np.geomspace(pitch, pitch * rise, size), size) * decay(size, length / 3)


def stream(rng, time, pitch, rate):
    """Babble: many bubbles of all sizes over a soft rush."""
    bubbles = (
        (t, rng.lognormal(0, 0.5) * _bubble(rng, pitch * 2 ** rng.uniform(-1, 1), 0.06, 1.35))
        for t in scattered(rng, time[-1], rate)
    )
    rush = band(rng, len(time), passing(300, 1800, 1))
    return placed(len(time), bubbles) + 0.10 * rush


def surf(rng, time, pitch, rate):
    """Break: white noise that swells, breaks and draws back, growing darker."""
    size = len(time)
    waves = regular(rng, time[-1] + 1 / rate, rate, 0.1) - 0.5 / rate
    swell = sum(np.exp(-0.5 * ((time - at) * rate / 0.17) ** 2) for at in waves)
    bright = band(rng, size, passing(200, pitch, 1)) * swell**1.5
    dark = band(rng, size, passing(60, 500, 1)) * (0.2 + swell)
    return bright + 0.5 * dark


def drip(rng, time, pitch, rate):
    """Drip: single bubbles at even distances, with a click as each drop hits."""

    def drop():
        click = band(rng, int(0.01 * RATE), passing(2500, 7000, 2)) * bump(int(0.01 * RATE))
        bubble = _bubble(rng, pitch * rng.uniform(0.95, 1.05), 0.12, 1.7)
        return np.concatenate([0.25 * click, bubble])

    return placed(len(time), ((t, drop()) for t in regular(rng, time[-1], rate, 0.06)))


VOICES = (
    voice("wind", wind, pitch=(280, 520), rate=(0.5, 1.2)),
    voice("rain", rain, pitch=(3800, 5600), rate=(250, 700)),
    voice("thunder", thunder, pitch=(110, 200), rate=(1.0, 2.0)),
    voice("stream", stream, pitch=(500, 900), rate=(50, 110)),
    voice("surf", surf, pitch=(3500, 6500), rate=(0.7, 1.1)),
    voice("drip", drip, pitch=(700, 1300), rate=(1.8, 3.4)),
)
