"""Random views of sounds: what is hidden, and what is mixed in."""

import numpy as np
import pytest
from tiny_listener import as_file, sound
from toy import make_listener, pipeline_of

from mllm.data.conversation import Example, assistant, audio, user
from mllm.data.packing import RowShape
from mllm.data.sound_views import SOUND_VIEWS, SoundViews, draw_spans, mix, sound_views_named
from mllm.ops.mel import mask_spans


def test_spans_lie_within_the_spectrogram_and_reach_all_of_it():
    views, seen = (
        SoundViews(spans=2, frames=0.2, bins=0.5),
        [np.zeros(100, bool), np.zeros(8, bool)],
    )
    for seed in range(300):
        drawn = draw_spans(views, 100, 8, np.random.default_rng(seed))
        assert drawn.shape == (2, 2, 2) and drawn.dtype == np.int32
        for spans, places, most in zip(drawn, seen, (20, 4), strict=True):
            for start, end in spans:
                assert 0 <= start <= end <= len(places) and end - start <= most
                places[start:end] = True
    assert all(places.all() for places in seen)


def test_hidden_places_hold_the_mean_of_the_clip():
    """Against a loop over all places."""
    rng = np.random.default_rng(0)
    clips = rng.normal(size=(3, 20, 8)).astype(np.float32)
    views = SoundViews(spans=2, frames=0.4, bins=0.4)
    spans = np.stack([draw_spans(views, 20, 8, rng) for _ in clips])
    spans[2] = 0  # hides nothing
    expected = clips.copy()
    for clip, (frames, bins) in enumerate(spans):
        for start, end in frames:
            expected[clip, start:end] = clips[clip].mean()
        for start, end in bins:
            expected[clip, :, start:end] = clips[clip].mean()
    np.testing.assert_allclose(mask_spans(clips, spans), expected, rtol=1e-6, atol=1e-6)
    assert (expected != clips).any(axis=(1, 2)).tolist() == [True, True, False]


def test_the_other_sound_is_as_loud_as_its_share_says():
    """Of two tones, the spectrum of the mixture holds both with the amplitudes of their shares."""
    t = np.arange(16_000) / 16_000
    low, high = (np.sin(2 * np.pi * pitch * t).astype(np.float32) for pitch in (400, 1000))
    mixed = mix(low, 0.01 * high[:4000], 0.25)  # faint and short: it is made louder, and repeated
    heard = np.abs(np.fft.rfft(mixed)) / (len(t) / 2)
    np.testing.assert_allclose(heard[[400, 1000]], [0.75, 0.25], atol=1e-4)
    np.testing.assert_array_equal(mix(low, np.zeros(10, np.float32), 0.25), low)


def test_a_run_hears_other_views_in_every_step_and_the_same_ones_again():
    model = make_listener()
    talks = [(user(audio(as_file(sound(0.5, n))), "Who?"), assistant("Ada")) for n in range(4)]
    examples = [Example(f"e{n}", f"e{n}", turns) for n, turns in enumerate(talks)]
    pipeline = pipeline_of(examples, model.processor, 4, RowShape(tokens=200, answers=1))
    plain = pipeline.batch_at(0)["media"]["audio"]
    assert "masks" not in plain
    pipeline.sounds = pipeline.sounds.of(
        pipeline.examples, examples, model.processor, SOUND_VIEWS["masked+mixed"], 16
    )
    first, later, again = (pipeline.batch_at(step)["media"]["audio"] for step in (0, 1, 0))
    for name in ("masks", "values"):
        np.testing.assert_array_equal(first[name], again[name])
        assert (first[name] != later[name]).any(), name
    assert first["masks"].shape == (4, 1, 2, 2, 2)
    assert first["values"].shape == plain["values"].shape


def test_an_unknown_view_is_named():
    assert sound_views_named("") is None
    with pytest.raises(ValueError, match=r"kind of views of sounds.*'maskd'.*masked"):
        sound_views_named("maskd")
