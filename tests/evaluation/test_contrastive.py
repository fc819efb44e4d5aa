"""A model that compares pictures with texts, as an answerer."""

from collections import Counter
from dataclasses import replace

import jax
import numpy as np
import pytest
from PIL import Image
from scipy.special import log_softmax
from tiny_clip import write_clip
from toy import png

from mllm.checkpoints.clip import read_clip
from mllm.data.conversation import codes, image, user
from mllm.data.images import decode, make_picture
from mllm.evaluation import contrastive
from mllm.evaluation.contrastive import ClipEncoder, clip_answerer
from mllm.evaluation.request import Choices, Request, Text
from mllm.models.clip import Clip

TEXTS = [f"a {word}" for word in ("cat", "dog", "yellow submarine with windows", "x", "hat")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    write_clip(folder)
    return folder


def ask(key, picture, *texts):
    return Request(key, key, {}, (user(picture),), Choices(texts))


def pictures(count=7):
    draws = np.random.default_rng(1)
    arrays = [draws.integers(0, 256, (9 + n, 12, 3), np.uint8) for n in range(count)]
    return [png(Image.fromarray(one)) for one in arrays]


def requests():
    """Each picture twice, with other texts in another order."""
    turned = TEXTS[::-1]
    found = [ask(f"first {n}", one, *TEXTS[: 2 + n % 4]) for n, one in enumerate(pictures())]
    return found + [ask(f"second {n}", one, *turned) for n, one in enumerate(pictures())]


def answers(answerer, asked, done=()):
    return {reply.key: reply for lot in answerer.answer(asked, set(done)) for reply in lot}


def test_answers_are_the_log_softmax_of_scaled_cosines(folder):
    loaded = read_clip(folder)
    run = jax.jit(Clip(loaded.config).apply, static_argnames="method")

    def vector(method, row):  # one at a time, without a batch and without padding
        found = np.asarray(run(loaded.variables, np.asarray([row]), method=method), np.float64)[0]
        return found / np.linalg.norm(found)

    texts = {text: vector("texts", loaded.tokenizer.encode(text).ids) for text in TEXTS}
    seen = {
        one: vector("pictures", make_picture(decode(one.data), loaded.images).tiles[0])
        for one in pictures()
    }
    found = answers(clip_answerer(folder), requests())
    for request in requests():
        picture, reply = seen[request.turns[0].parts[0]], found[request.key]
        fits = [loaded.scale * picture @ texts[text] for text in request.ask.texts]
        np.testing.assert_allclose(reply.logprobs, log_softmax(fits), atol=1e-4)
        assert (reply.state, reply.text, len(reply.tokens)) == ("valid", None, len(fits))


def test_order_batch_and_what_is_done_change_no_answer(folder, monkeypatch):
    whole = answers(clip_answerer(folder), requests())
    turned = answers(clip_answerer(folder), requests()[::-1])
    monkeypatch.setattr(contrastive, "BATCH", 2)
    small = answers(clip_answerer(folder), requests())
    done = [request.key for request in requests()[:9]]
    rest = answers(clip_answerer(folder), requests(), done)
    assert set(rest) == set(whole) - set(done)
    for other in (turned, small, rest):
        for key, reply in other.items():
            np.testing.assert_allclose(reply.logprobs, whole[key].logprobs, atol=1e-5)


def test_each_picture_and_each_text_is_embedded_once(folder):
    counts = Counter()

    class Counting(ClipEncoder):
        def _in_batches(self, embed, rows):
            counts[embed.__name__] += len(rows)
            return super()._in_batches(embed, rows)

    encoder = Counting(read_clip(folder))
    answerer = replace(clip_answerer(folder), make=lambda: encoder)
    answers(answerer, requests())
    answers(answerer, [ask("more", pictures()[0], *TEXTS)])
    assert counts == {"image_embeddings": 7 + 1, "text_embeddings": len(TEXTS)}


def test_its_identity_is_the_content_of_the_folder(folder, tmp_path):
    write_clip(tmp_path / "same")
    write_clip(tmp_path / "other", seed=1)
    assert clip_answerer(tmp_path / "same").identity == clip_answerer(folder).identity
    assert clip_answerer(tmp_path / "other").identity != clip_answerer(folder).identity


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(ask=Text(3)), r"request k: found Text about image, expected Choices about one image"),
        (dict(turns=(user("What is it?"),)), r"found Choices about words"),
        (dict(turns=(user("What is", pictures(1)[0]),)), r"found Choices about words, image"),
        (dict(turns=(user(codes([1, 2])),)), r"found Choices about codes"),
        (dict(turns=(user(*pictures(2)),)), r"found Choices about image, image"),
        (dict(turns=(user(image(b"no picture")),)), r"cannot be decoded as an image"),
        (dict(ask=Choices(("a" * 60,))), r"has 62 tokens, expected at most 40"),
    ],
)
def test_anything_else_is_refused(folder, change, message):
    request = replace(ask("k", pictures(1)[0], "a cat"), **change)
    with pytest.raises(ValueError, match=message):
        answers(clip_answerer(folder), [request])
