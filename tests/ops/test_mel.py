"""Kaldi's filter banks and Whisper's log-mel against torchaudio's and transformers'."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mllm.ops.mel import FLOOR, RATE, fbank, fbank_frames, log_mel

# What torchaudio.compliance.kaldi.fbank 2.11 makes of ``sounds`` in float64: every eighth frame.
GOLDEN = Path(__file__).parents[1] / "golden" / "fbank.npz"
jitted = jax.jit(fbank, static_argnames=("bins", "window"))
whisper = jax.jit(log_mel, static_argnames=("bins", "window"))


def sounds() -> dict[str, np.ndarray]:
    """Return half a second of sounds of several kinds, float32."""
    t = np.arange(RATE // 2) / RATE
    noise = np.random.default_rng(0).standard_normal(len(t))
    voice = np.sin(2 * np.pi * (120 * t + 5 * np.sin(6 * t))) * np.sin(2 * np.pi * 700 * t)
    found = {
        "noise": 0.1 * noise,
        "tone": 0.5 * np.sin(2 * np.pi * 1000 * t),
        "loud": np.sin(2 * np.pi * 1000 * t),
        "speech": 0.3 * voice * (1 + np.sin(2 * np.pi * 3 * t)) / 2 + 0.003 * noise,
        "silent": np.zeros(len(t)),
        "clipped": np.clip(4 * np.sin(2 * np.pi * 440 * t), -1, 1),
    }
    return {name: sound.astype(np.float32) for name, sound in found.items()}


@pytest.mark.parametrize("name", sounds())
@pytest.mark.parametrize("window", ["hanning", "povey"])
def test_fbank_is_that_of_torchaudio(name, window):
    with np.load(GOLDEN, allow_pickle=False) as golden:
        expected = golden[f"{name}_{window}"]
    found = jitted(sounds()[name], window=window)
    assert found.shape == (fbank_frames(RATE // 2), 128) == (48, 128)
    np.testing.assert_allclose(found[::8], expected, atol=1e-4, rtol=0)


def test_fbank_is_that_of_transformers():
    from transformers import audio_utils

    filters = audio_utils.mel_filter_bank(
        257, 40, 20.0, 8000.0, RATE, None, "kaldi", triangularize_in_mel_space=True
    )
    window = audio_utils.window_function(400, "hann", periodic=False)
    options = {"fft_length": 512, "power": 2.0, "center": False, "preemphasis": 0.97}
    options |= {"log_mel": "log", "mel_floor": FLOOR, "remove_dc_offset": True}
    for name, sound in sounds().items():
        expected = audio_utils.spectrogram(
            sound, window, 400, 160, mel_filters=filters, **options
        ).T
        found = jitted(sound, bins=40)
        np.testing.assert_allclose(found, expected, atol=1e-4, rtol=0, err_msg=name)


@pytest.mark.parametrize("bins", [80, 128])
def test_log_mel_is_that_of_transformers(bins):
    from transformers import WhisperFeatureExtractor

    extractor = WhisperFeatureExtractor(feature_size=bins)
    found = whisper(np.stack([np.pad(s, (0, 8000)) for s in sounds().values()]), bins=bins)
    for (name, sound), ours in zip(sounds().items(), found, strict=True):
        made = extractor(sound, sampling_rate=RATE, return_tensors="np", return_attention_mask=True)
        expected = made.input_features[0].T[: len(ours)]
        np.testing.assert_allclose(ours, expected, atol=1e-4, rtol=0, err_msg=name)


def test_log_mel_of_a_clip_that_fills_the_window_mirrors_its_end():
    from transformers import WhisperFeatureExtractor

    extractor = WhisperFeatureExtractor(chunk_length=1)
    sound = np.random.default_rng(1).normal(size=RATE).astype(np.float32) / 10
    made = extractor(sound, sampling_rate=RATE, return_tensors="np")
    found = whisper(sound, window=RATE)
    np.testing.assert_allclose(found, made.input_features[0].T, atol=1e-4, rtol=0)


def test_a_tone_of_1_khz_peaks_in_the_bin_around_it():
    """The centres of the bins follow from the definitions of the two mel scales."""
    tone = sounds()["tone"]
    mel = lambda frequency: 1127 * np.log1p(frequency / 700)  # noqa: E731
    centres = np.linspace(mel(20), mel(8000), 130)[1:-1]
    expected = np.abs(centres - mel(1000)).argmin()
    assert set(np.asarray(jitted(tone)).argmax(axis=1)) == {expected}
    # 1 kHz is 15 of Slaney's mels, and 8 kHz is 15 + 27 log(8) / log(6.4).
    edges = np.linspace(0, 15 + 27 * np.log(8) / np.log(6.4), 82)[1:-1]
    found = np.asarray(whisper(np.pad(tone, (0, 320))))[3:45]
    assert set(found.argmax(axis=1)) == {np.abs(edges - 15).argmin()}


def test_padding_and_batching_change_nothing():
    noise, speech = sounds()["noise"], sounds()["speech"][:5000]
    room = np.stack([np.pad(noise, (0, 4000)), np.pad(speech, (0, 7000))])
    found = np.asarray(jitted(room, jnp.asarray([8000, 5000])))
    for clip, batched in ((noise, found[0]), (speech, found[1])):
        alone = np.asarray(jitted(clip))
        np.testing.assert_allclose(batched[: len(alone)], alone, atol=1e-6)
        assert not batched[len(alone) :].any()
    together = np.asarray(whisper(room))
    for clip, batched in ((noise, together[0]), (speech, together[1])):
        alone = np.asarray(whisper(np.pad(clip, (0, 640))))
        np.testing.assert_allclose(batched[: len(alone)], alone, atol=1e-5)
