"""Arrays that sounds are made with: tones, noise, envelopes, events. Signals are float64[S].

S samples, 16 kHz. Frequencies are in Hz, times in seconds.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from scipy import fft, signal

from mllm.data.audio import RATE

HIGHEST = 7600.0  # Hz: partials above are left out, so that nothing is folded back
ATTACK = 0.002  # of what is struck or plucked
FADE = 0.004  # of the ends of events

Curve = float | np.ndarray


def generator(*seed: object) -> np.random.Generator:
    """Return a generator of random numbers that depends on the text of its seeds alone."""
    text = "/".join(map(str, seed))
    return np.random.default_rng(list(hashlib.sha256(text.encode()).digest()))


def times(seconds: float) -> np.ndarray:
    """Return the times float64[S] of the samples of so many seconds."""
    return np.arange(round(seconds * RATE)) / RATE


def phase(frequency: Curve, size: int, start: float = 0.0) -> np.ndarray:
    """Return the phase float64[size] in turns of a frequency, or of one that changes."""
    steps = np.broadcast_to(np.asarray(frequency, float) / RATE, (size,))
    return start + np.cumsum(steps) - steps[0]


def tone(frequency: Curve, size: int, partials: Sequence[float] = (1.0,)) -> np.ndarray:
    """Return a harmonic tone; ``partials`` are the amplitudes of its multiples of the frequency."""
    first = np.exp(2j * np.pi * phase(frequency, size))
    made, turning = np.zeros(size), np.ones(size, complex)
    for number, amplitude in enumerate(partials, 1):
        turning *= first  # e to the phase of this multiple
        heard = number * np.asarray(frequency) < HIGHEST
        if not heard.any():
            break
        if amplitude:
            made += amplitude * heard * turning.imag
    return made


def ringing(size: int, partials: Iterable[tuple[float, float, float]]) -> np.ndarray:
    """Return tones that fade: of each, its frequency, amplitude, and the seconds until 1/e.

    Each is the answer of a resonator to a click, which is cheaper than a sine and an exponential.
    """
    click, made = np.zeros(size), np.zeros(size)
    click[0] = 1.0
    for frequency, amplitude, seconds in partials:
        if frequency < HIGHEST:
            turn, kept = 2 * np.pi * frequency / RATE, np.exp(-1 / (seconds * RATE))
            poles = [1.0, -2 * kept * np.cos(turn), kept**2]
            made += amplitude * signal.lfilter([0.0, kept * np.sin(turn)], poles, click)
    return made * np.minimum(np.arange(size) / RATE / ATTACK, 1.0)


def falling(count: int, slope: float) -> np.ndarray:
    """Return amplitudes of partials that fall by 6 dB an octave times the slope."""
    return np.arange(1, count + 1) ** -float(slope)


def band(
    rng: np.random.Generator, size: int, gain: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Return noise of deviation 1 whose spectrum has a shape: ``gain`` of frequencies."""
    return unit(shaped(rng.standard_normal(size), gain))


