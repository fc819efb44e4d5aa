"""Models that hear: sounds, pictures and texts share rows in training and in evaluation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy.special import log_softmax
from tiny_listener import as_file, sound
from toy import make_listener, pipeline_of, png

import mllm
from mllm.api import Model
from mllm.checkpoints.hf_folder import write_folder
from mllm.data.conversation import Example, Turn, assistant, audio, system, user
from mllm.data.packing import RowShape
from mllm.data.pipeline import Pipeline
from mllm.data.rows import lay_out
from mllm.data.sound_rows import Heard, lay_out_sounds, sound_room
from mllm.evaluation.ahead import Calls
from mllm.evaluation.branching import Part
from mllm.evaluation.request import Choices, Request, Text
from mllm.evaluation.runner import LocalModel
from mllm.models import config_from_dict, config_to_dict

LONG, SHORT, OTHER = (audio(as_file(sound(s, n))) for n, s in enumerate((0.9, 0.3, 0.5)))
RED = png(Image.new("RGB", (16, 16), "red"))
TALKS: list[tuple[Turn, ...]] = [
    (user(LONG, "Who?"), assistant("Ada")),
    (user(LONG, "Where was Ada born?"), assistant("London")),
    (user(LONG, " and ", RED, " or ", SHORT, "?"), assistant("Paris")),
    (user(RED, "Who?"), assistant("Ada")),
    (user("Who?"), assistant("Ada"), user("Hear: ", SHORT, " ?"), assistant("London")),
    (system("Listen."), user(OTHER, OTHER, LONG, "Who?"), assistant("no")),
]


@pytest.fixture(scope="module")
def model():
    return make_listener()


def hidden(model, batch) -> np.ndarray:
    """The log-probabilities of all next tokens, float32[R, T, V]."""
    program = jax.jit(model.model.hidden, static_argnums=0)
    states, _ = program(model.config, model.variables, batch)
    return log_softmax(np.asarray(states @ model.model.head(model.config, model.variables)), -1)


def alone(model) -> list[float]:
    """The summed log-probability of what assistants say in each talk, each a row of its own."""
    processor = model.processor
    talks = [processor.encode(turns) for turns in TALKS]
    parts = [Part(talk, 0, len(talk.ids)) for talk in talks]
    shown = [[processor.prepare(talk.media[n]) for n in part.of_kind("image")]
             for talk, part in zip(talks, parts, strict=True)]  # fmt: skip
    known = dict(image_id=processor.image_id, image_tokens=4, patch=8)
    batch = lay_out([talk.ids for talk in talks], shown, **known)
    heard = [part.heard(Calls(model).sounds(part.encoded, part.of_kind("audio"))) for part in parts]
    batch["media"]["audio"] = lay_out_sounds(heard, processor.config.audio.window)
    said = hidden(model, batch)
    places = [[i for start, end in talk.supervised for i in range(start, end)] for talk in talks]
    return [
        sum(said[row, place - 1, talk.ids[place]] for place in own)
        for row, (talk, own) in enumerate(zip(talks, places, strict=True))
    ]


def packed(model) -> Pipeline:
    examples = [Example(f"e{n}", f"e{n}", turns) for n, turns in enumerate(TALKS)]
    shape = RowShape(tokens=400, answers=6, supervised=64)
    return pipeline_of(examples, model.processor, 4, shape)


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["whisper", pytest.param("audio_vit", marks=pytest.mark.slow)])
def test_packed_rows_say_what_rows_of_their_own_do(kind, model):
    """What a row shares is heard once; each answer is as likely as by itself."""
    model = model if kind == "whisper" else make_listener(kind)
    pipeline = packed(model)
    assert pipeline.steps(1) == 1
    batch = pipeline.batch_at(0)
    assert set(batch["media"]) == {"image", "audio"}
    shown = sum(len(turn.media) for turns in TALKS for turn in turns)
    places = sum(int((found["slots"] >= 0).sum()) for found in batch["media"].values())
    assert places == shown - 2 == 8  # three talks that begin with one sound share it
    said, found = hidden(model, batch), np.zeros(len(TALKS))
    width = batch["tokens"].shape[1]
    for row in range(4):
        for target, source in zip(batch["targets"][row], batch["sources"][row], strict=True):
            if target < width:
                number = batch["answers"][row, batch["segments"][row, target] - 1]
                found[number] += said[row, source, batch["tokens"][row, target]]
    np.testing.assert_allclose(found, alone(model), rtol=2e-4, atol=2e-4)


@pytest.mark.thorough
def test_all_parts_learn_from_answers(model):
    batch = packed(model).batch_at(0)

    def loss(params):
        states, _ = model.model.hidden(model.config, {"params": params}, batch)
        return (states**2 * jnp.arange(states.shape[-1])).sum()

    gradients = jax.device_get(jax.jit(jax.grad(loss))(model.variables["params"]))
    for part in ("audio", "audio_projector", "vision", "decoder"):
        sizes = [float(np.abs(leaf).max()) for leaf in jax.tree.leaves(gradients[part])]
        assert all(np.isfinite(sizes)) and max(sizes) > 0, part


@pytest.mark.slow
def test_replies_alone_and_together_are_the_same(model):
    """In groups that share what they heard, compiled ahead; against one prompt at a time."""
    asks = {"c": Choices(("London", "Paris", "no")), "t": Text(4)}
    asked = [
        Request(f"{n}{kind}", f"c{n}", {}, turns[:-1], asks[kind])
        for n, turns in enumerate(TALKS[:3])
        for kind in asks
    ]
    answers = lambda requests, **options: {  # noqa: E731
        reply.key: reply
        for lot in LocalModel(model, **options).answer(requests, set())
        for reply in lot
    }
    together = answers(asked)
    for request in asked:
        alone = answers([request], ahead=False)[request.key]
        assert together[request.key].text == alone.text
        if alone.logprobs is not None:
            found = together[request.key].logprobs
            np.testing.assert_allclose(found, alone.logprobs, rtol=2e-4, atol=2e-4)


def test_a_sound_changes_what_is_said(model):
    said = Model(model).score(
        ["<audio>\n<image>\nWho?"] * 3,
        [[RED.data]] * 3,
        [["London", "Paris"]] * 3,
        audio=[LONG.data, OTHER.data, LONG.data],
    )
    np.testing.assert_array_equal(said[0], said[2])
    assert np.abs(said[0] - said[1]).max() > 1e-3


def test_a_checkpoint_is_read_again(model, tmp_path):
    Model(model).save(tmp_path / "saved")
    again = mllm.load(tmp_path / "saved").loaded
    assert again.config == model.config and again.processor.digest == model.processor.digest
    assert again.digest() == model.digest() and again.audio_id == model.audio_id == 300
    assert config_from_dict(config_to_dict("listener", model.config)) == ("listener", model.config)
    with pytest.raises(ValueError, match=r"no vision|vision VisionConfig"):
        write_folder(tmp_path / "published", model)


def test_an_unknown_kind_of_encoder_names_the_nearest(model):
    values = config_to_dict("listener", model.config)
    values["audio"]["kind"] = "wisper"
    with pytest.raises(ValueError, match="did you mean 'whisper'"):
        config_from_dict(values)


def test_media_that_the_model_does_not_take(model):
    with pytest.raises(ValueError, match="kind 'codes', but takes text and sounds, and images"):
        media = {"codes": {"values": jnp.zeros((1, 1, 4)), "extents": jnp.ones((1, 1, 1))}}
        model.model.encode_media(model.config, model.variables, media)


def test_room_for_sounds():
    """Two frames of silence follow the longest sound, unless it fills the window."""
    assert [sound_room(n, 40_000) for n in (1, 15_680, 15_681, 31_000, 39_999, 40_000)] == [
        16_000, 16_000, 32_000, 32_000, 40_000, 40_000,
    ]  # fmt: skip
    rows = [[Heard(3, 2, np.ones(5, np.float32))], [], [Heard(1, 1, np.ones(9, np.float32))] * 2]
    laid = lay_out_sounds(rows, 40_000, count=4)
    assert laid["values"].shape == (4, 2, 16_000) and laid["values"].sum() == 23
    assert laid["slots"].tolist() == [[3, -1], [-1, -1], [1, 1], [-1, -1]]
    assert laid["extents"][..., 0].tolist() == [[5, 0], [0, 0], [9, 9], [0, 0]]
