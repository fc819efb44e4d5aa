"""Sound files of many kinds become samples; conversations with sounds become rows."""

import io

import numpy as np
import pytest
import soundfile
from scipy import signal
from tiny_listener import as_file, sound

from mllm.data import audio
from mllm.data.audio import RATE, AudioConfig, decode, fit, resample

TONE = sound(0.5, pitch=440)


@pytest.mark.parametrize(
    "format, subtype, limit",
    [
        ("WAV", "FLOAT", 0),
        ("WAV", "DOUBLE", 0),
        ("WAV", "PCM_24", 2e-7),
        ("WAV", "PCM_16", 4e-5),
        ("WAV", "PCM_U8", 8e-3),
        ("FLAC", "PCM_24", 2e-7),
        ("FLAC", "PCM_16", 4e-5),
    ],
)
def test_files_without_loss_give_their_samples(format, subtype, limit):
    found = decode(as_file(TONE, subtype=subtype, format=format))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, TONE, atol=limit, rtol=0)


@pytest.mark.parametrize(
    "format, subtype, rate",
    [("OGG", "VORBIS", RATE), ("OGG", "OPUS", 48_000), ("MP3", "MPEG_LAYER_III", 44_100)],
)
def test_files_with_loss_give_the_same_tone(format, subtype, rate):
    t = np.arange(rate) / rate
    tone = 0.3 * np.sin(2 * np.pi * 440 * t)
    found = decode(as_file(tone, rate, subtype, format=format))
    assert abs(len(found) - RATE) < 0.1 * RATE  # codecs add silence at either end
    spectrum = np.abs(np.fft.rfft(found * np.hanning(len(found))))
    assert abs(spectrum.argmax() * RATE / len(found) - 440) < 3
    assert 0.25 < np.abs(found[2000:-2000]).max() < 0.36


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 12_345])
def test_any_rate_becomes_16_khz(rate):
    """Against the tone itself, sampled at 16 kHz; the ends are the filter's."""
    count = rate // 2
    tone = 0.3 * np.sin(2 * np.pi * 1000 * np.arange(count) / rate)
    found = decode(as_file(tone, rate))
    assert len(found) == -(-count * RATE // rate)
    expected = 0.3 * np.sin(2 * np.pi * 1000 * np.arange(len(found)) / RATE)
    np.testing.assert_allclose(found[800:-800], expected[800:-800], atol=2e-3)


def test_a_tone_that_16_khz_cannot_hold_is_filtered_out():
    tone = np.sin(2 * np.pi * 12_000 * np.arange(48_000) / 48_000)
    assert np.abs(resample(tone, 48_000)[800:-800]).max() < 1e-2
    assert np.abs(signal.decimate(tone, 3)).max() < 1e-1  # another filter agrees


def test_channels_are_averaged():
    stereo = np.stack([TONE, -TONE, 3 * TONE], axis=1)
    np.testing.assert_allclose(decode(as_file(stereo)), TONE, atol=1e-7)


def test_silence_and_clipped_and_loud_sounds_are_read_as_they_are():
    for samples in (np.zeros(100), np.clip(9 * TONE, -1, 1), 3 * TONE):
        np.testing.assert_array_equal(decode(as_file(samples)), samples.astype(np.float32))


def test_a_header_that_promises_more_samples_than_follow():
    whole = as_file(TONE, subtype="PCM_16")
    found = decode(whole[: len(whole) // 2])
    assert 0.4 * len(TONE) < len(found) < 0.5 * len(TONE)
    np.testing.assert_allclose(found, TONE[: len(found)], atol=4e-5)
    endless = whole[:40] + b"\xff\xff\xff\xff" + whole[44:]  # as a stream of unknown length
    np.testing.assert_allclose(decode(endless)[: len(TONE)], TONE, atol=4e-5)


def broken() -> dict[str, tuple[bytes, str]]:
    wrong = TONE.copy()
    wrong[[800, 900]] = np.nan, np.inf
    return {
        "nan": (as_file(wrong), "2 of 8000 samples are NaN or infinite, the first at 0.050 s"),
        "empty file": (b"", "cannot be decoded"),
        "no samples": (as_file(np.zeros(0)), "holds no sample"),
        "header": (b"RIFF\x24\x00\x00\x00WAVEnonsense" + bytes(40), "cannot be decoded"),
        "text": (b"hello, world" * 10, "cannot be decoded"),
        "mp4": (b"\x00\x00\x00\x20ftypisom" + bytes(64), "container for films .MP4"),
        "webm": (b"\x1a\x45\xdf\xa3" + bytes(64), "container for films .Matroska"),
        "avi": (b"RIFF\x00\x00\x00\x00AVI LIST" + bytes(64), "container for films .AVI"),
        "slow": (as_file(TONE, 500), "500 samples a second, expected 1000 to 768000"),
    }


@pytest.mark.parametrize("name", broken())
def test_what_is_no_sound_is_an_error_that_says_so(name):
    data, message = broken()[name]
    with pytest.raises(ValueError, match=f"^clip 3: .*{message}"):
        decode(data, "clip 3")


def test_a_file_that_is_too_long(monkeypatch):
    monkeypatch.setattr(audio, "MAX_SECONDS", 0.4)
    with pytest.raises(ValueError, match="longer than"):
        decode(as_file(TONE))


def test_policies():
    pad, crop, loop = (AudioConfig(seconds=0.5, policy=p) for p in ("pad", "crop", "loop"))
    short, long = np.arange(3000, dtype=np.float32), np.arange(9000, dtype=np.float32)
    np.testing.assert_array_equal(fit(short, pad), short)
    np.testing.assert_array_equal(fit(short, crop), short)
    np.testing.assert_array_equal(fit(short, loop), np.concatenate([short, short, short[:2000]]))
    np.testing.assert_array_equal(fit(long, crop), long[:8000])
    np.testing.assert_array_equal(fit(long, loop), long[:8000])
    with pytest.raises(ValueError, match=r"clip: lasts 0.56 s, but the model hears 0.5 s"):
        fit(long, pad, "clip")
    with pytest.raises(ValueError, match="policy"):
        AudioConfig(policy="stretch")
    with pytest.raises(ValueError, match="seconds"):
        AudioConfig(seconds=0)


@pytest.mark.parametrize("pool", [1, 2, 3])
def test_the_shortest_sound_has_a_token(pool):
    config = AudioConfig(pool=pool)
    assert len(fit(np.ones(1, np.float32), config)) == config.least
    assert config.tokens_of(config.least) == 1
    assert config.least == 1 or config.tokens_of(config.least - 1) == 0
    assert AudioConfig(tokens=32).tokens_of(1) == 32


def test_soundfile_agrees_about_what_it_reads():
    """The files of the tests are what they claim to be."""
    info = soundfile.info(io.BytesIO(as_file(TONE, subtype="PCM_24")))
    assert (info.samplerate, info.frames, info.subtype) == (RATE, 8000, "PCM_24")