def shaped(sound: np.ndarray, gain: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return a signal with its spectrum multiplied by a gain of frequencies."""
    size = fft.next_fast_len(len(sound), real=True)
    spectrum = fft.rfft(sound, size) * gain(fft.rfftfreq(size, 1 / RATE))
    return fft.irfft(spectrum, size)[: len(sound)]


def peak(centre: float, octaves: float) -> Callable[[np.ndarray], np.ndarray]:
    """Return a gain that is highest at a frequency and falls to e^-½ within so many octaves."""

    def gain(frequencies: np.ndarray) -> np.ndarray:
        away = np.log2(np.maximum(frequencies, 1.0) / centre) / octaves
        return np.exp(-0.5 * away**2)

    return gain


def passing(low: float, high: float, order: int = 4) -> Callable[[np.ndarray], np.ndarray]:
    """Return the gain of a band with edges of 6 dB an octave times the order."""

    def gain(frequencies: np.ndarray) -> np.ndarray:
        f = np.maximum(frequencies, 1.0)
        return 1 / np.sqrt((1 + (low / f) ** (2 * order)) * (1 + (f / high) ** (2 * order)))

    return gain


def formants(*pairs: tuple[float, float]) -> Callable[[np.ndarray], np.ndarray]:
    """Return the gain of a throat: peaks of 0.25 octaves at frequencies, with their gains."""

    def gain(frequencies: np.ndarray) -> np.ndarray:
        return 0.05 + sum(loud * peak(centre, 0.25)(frequencies) for centre, loud in pairs)

    return gain


def unit(sound: np.ndarray) -> np.ndarray:
    """Return a signal of deviation 1; silence stays silence."""
    deviation = sound.std()
    return sound / deviation if deviation > 0 else sound


def wander(rng: np.random.Generator, size: int, rate: float) -> np.ndarray:
    """Return a smooth random curve of mean 0 and deviation 1 with so many swings a second."""
    knots = max(4, int(np.ceil(size / RATE * rate * 2)) + 3)
    drawn = rng.standard_normal(knots)
    drawn = (drawn - drawn.mean()) / drawn.std()
    at = np.linspace(0, knots - 1.001, size)
    left = at.astype(int)
    share = (1 - np.cos(np.pi * (at - left))) / 2
    return drawn[left] * (1 - share) + drawn[left + 1] * share


def bump(size: int, power: float = 1.0) -> np.ndarray:
    """Return an envelope that rises and falls: half a sine, to a power."""
    return np.sin(np.pi * (np.arange(size) + 0.5) / max(size, 1)) ** power


def decay(size: int, seconds: float, attack: float = ATTACK) -> np.ndarray:
    """Return an envelope that jumps up and falls to 1/e in so many seconds."""
    t = np.arange(size) / RATE
    return np.minimum(t / attack, 1.0) * np.exp(-t / seconds)


def held(size: int, attack: float = 0.01, release: float = 0.01) -> np.ndarray:
    """Return an envelope that rises, stays and falls."""
    t = np.arange(size) / RATE
    return np.clip(np.minimum(t / attack, (size / RATE - t) / release), 0, 1)


def placed(size: int, events: Iterable[tuple[float, np.ndarray]]) -> np.ndarray:
    """Return short signals laid at their times; what does not fit is cut off."""
    made = np.zeros(size)
    fade = round(FADE * RATE)
    for time, event in events:
        start = round(time * RATE)
        first, last = max(start, 0), min(start + len(event), size)
        if first >= last:
            continue
        part = event[first - start : last - start].copy()
        if last == size and len(part) > fade:
            part[-fade:] *= np.linspace(1, 0, fade)
        made[first:last] += part
    return made


def regular(
    rng: np.random.Generator, seconds: float, rate: float, jitter: float = 0.05
) -> np.ndarray:
    """Return times of events, so many a second, each early or late by a share of their distance.

    The first comes within the first third of a distance, so that short clips hold one.
    """
    distance = 1 / rate
    starts = np.arange(rng.uniform(0.0, 0.35) * distance, seconds, distance)
    return starts + jitter * distance * rng.uniform(-1, 1, len(starts))


def repeated(
    rng: np.random.Generator,
    seconds: float,
    call: Callable[[], np.ndarray],
    rest: float,
    late: float = 0.25,
) -> Iterator[tuple[float, np.ndarray]]:
    """Yield times and calls: the first within ``late`` seconds, each later one after a rest.

    Args:
      rest: seconds between calls on average; each is up to a third shorter or longer.
    """
    time = rng.uniform(0.0, late)
    while time < seconds:
        made = call()
        yield time, made
        time += len(made) / RATE + rest * rng.uniform(2 / 3, 4 / 3)


def scattered(rng: np.random.Generator, seconds: float, rate: float) -> np.ndarray:
    """Return sorted times of events that know nothing of each other, at least one."""
    count = max(1, rng.poisson(rate * seconds))
    return np.sort(rng.uniform(0, seconds, count))
