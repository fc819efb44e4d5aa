"""Baselines: what they answer to texts and to choices."""

from collections import Counter

import pytest

from mllm.data.conversation import image, system, user
from mllm.evaluation.baselines import Blind, Replaced, majority, oracle, random_choice
from mllm.evaluation.request import Choices, Picture, Request, Text

COLOURS = ("red", "blue", "green")


def request(key, ask=None, **tags):
    turns = (system("Look."), user("What ", image(b"a"), "colour", image(b"b"), "?"))
    return Request(key, key, tags, turns, ask or Text(4))


def replies(answerer, requests, done=()):
    return [reply for lot in answerer.answer(requests, set(done)) for reply in lot]


def test_oracle_answers_texts_and_choices():
    answerer = oracle(lambda asked: asked.tags["gold"])
    first, second = replies(
        answerer, [request("a", gold="red"), request("b", Choices(COLOURS), gold="blue")]
    )
    assert (first.key, first.text, first.state) == ("a", "red", "valid")
    assert second.text is None
    assert max(range(3), key=second.logprobs.__getitem__) == 1
    assert second.tokens == (1, 1, 1)


def test_several_choices_may_be_right():
    (reply,) = replies(oracle(lambda asked: ("blue", "red")), [request("a", Choices(COLOURS))])
    assert reply.logprobs[0] == reply.logprobs[1] == 0 > reply.logprobs[2]
    with pytest.raises(ValueError, match="expected one of"):
        replies(oracle(lambda asked: ()), [request("a", Choices(COLOURS))])


def test_what_is_done_is_not_answered():
    answerer = oracle(lambda asked: "red")
    assert [r.key for r in replies(answerer, [request("a"), request("b")], done={"a"})] == ["b"]


def test_the_error_about_an_answer_that_is_not_a_choice_names_the_request():
    with pytest.raises(ValueError, match="request a: oracle answers 'pink', expected one of"):
        replies(oracle(lambda asked: "pink"), [request("a", Choices(COLOURS))])


def test_random_is_uniform_seeded_and_of_no_order():
    requests = [request(f"key{number}") for number in range(3000)]
    drawn = [r.text for r in replies(random_choice(lambda asked: COLOURS), requests)]
    counts = Counter(drawn)
    # chi-square with 2 degrees of freedom; 13.8 is its 99.9% point
    assert sum((counts[c] - 1000) ** 2 / 1000 for c in COLOURS) < 13.8
    backwards = [r.text for r in replies(random_choice(lambda asked: COLOURS), requests[::-1])]
    assert backwards[::-1] == drawn
    assert [r.text for r in replies(random_choice(lambda asked: COLOURS, 1), requests)] != drawn


def test_majority_by_group():
    seen = [("x", "red"), ("x", "blue"), ("x", "blue"), ("y", "green"), ("y", "red")]
    answerer = majority(seen, lambda asked: asked.tags["group"])
    texts = [r.text for r in replies(answerer, [request(g, group=g) for g in ("x", "y", "z")])]
    assert texts == ["blue", "green", "blue"]  # ties: the first of the alphabet
    (reply,) = replies(answerer, [request("a", Choices(("red", "green")), group="x")])
    assert max(range(2), key=reply.logprobs.__getitem__) == 0
    with pytest.raises(ValueError, match="no answers to count"):
        majority([], lambda asked: "x")


def test_blind_sees_the_text_only():
    seen = []

    class Inner:
        def __init__(self):
            self.identity = {"model": "m"}

        def answer(self, requests, done):
            seen.extend(requests)
            yield from oracle(lambda asked: "red").answer(requests, done)

    answerer = Blind(Inner())
    (reply,) = replies(answerer, [request("a", group="x")])
    assert reply.key == "a"
    assert [turn.parts for turn in seen[0].turns] == [("Look.",), ("What colour?",)]
    assert seen[0].tags == {"group": "x"}
    assert answerer.identity == {"baseline": "blind", "of": {"model": "m"}}


def test_other_pictures_are_shown_in_the_same_places():
    seen = []

    class Inner:
        identity = {"model": "m"}  # noqa: RUF012

        def answer(self, requests, done):
            seen.extend(requests)
            yield from oracle(lambda asked: "red").answer(requests, done)

    def shown(request, medium):
        return image(medium.data + request.key.encode())

    turns = user(image(b"1"), "Who?", image(b"2")), user("And here?")
    asked = [Request(key, "c", {"group": "x"}, turns, Text(3)) for key in ("a", "b")]
    answerer = Replaced(Inner(), shown, "other_pictures")
    assert [reply.key for reply in replies(answerer, asked)] == ["a", "b"]
    for request in seen:
        one, two = (image(data + request.key.encode()) for data in (b"1", b"2"))
        assert request.turns == (user(one, "Who?", two), user("And here?"))
    assert answerer.identity == {"baseline": "other_pictures", "of": {"model": "m"}}


def test_baselines_show_pictures_where_they_are_asked_for():
    red = image(b"red")
    asked = Request("a", "c", {}, (user(red, "blue: "),), Picture())
    (reply,) = replies(oracle(lambda asked: image(b"blue")), [asked])
    assert (reply.media, reply.text, reply.state) == (image(b"blue"), None, "valid")
    drawn = replies(random_choice(lambda asked: [red]), [asked])
    assert [one.media for one in drawn] == [red]
    with pytest.raises(ValueError, match="request a: oracle answers with str, expected a medium"):
        replies(oracle(lambda asked: "blue"), [asked])
    with pytest.raises(ValueError, match="request b: oracle answers with Media, expected a text"):
        replies(oracle(lambda asked: red), [request("b")])


def test_blind_is_not_guided_by_pictures():
    seen = []

    class Inner:
        def answer(self, requests, done):
            seen.extend(requests)
            yield []

    other = (user(image(b"red"), "blue: "),)
    asked = Request("a", "c", {}, other, Picture(guidance=2.0, other=other))
    assert replies(Blind(Inner()), [asked]) == []
    assert seen[0].turns == seen[0].ask.other == (user("blue: "),)
