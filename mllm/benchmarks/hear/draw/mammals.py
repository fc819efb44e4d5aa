"""Mammals: barks, meows, moos and howls."""

import numpy as np

from mllm.benchmarks.hear.draw.signals import (
    band,
    bump,
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
    shaped,
    tone,
    unit,
    wander,
)
from mllm.benchmarks.hear.draw.voice import voice
from mllm.data.audio import RATE


def dog(rng, time, pitch, rate):
    """Bark: short rough bursts that fall in pitch."""

    def bark():
        size = int(rng.uniform(0.13, 0.18) * RATE)
        glide = pitch * np.geomspace(1.25, 0.8, size)
        voiced = unit(tone(glide, size, falling(14, 0.5)))
        rough = 0.6 * band(rng, size, passing(400, 3000, 2))
        throat = formants((pitch * 2.2, 1.0), (1900, 0.8), (3000, 0.3))
        return shaped(voiced + rough, throat) * decay(size, 0.07, 0.012)

    return placed(len(time), ((t, bark()) for t in regular(rng, time[-1], rate, 0.12)))


def cat(rng, time, pitch, rate):
    """Meow: one nasal call that rises and falls while the mouth opens and closes."""
    closed, opened = formants((900, 1.0)), formants((1500, 1.0), (2700, 0.9), (4200, 0.4))

    def meow():
        size = int(0.85 / rate * RATE)
        glide = pitch * (0.85 + 0.35 * bump(size) - 0.12 * np.linspace(0, 1, size))
        voiced, mouth = tone(glide, size, falling(12, 0.6)), bump(size, 1.5)
        call = (1 - mouth) * shaped(voiced, closed) + mouth * shaped(voiced, opened)
        return call * bump(size, 0.5)

    return placed(len(time), repeated(rng, time[-1], meow, 1.2))


def cow(rng, time, pitch, rate):
    """Moo: one long low call with a closed throat."""
    throat = formants((260, 1.0), (560, 0.7), (1050, 0.2))

    def moo():
        size = int(1.25 / rate * RATE)
        glide = pitch * (0.9 + 0.22 * bump(size, 0.8) + 0.008 * wander(rng, size, 10))
        return shaped(tone(glide, size, falling(30, 0.45)), throat) * held(size, 0.12, 0.25)

    return placed(len(time), repeated(rng, time[-1], moo, 1.2))


def wolf(rng, time, pitch, rate):
    """Howl: a nearly pure tone that climbs, stays long and sinks."""

    def howl():
        size = int(1.6 / rate * RATE)
        climb = np.interp(np.linspace(0, 1, size), (0, 0.22, 0.7, 1), (0.62, 1.0, 1.04, 0.72))
        waver = 1 + 0.012 * np.sin(2 * np.pi * phase(4.5 * rate, size))
        breath = 0.03 * band(rng, size, peak(pitch * 2, 0.5))
        return (tone(pitch * climb * waver, size, (1.0, 0.4, 0.12)) + breath) * held(size, 0.1, 0.2)

    return placed(len(time), repeated(rng, time[-1], howl, 1.0, late=0.1))


VOICES = (
    voice("dog", dog, pitch=(330, 620), rate=(2.0, 3.4)),
    voice("cat", cat, pitch=(520, 800), rate=(0.85, 1.2)),
    voice("cow", cow, pitch=(95, 150), rate=(0.9, 1.2)),
    voice("wolf", wolf, pitch=(420, 640), rate=(0.8, 1.25)),
)
