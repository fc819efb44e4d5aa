"""Vehicles, alarms and tools: motors, wheels, blades, signals and blows."""

import numpy as np

from mllm.benchmarks.hear.draw.signals import (
    band,
    bump,
    decay,
    falling,
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
    wander,
)
from mllm.benchmarks.hear.draw.voice import voice
from mllm.data.audio import RATE


def car(rng, time, pitch, rate):
    """Idle and rev: the even beat of a motor that speeds up and slows down."""
    size = len(time)
    speed = pitch * np.exp(0.22 * wander(rng, size, rate))
    motor = unit(tone(speed, size, falling(24, 0.5)))
    uneven = 1 + 0.35 * np.sin(2 * np.pi * phase(speed / 2, size))
    return shaped(motor * uneven, passing(40, 900, 2)) + 0.12 * band(rng, size, passing(80, 1500))


def train(rng, time, pitch, rate):
    """Roll over joints: pairs of heavy clacks over a rumble."""

    def clack():
        size = int(0.07 * RATE)
        ring = tone(pitch, size, (1.0, 0, 0.5, 0, 0.25)) * decay(size, 0.02)
        return ring + 0.6 * band(rng, size, passing(200, 4000, 1)) * decay(size, 0.012)

    pairs = regular(rng, time[-1], rate, 0.02)
    clacks = ((t + late, clack()) for t in pairs for late in (0.0, 0.16))
    return placed(len(time), clacks) + 0.16 * band(rng, len(time), passing(40, 300, 2))


def airplane(rng, time, pitch, rate):
    """Drone: two propellers that beat slowly against each other, with much wind."""
    size = len(time)
    slope = falling(18, 0.8)
    both = tone(pitch, size, slope) + tone(pitch * 1.02 + rate, size, slope)
    return unit(both) + 0.5 * band(rng, size, passing(300, 2500, 1))


def helicopter(rng, time, pitch, rate):
    """Chop: low noise in hard even beats, with a turbine's whine."""
    size = len(time)
    beat = np.exp(-6 * (phase(rate, size) % 1.0))
    blades = band(rng, size, passing(40, pitch, 2)) * beat
    whine = tone(pitch * 8, size, (1.0, 0.4)) * 0.06
    return blades + whine


def siren(rng, time, pitch, rate):
    """Wail: one loud tone that climbs and falls over an octave."""
    size = len(time)
    sweep = pitch * 2 ** (0.6 * np.sin(2 * np.pi * phase(rate, size, rng.uniform())))
    return shaped(tone(sweep, size, falling(8, 0.8)), passing(300, 5000, 1))


def horn(rng, time, pitch, rate):
    """Honk: two steady notes a third apart, full of partials, once or twice."""

    def honk(length):
        size = int(length * RATE)
        both = tone(pitch, size, falling(16, 0.35)) + tone(pitch * 1.26, size, falling(16, 0.35))
        return shaped(both, peak(1800, 1.3)) * held(size, 0.01, 0.02)

    def honks():
        first, gap = 0.5 / rate, np.zeros(int(0.15 / rate * RATE))
        return np.concatenate([honk(first), gap, honk(1.4 * first)])

    return placed(len(time), repeated(rng, time[-1], honks, 1.2))


def telephone(rng, time, pitch, rate):
    """Ring: two tones that take turns quickly, in bursts."""

    def ring():
        size = int(0.5 / rate * RATE)
        turn = np.sin(2 * np.pi * phase(20.0, size)) > 0
        return tone(np.where(turn, pitch, pitch * 1.25), size, (1.0, 0.0, 0.3)) * held(size)

    return placed(len(time), ((t, ring()) for t in regular(rng, time[-1], 1.4 * rate, 0.0)))


def beeper(rng, time, pitch, rate):
    """Beep: one pure high tone in even pulses."""

    def beep():
        size = int(0.5 / rate * RATE)
        return tone(pitch, size, (1.0, 0.15)) * held(size, 0.003, 0.003)

    return placed(len(time), ((t, beep()) for t in regular(rng, time[-1], rate, 0.0)))


def drill(rng, time, pitch, rate):
    """Whirr: a motor that runs up to a high whine, slows in the material, and stops."""

    def run():
        size = int(1.3 / rate * RATE)
        speed = np.interp(
            np.linspace(0, 1, size), (0, 0.2, 0.35, 0.8, 1), (0.3, 1, 0.82, 0.85, 0.3)
        )
        whine = tone(pitch * speed, size, (1.0, 0.7, 0.9, 0.3, 0.5, 0.3, 0.3, 0.2))
        rasp = band(rng, size, passing(1500, 6000, 2)) * (speed > 0.5)
        return (unit(whine) + 0.35 * rasp) * np.clip(speed * 3 - 0.9, 0, 1)

    return placed(len(time), repeated(rng, time[-1], run, 0.9))


def hammer(rng, time, pitch, rate):
    """Knock: hard blows on wood with a nail that rings."""

    def blow():
        size = int(0.16 * RATE)
        parts = ((pitch, 1.0, 0.025), (2 * pitch, 0.5, 0.025), (7.3 * pitch, 0.45, 0.035))
        click = band(rng, size, passing(800, 7000, 1)) * decay(size, 0.006)
        return ringing(size, parts) + 0.35 * click

    return placed(len(time), ((t, blow()) for t in regular(rng, time[-1], rate, 0.05)))


def saw(rng, time, pitch, rate):
    """Rasp: strokes of noise to and fro, the one higher than the other, with teeth in them."""

    def stroke(height):
        size = int(0.46 / rate * RATE)
        teeth = 1 + 0.8 * np.sin(2 * np.pi * phase(90 * bump(size) + 20, size))
        return band(rng, size, peak(height, 0.45)) * teeth * bump(size)

    starts = regular(rng, time[-1] + 1, rate, 0.03)
    strokes = (
        (t + late, stroke(high))
        for t in starts
        for late, high in ((0.0, pitch), (0.5 / rate, 1.5 * pitch))
    )
    return placed(len(time), strokes)


VOICES = (
    voice("car", car, pitch=(55, 95), rate=(0.6, 1.3)),
    voice("train", train, pitch=(380, 620), rate=(1.5, 2.4)),
    voice("airplane", airplane, pitch=(105, 170), rate=(1.5, 4.0)),
    voice("helicopter", helicopter, pitch=(170, 300), rate=(9, 14)),
    voice("siren", siren, pitch=(750, 1150), rate=(0.7, 1.3)),
    voice("horn", horn, pitch=(330, 470), rate=(0.8, 1.25)),
    voice("telephone", telephone, pitch=(950, 1350), rate=(0.8, 1.2)),
    voice("beeper", beeper, pitch=(2600, 3500), rate=(2.4, 4.0)),
    voice("drill", drill, pitch=(420, 680), rate=(0.75, 1.1)),
    voice("hammer", hammer, pitch=(280, 460), rate=(2.0, 3.6)),
    voice("saw", saw, pitch=(1700, 2600), rate=(1.3, 2.1)),
)
