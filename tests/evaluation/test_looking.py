"""An instructed model answers as it would to each question by itself, and looks at each picture
once.
"""

import jax
import numpy as np
import pytest
from PIL import Image
from scipy.special import log_softmax
from toy import make_fused, png

from mllm.data.conversation import assistant, system, user
from mllm.data.encoded import content_number
from mllm.evaluation import looking
from mllm.evaluation.request import Choices, Request, Text
from mllm.evaluation.runner import LocalModel

pytestmark = pytest.mark.thorough

WIDTH = 160


def noise(seed: int, width: int = 16, height: int = 16):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return png(Image.fromarray(pixels))


A, B = noise(1), noise(2, 16, 9)
CHOICES = Choices(("London", "Paris", "Ada"))
LONG = "Where was the person born? " * 6
ASKED = [
    ((user(A, "Who is it?"),), CHOICES),
    ((user(A, "Where was Ada born?"),), CHOICES),
    ((user(A, "Where was Ada born?"),), Text(4)),
    ((user(B, "Who is it?"),), CHOICES),
    ((user(B, "Who is it?"), assistant("Ada"), user(A, "And ", B, "here?")), CHOICES),
    ((user("Who is it?"),), CHOICES),
    ((system("Be brief."), user(A, LONG)), Text(3)),
]


def requests(numbers=None) -> list[Request]:
    asked = range(len(ASKED)) if numbers is None else numbers
    return [Request(str(n), f"c{n}", {}, *ASKED[n]) for n in asked]


@pytest.fixture(scope="module")
def model():
    return make_fused(1)


def ask(answerer: LocalModel, asked=None, done=frozenset()) -> dict:
    lots = answerer.answer(requests() if asked is None else asked, set(done))
    return {reply.key: reply for lot in lots for reply in lot}


@pytest.fixture(scope="module")
def replies(model):
    return ask(LocalModel(model))


@pytest.fixture(scope="module")
def logits(model):
    """Logits float[T, V] of a conversation and more ids, one row of pixels, without any cache."""

    @jax.jit
    def compute(batch):
        states, _ = model.model.hidden(model.config, model.variables, batch)
        return states[0] @ model.model.head(model.config, model.variables)

    def of(turns, more=()):
        encoded, processor = model.processor.encode(turns, generate=True), model.processor
        ids = np.array([*encoded.ids, *more], np.int32)
        padding = (0, WIDTH - len(ids))
        image = {
            "values": np.zeros((1, 3, 16, 16, 3), np.uint8),
            "extents": np.zeros((1, 3, 2), np.int32),
            "slots": np.full((1, 3), -1, np.int32),
            "instructions": np.full((1, 3, 96), -1, np.int32),
        }
        for number, (medium, span) in enumerate(zip(encoded.media, encoded.spans, strict=True)):
            picture = processor.prepare(medium)
            (turn,) = [turn for turn in turns if medium.bare in turn.media and turn.text][-1:]
            if medium.instruction != turn.text:  # a picture that several turns show
                (turn,) = [turn for turn in turns if turn.text == medium.instruction]
            under = processor.tokenizer.encode(turn.text).ids
            image["values"][0, number] = picture.tiles[0]
            image["extents"][0, number] = picture.extents[0]
            image["slots"][0, number] = span.start
            image["instructions"][0, number, : len(under)] = under
        batch = {
            "tokens": np.pad(ids, padding)[None],
            "positions": np.pad(np.arange(len(ids), dtype=np.int32), padding)[None],
            "segments": np.pad(np.zeros_like(ids), padding, constant_values=-1)[None],
            "media": {"image": image},
        }
        return len(encoded.ids), np.asarray(compute(batch))[: len(ids)]

    return of


@pytest.mark.parametrize("number", range(len(ASKED)))
def test_replies_equal_rows_by_themselves(model, replies, logits, number):
    turns, asked = ASKED[number]
    reply, processor = replies[str(number)], model.processor
    if isinstance(asked, Text):
        found = []
        while len(found) < asked.limit and processor.eos_id not in found:
            found.append(int(logits(turns, found)[1][-1].argmax()))
        assert reply.text == processor.tokenizer.decode(processor.until_end(found))
        return
    for text, value in zip(asked.texts, reply.logprobs, strict=True):
        ids = processor.answer(text)
        start, table = logits(turns, ids)
        table = log_softmax(table.astype("float64"), axis=-1)
        expected = table[np.arange(start, start + len(ids)) - 1, ids].sum()
        np.testing.assert_allclose(value, expected, rtol=1e-4)


@pytest.mark.parametrize(
    "options", [pytest.param({"rows": 1}, marks=pytest.mark.slow), {"ahead": False}]
)
def test_rows_at_once_change_no_reply(model, replies, options):
    again = ask(LocalModel(model, **options))
    assert again.keys() == replies.keys()
    for key, reply in replies.items():
        assert again[key].text == reply.text
        if reply.logprobs is not None:
            np.testing.assert_allclose(again[key].logprobs, reply.logprobs, rtol=1e-4)


@pytest.mark.slow
def test_each_picture_is_looked_at_once_whatever_is_asked(model, replies, monkeypatch, tmp_path):
    seen = []
    looked_at = looking.looked_at

    def counted(pictures, *arguments):
        for number, features in looked_at(pictures, *arguments):
            seen.append(number)
            yield number, features

    monkeypatch.setattr(looking, "looked_at", counted)
    assert ask(LocalModel(model, rows=2, folder=tmp_path)).keys() == replies.keys()
    assert sorted(seen) == sorted(map(content_number, (A, B)))
    # The next evaluation finds them on disk, and answers the same to the bit.
    assert ask(LocalModel(model, folder=tmp_path)) == ask(LocalModel(model, folder=tmp_path))
    assert ask(LocalModel(model, folder=tmp_path)) == replies and len(seen) == 2


def test_what_is_left_is_answered_to_the_bit_as_all(model, replies):
    done = {"0", "2", "5"}
    rest = ask(LocalModel(model), done=done)
    assert rest == {key: reply for key, reply in replies.items() if key not in done}
