"""What a model answers to several runs is asked once, and belongs to its weights."""

from dataclasses import replace

import pytest

from mllm.data.conversation import image, user
from mllm.evaluation.kept_answers import Kept, answers_to
from mllm.evaluation.request import Picture, Reply, Request, Text, content_key

NAMED = {"checkpoint_digest": "a" * 64, "answerer": {"weights": ""}}


class Echo:
    """Answers with the question, two at a time, and notes what it is asked."""

    def __init__(self):
        self.asked, self.identity = [], {"weights": ""}

    def answer(self, requests, done):
        left = [request for request in requests if request.key not in done]
        for start in range(0, len(left), 2):
            lot = left[start : start + 2]
            self.asked += [request.tags["word"] for request in lot]
            yield [self.reply(request) for request in lot]

    def reply(self, request):
        if isinstance(request.ask, Picture):
            return Reply(request.key, media=image(request.tags["word"].encode()))
        again = {"again": True} if request.tags["word"] == "down" else {}
        return Reply(request.key, request.tags["word"], extra=again)


def request(word: str, ask=None) -> Request:
    turns, ask = (user(word),), ask or Text(4)
    return Request(content_key(word, turns=turns), word, {"word": word}, turns, ask, "scribe")


def texts(kept: Kept, *words: str) -> list[str]:
    asked = list(map(request, words))
    replies = {r.key: r for lot in kept.answer(asked, set()) for r in lot}
    return [replies[one.key].text for one in asked]


@pytest.fixture
def made(tmp_path):
    """Answerers that were made, and a function that returns one of a folder and weights."""
    models: list[Echo] = []

    def make():
        models.append(Echo())
        return models[-1]

    return models, lambda **named: Kept({**NAMED, **named}, make, tmp_path)


def test_each_question_is_asked_once_and_weights_are_read_when_something_is_new(made):
    models, kept = made
    assert texts(kept(), "one", "two", "three") == ["one", "two", "three"]
    assert texts(kept(), "three", "one") == ["three", "one"]
    assert len(models) == 1
    assert texts(kept(), "one", "four") == ["one", "four"] and models[1].asked == ["four"]


def test_other_weights_have_answers_of_their_own(made):
    models, kept = made
    texts(kept(), "one")
    texts(kept(checkpoint_digest="b" * 64), "one")
    assert [model.asked for model in models] == [["one"], ["one"]]


@pytest.mark.parametrize("damage", ["changed", "torn"])
def test_a_line_that_was_changed_or_torn_is_asked_again(made, damage):
    models, kept = made
    texts(kept(), "one", "two")
    path = kept().place / "replies.jsonl"
    whole = path.read_text()
    path.write_text(whole.replace('"text": "two"', '"text": "ten"') if damage == "changed" else
                    whole[:-40])  # fmt: skip
    assert texts(kept(), "one", "two") == ["one", "two"] and models[1].asked == ["two"]
    assert texts(kept(), "one", "two") == ["one", "two"] and len(models) == 2


def test_an_answer_of_a_service_that_failed_is_not_kept(made):
    models, kept = made
    texts(kept(), "down", "up")
    texts(kept(), "down", "up")
    assert [model.asked for model in models] == [["down", "up"], ["down"]]


def test_a_drawing_whose_file_is_gone_is_drawn_again(made):
    models, kept = made
    asked = [replace(request("cat"), ask=Picture())]
    for _ in range(2):
        ((reply,),) = kept().answer(asked, set())
        assert reply.media.data == b"cat"
    assert len(models) == 1
    for path in (kept().place / "media").rglob("*.png"):
        path.unlink()
    ((reply,),) = kept().answer(asked, set())
    assert reply.media.data == b"cat" and len(models) == 2


def rounds():
    first = [request("one"), request("two")]
    replies = yield first
    yield [request(" ".join(reply.text for reply in replies))]


def test_a_later_round_holds_the_answers_of_an_earlier_one(made):
    models, kept = made
    for _ in range(2):  # the second time, everything is there
        answered = answers_to(rounds(), {"scribe": kept()})
        assert [reply.text for _, reply in answered] == ["one", "two", "one two"]
    assert models[0].asked == ["one", "two", "one two"] and len(models) == 1


def test_a_model_that_is_not_there_is_named(made):
    with pytest.raises(ValueError, match="scribe"):
        answers_to(rounds(), {"scribes": made[1]()})
    assert answers_to(iter(()), {}) == []
