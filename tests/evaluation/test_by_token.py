"""What a local model tells of each token of a choice, against one row of logits by itself."""

import io
from dataclasses import replace

import jax
import numpy as np
import pytest
from PIL import Image
from scipy.special import log_softmax
from toy import make_model

from mllm.data.conversation import image, user
from mllm.evaluation.request import Choices, Request, Text, described
from mllm.evaluation.runner import LocalModel
from mllm.evaluation.tree import answered_together

TEXTS = ("London", "Paris", "Ada")
WIDTH = 64  # of a row, so that rows of all lengths are one program


def picture() -> bytes:
    pixels = np.random.default_rng(3).integers(0, 256, (16, 16, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def logits_of(loaded):
    """A program that makes float[1, WIDTH, V] of a row."""

    @jax.jit
    def run(batch):
        states, _ = loaded.model.hidden(loaded.config, loaded.variables, batch)
        return states @ loaded.model.head(loaded.config, loaded.variables)

    return run


def row_logits(loaded, run, turns, ids) -> np.ndarray:
    """Logits float[T, V] of a conversation with ``ids`` after it, read as one row."""
    encoded = loaded.processor.encode(turns, generate=True)
    whole = np.array([*encoded.ids, *ids], np.int32)
    places = np.arange(WIDTH, dtype=np.int32)[None]
    batch = {
        "tokens": np.pad(whole, (0, WIDTH - len(whole)))[None],
        "positions": places,
        "segments": np.where(places < len(whole), 0, -1).astype(np.int32),
    }
    if encoded.media:
        tiles = loaded.processor.prepare(encoded.media[0]).tiles
        slots = np.array([[encoded.spans[0].start]], np.int32)
        batch["media"] = {"image": {"values": tiles[None], "slots": slots}}
    return np.asarray(run(batch)[0], np.float64)[len(encoded.ids) - 1 : len(whole) - 1]


@pytest.mark.thorough
def test_measures_of_tokens_equal_those_of_a_row_by_itself():
    loaded = make_model(2)
    conversations = {
        "text": (user("Where was Ada born?"),),
        "picture": (user(image(picture()), "Who is it?"),),
    }
    asked = [
        Request(name, name, {}, turns, Choices(TEXTS, by_token=True))
        for name, turns in conversations.items()
    ]
    # The same prompt is asked for sums and for a reply too, which keep programs of their own.
    sums = Request("sums", "text", {}, conversations["text"], Choices(TEXTS))
    said = Request("said", "text", {}, conversations["text"], Text(2))
    lots = LocalModel(loaded).answer([*asked, sums, said], set())
    found = {reply.key: reply for lot in lots for reply in lot}
    run = logits_of(loaded)
    for name, turns in conversations.items():
        for number, text in enumerate(TEXTS):
            ids = loaded.processor.answer(text)
            logits = row_logits(loaded, run, turns, ids)
            logprobs = log_softmax(logits, axis=-1)
            p, places = np.exp(logprobs), np.arange(len(ids))
            mean = (p * logprobs).sum(axis=-1)
            variance = (p * logprobs**2).sum(axis=-1) - mean**2
            expected = [logprobs[places, ids], logits.argmax(axis=-1) == ids, mean, variance]
            measured = np.array(found[name].extra["by_token"][number])
            np.testing.assert_allclose(measured, np.stack(expected, axis=-1), rtol=2e-3, atol=1e-4)
            np.testing.assert_allclose(found[name].logprobs[number], measured[:, 0].sum())
    np.testing.assert_allclose(found["sums"].logprobs, found["text"].logprobs, rtol=1e-5)
    assert "by_token" not in found["sums"].extra and found["said"].text is not None


def test_choices_by_token_are_answered_by_a_program_of_their_own():
    choices, text, tokens = ("choices", 1), ("text", 8, 0), ("tokens", 1)
    assert answered_together((choices, text, tokens)) == [([0], [1]), ([2], [])]
    assert answered_together((choices, tokens)) == [([0], []), ([1], [])]
    assert answered_together((tokens,)) == [([0], [])]


def test_keys_of_plain_choices_stay_what_they_were():
    plain = Choices(TEXTS)
    assert described(plain) == {"texts": TEXTS, "ended": True}
    assert described(replace(plain, by_token=True))["by_token"] is True
