"""What a frozen encoder makes of sounds is computed once, and is what each step would compute."""

import jax
import numpy as np
import pytest
from tiny_listener import as_file, sound
from toy import make_listener, pipeline_of

from mllm.data.conversation import Example, assistant, audio, user
from mllm.data.packing import RowShape
from mllm.data.sound_views import SOUND_VIEWS, sound_views_named
from mllm.data.sounds import Sounds
from mllm.studies import hearing
from mllm.training.values import packed_logprobs

LONG, SHORT = (audio(as_file(sound(seconds, n))) for n, seconds in enumerate((0.9, 0.3)))
TALKS = [
    (user(LONG, "Who?"), assistant("Ada")),
    (user(LONG, SHORT, "Where?"), assistant("London")),
    (user(SHORT, "Who?"), assistant("Paris")),
    (user("Who?"), assistant("Ada")),
]


def pipeline(model, talks=TALKS):
    examples = [Example(f"e{n}", f"e{n}", turns) for n, turns in enumerate(talks)]
    return pipeline_of(examples, model.processor, 2, RowShape(tokens=200, answers=2))


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("kind", "tokens"),
    [
        pytest.param("audio_vit", True, marks=pytest.mark.slow),
        ("whisper", False),
        pytest.param("whisper", True, marks=pytest.mark.slow),
        pytest.param("audio_vit", False, marks=pytest.mark.slow),
    ],
)
def test_batches_with_what_was_made_say_the_same(kind, tokens):
    model = make_listener(kind)
    plain, once = pipeline(model), pipeline(model)
    once.sounds = hearing.with_made(model, once, tokens=tokens)
    name = "tokens" if tokens else "features"
    say = jax.jit(packed_logprobs, static_argnums=(0, 1))
    heard = 0
    for step in range(plain.steps(1)):
        batch, other = plain.batch_at(step), once.batch_at(step)
        assert "values" in batch["media"]["audio"]
        assert set(other["media"]["audio"]) == {name, "slots", "lengths"}
        heard += (batch["media"]["audio"]["slots"] >= 0).sum()
        expected, found = (
            say(model.model, model.config, model.variables, b) for b in (batch, other)
        )
        np.testing.assert_allclose(found, expected, atol=2e-5)
    assert heard == 3  # two talks share their first sound

    # The map to the decoder still trains on features, and does not on tokens.
    def loss(params):
        variables = {"params": params}
        return packed_logprobs(model.model, model.config, variables, once.batch_at(0)).sum()

    gradient = jax.jit(jax.grad(loss))(model.variables["params"])
    moved = {part: any(np.any(x) for x in jax.tree.leaves(gradient[part])) for part in gradient}
    assert moved["decoder"] and not moved["audio"]
    assert moved["audio_projector"] == (not tokens)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("kind", "views"),
    [
        ("whisper", "masked"),
        pytest.param("audio_vit", "", marks=pytest.mark.slow),
        pytest.param("whisper", "", marks=pytest.mark.slow),
        pytest.param("audio_vit", "masked", marks=pytest.mark.slow),
    ],
)
def test_an_encoder_that_trains_hears_spectrograms_as_it_hears_samples(kind, views):
    model = make_listener(kind)
    plain, once = pipeline(model), pipeline(model)
    for run in (plain, once):
        options = sound_views_named(views), model.config.audio.bins
        run.sounds = Sounds.of(run.examples, run.source, model.processor, *options)
    once.sounds = hearing.with_spectra(model, once, epochs=2)

    @jax.jit
    def gradient(params, batch):
        def loss(params):
            return packed_logprobs(model.model, model.config, {"params": params}, batch).sum()

        return jax.value_and_grad(loss)(params)

    for step in range(plain.steps(2)):
        batch, other = plain.batch_at(step), once.batch_at(step)
        one, same = batch["media"]["audio"], other["media"]["audio"]
        assert one["values"].ndim == 3 and same["values"].ndim == 4
        for name in one.keys() - {"values", "extents"}:  # the same places are hidden
            np.testing.assert_array_equal(one[name], same[name])
        pair = (gradient(model.variables["params"], b) for b in (batch, other))
        for x, y in zip(*map(jax.tree.leaves, pair), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-5 + 1e-4 * np.abs(x).max())


def test_spectrograms_are_kept_where_sounds_are_heard_again_as_they_are(monkeypatch):
    model = make_listener("audio_vit")
    run = pipeline(model, TALKS[:2])  # two sounds are heard three times in an epoch
    assert hearing.with_spectra(model, run, epochs=1) is run.sounds
    assert len(hearing.with_spectra(model, run, epochs=2).spectra) == 2
    views = SOUND_VIEWS["masked+mixed"]
    mixed = Sounds.of(run.examples, run.source, model.processor, views, 16)
    monkeypatch.setattr(run, "sounds", mixed)
    assert hearing.with_spectra(model, run, epochs=2) is mixed
    monkeypatch.undo()
    monkeypatch.setattr(hearing, "memory_share", lambda: 0)
    assert hearing.with_spectra(model, run, epochs=2) is run.sounds


def test_what_changes_or_has_no_room_is_heard_in_every_step(monkeypatch):
    model = make_listener()
    run = pipeline(model)
    monkeypatch.setattr(hearing, "memory_share", lambda: 0)
    assert hearing.with_made(model, run, tokens=True) is run.sounds
    monkeypatch.undo()
    run.sounds = run.sounds.of(run.examples, run.source, model.processor, SOUND_VIEWS["masked"], 16)
    assert hearing.with_made(model, run, tokens=True).made is None
