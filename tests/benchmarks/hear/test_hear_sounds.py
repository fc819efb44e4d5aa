"""Voices and scenes against what scipy and plain loops measure in them."""

import numpy as np
import pytest
from scipy import signal

from mllm.benchmarks.hear.draw import VOICES
from mllm.benchmarks.hear.draw.signals import (
    band,
    generator,
    passing,
    peak,
    phase,
    placed,
    tone,
    wander,
)
from mllm.benchmarks.hear.draw.voice import voice
from mllm.benchmarks.hear.scene import BACKGROUNDS, SPARE, draw_scene, heard, loudness, mix
from mllm.data.audio import RATE


def spectrum(sound, size=4096):
    return signal.welch(sound, RATE, nperseg=min(size, len(sound)))


def strongest(sound, above=0.0):
    frequencies, power = spectrum(sound)
    return frequencies[np.where(frequencies >= above, power, 0).argmax()]


def sounding(name, number=0, seconds=1.6):
    rng = generator("test", name, number)
    parameters = VOICES[name].draw(rng)
    return parameters, VOICES[name].sound(rng, seconds, parameters)


@pytest.mark.parametrize("name", VOICES)
def test_voices_sound_whatever_their_parameters(name):
    one = VOICES[name]
    for number, corner in enumerate((0, 1)):
        parameters = {key: ends[corner] for key, ends in one.ranges.items()}
        for seconds in (0.8, 2.0):
            made = one.sound(generator(name, number), seconds, parameters)
            assert made.shape == (round(seconds * RATE),) and np.isfinite(made).all()
            assert np.abs(made).max() == pytest.approx(1.0)
            assert loudness(made) > 0.03
    drawn = one.draw(generator(name))
    assert all(low <= drawn[key] <= high for key, (low, high) in one.ranges.items())
    assert drawn == one.draw(generator(name)) != one.draw(generator(name, 1))


@pytest.mark.parametrize("name", ["cricket", "beeper", "owl", "flute"])
def test_pure_voices_have_their_pitch(name):
    for number in range(3):
        parameters, made = sounding(name, number)
        found = strongest(made)
        if name == "flute":  # plays a melody over an octave
            assert 0.98 < found / parameters["pitch"] < 2.02
        else:
            assert found == pytest.approx(parameters["pitch"], rel=0.07)


@pytest.mark.parametrize("name", ["helicopter", "cicada", "beeper", "hammer", "drip", "drum"])
def test_voices_have_their_rate(name):
    parameters, made = sounding(name, seconds=6.0)
    envelope = np.abs(signal.hilbert(made))
    frequencies, power = signal.periodogram(envelope - envelope.mean(), RATE)
    near = (frequencies > 0.6 * parameters["rate"]) & (frequencies < 1.6 * parameters["rate"])
    assert frequencies[near][power[near].argmax()] == pytest.approx(parameters["rate"], rel=0.08)


def test_a_silent_voice_is_an_error():
    silent = voice("mute", lambda rng, time, pitch: 0 * time, pitch=(1, 2))
    with pytest.raises(ValueError, match="voice 'mute' is silent"):
        silent.sound(generator(0), 0.1, {"pitch": 1.0})


def test_tones_are_sines_and_nothing_is_folded_back():
    time = np.arange(800) / RATE
    expected = np.sin(2 * np.pi * 440 * time) + 0.5 * np.sin(2 * np.pi * 880 * time)
    np.testing.assert_allclose(tone(440.0, 800, (1.0, 0.5)), expected, atol=1e-9)
    frequencies, power = spectrum(tone(3000.0, 8192, (1.0, 1.0, 1.0, 1.0)))
    assert power[(frequencies > 6500) | (frequencies < 2500)].max() < 1e-6 * power.max()


def test_phase_is_the_integral_of_the_frequency():
    sweep = np.linspace(200, 400, 1600)
    total = 0.0
    for step, frequency in enumerate(sweep):
        total += frequency / RATE if step else 0.0
    assert phase(sweep, 1600)[-1] == pytest.approx(total)
    rising = tone(np.linspace(1000, 3000, RATE), RATE)
    assert strongest(rising[:1600]) < 1300 and strongest(rising[-1600:]) > 2700


def test_noise_has_the_shape_of_its_gain():
    rng = generator("noise")
    made = band(rng, 16 * RATE, passing(500, 2000))
    assert made.std() == pytest.approx(1.0)
    frequencies, power = spectrum(made)
    flat = power[(frequencies > 900) & (frequencies < 1200)].mean()
    for edge in (500, 2000):
        assert np.interp(edge, frequencies, power) == pytest.approx(flat / 2, rel=0.15)
    frequencies, power = spectrum(band(rng, 16 * RATE, peak(1000, 0.5)))
    assert frequencies[power.argmax()] == pytest.approx(1000, rel=0.1)
    ratio = np.interp(1000 * 2**0.5, frequencies, power) / power.max()
    assert ratio == pytest.approx(np.exp(-1), rel=0.25)


def test_wander_swings_as_often_as_it_should():
    made = wander(generator("wander"), 60 * RATE, 2.0)
    assert abs(made.mean()) < 0.05 and made.std() == pytest.approx(0.85, abs=0.15)
    crossings = (np.diff(np.sign(made)) != 0).sum() / 60
    assert 1.0 < crossings < 3.0


def test_events_lie_where_they_should():
    rng = np.random.default_rng(0)
    events = [(time, rng.standard_normal(30)) for time in (0.0, 0.001, 0.0049, 0.02, -0.0005)]
    expected = np.zeros(160)
    for time, event in events[:2] + events[4:]:
        for step, value in enumerate(event):
            if 0 <= round(time * RATE) + step < 160:
                expected[round(time * RATE) + step] += value
    found = placed(160, events)
    np.testing.assert_allclose(found[:78], expected[:78])
    assert np.any(found[78:108] != expected[78:108])  # the third event; the fourth is too late


def plain_scene(**changes):
    scene = draw_scene(generator("scene"), 1.0)
    return {**scene, "wet": 0.0, "start_s": 0.0, **changes}


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("snr", [14.0, 30.0])
def test_backgrounds_are_as_soft_as_the_record_says(background, snr):
    sound = sounding("cat", seconds=1.0 + SPARE)[1]
    made = heard(sound, plain_scene(background=background, snr_db=snr, peak_db=-6.0), 1.0)
    assert 20 * np.log10(np.abs(made).max()) == pytest.approx(-6.0)
    clean = sound[: len(made)]
    noise = made - clean * (made @ clean) / (clean @ clean)
    assert 20 * np.log10(loudness(made - noise) / loudness(noise)) == pytest.approx(snr, abs=1.0)


def test_rooms_fade_as_the_record_says():
    click = np.zeros(2 * RATE)
    click[0] = 1.0
    scene = plain_scene(wet=0.5, reverberation_s=0.5, snr_db=120.0)
    answer = heard(click, scene, 1.5)[100:]
    left = 10 * np.log10(np.cumsum(answer[::-1] ** 2)[::-1] / (answer**2).sum())  # Schroeder 1965
    fit = (left < -5) & (left > -25)
    slope = np.polyfit(np.flatnonzero(fit) / RATE, left[fit], 1)[0]
    assert -60 / slope == pytest.approx(0.5, rel=0.15)


def test_clips_start_within_the_sound():
    sound = sounding("siren", seconds=1.0 + SPARE)[1]
    late = heard(sound, plain_scene(start_s=0.05, snr_db=120.0, peak_db=-1.0), 1.0)
    expected = sound[800 : 800 + RATE]
    expected = expected / np.abs(expected).max() * 10 ** (-1 / 20)
    np.testing.assert_allclose(late, expected, atol=1e-4)


def test_mixtures_have_their_levels():
    first, second = sounding("dog")[1], sounding("rain")[1]
    both = mix([first, second], [0.0, -6.0])
    assert 20 * np.log10(loudness(both - first) / loudness(first)) == pytest.approx(-6.0)


def test_loudness_is_that_of_the_loudest_part():
    sound = np.random.default_rng(0).standard_normal(4000) * np.linspace(0, 1, 4000)
    found = max(np.sqrt((sound[k : k + 800] ** 2).mean()) for k in range(3201))
    assert loudness(sound) == pytest.approx(found)
    assert loudness(np.ones(10)) == pytest.approx(1.0)
