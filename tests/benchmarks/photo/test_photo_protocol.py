"""What is asked about a photograph, and what brackets the answers."""

from itertools import groupby

import pytest
from toy_photos import toy_photo

from mllm.benchmarks.photo import brackets
from mllm.benchmarks.photo.album import Album
from mllm.benchmarks.photo.prompts import CRITIQUE, LETTER, option_at, place_of, rotated
from mllm.benchmarks.photo.protocol import Protocol, gold, requests_of, rounds
from mllm.benchmarks.photo.records import records_of
from mllm.benchmarks.photo.scores import scores_of
from mllm.evaluation.baselines import Blind

PHOTOS = [toy_photo(number) for number in range(40)]
ALBUM = Album(PHOTOS, 0)


ALL = Protocol()


def asked(protocol=ALL):
    sent, found = rounds(PHOTOS, protocol), []
    try:
        requests = next(sent)
        while True:
            found += requests
            requests = sent.send([])
    except StopIteration:
        return found


def answered(answerer, protocol=ALL):
    requests = asked(protocol)
    replies = {r.key: r for group in answerer.answer(requests, set()) for r in group}
    return [(request, replies[request.key]) for request in requests]


def scores(answerer, protocol=ALL):
    found = scores_of(records_of(answered(answerer, protocol), ALBUM))
    return {(s["topic"], s["subtopic"], s["reading"], s["metric"]): s for s in found}


def test_the_prompt_with_letters_is_the_published_one_to_the_byte():
    requests = list(requests_of(PHOTOS[0], 0, Protocol()))
    question = PHOTOS[0].questions[0]
    by_letter = next(r for r in requests if r.tags["reading"] == "letter")
    a, b, c, d = question.options
    text = f"{question.question}\nA. {a}\nB. {b}\nC. {c}\nD. {d}\n{LETTER}"
    assert by_letter.turns[0].parts[1] == text
    assert by_letter.turns[0].media[0].data == PHOTOS[0].picture
    by_text = requests[0]
    assert by_text.turns[0].text == question.question
    assert by_text.ask.texts == question.options


def test_each_question_is_asked_in_each_order_and_the_key_stands_at_each_letter_once():
    groups = groupby(
        (r for r in asked() if r.tags["reading"] == "letter"), lambda r: r.tags["question"]
    )
    for _, requests in groups:
        requests = list(requests)
        assert [r.tags["order"] for r in requests] == [0, 1, 2, 3]
        assert {gold(r) for r in requests} == set("ABCD")
        right = requests[0].tags["options"][requests[0].tags["right"]]
        assert all(f"{gold(r)}. {right}\n" in r.turns[0].text for r in requests)


def test_rotations_are_cyclic_and_undone_by_their_inverse():
    for order in range(4):
        moved = rotated("wxyz", order)
        assert moved == tuple("wxyz"[-order:] + "wxyz"[:-order]) if order else tuple("wxyz")
        for option in range(4):
            assert moved[place_of(option, order)] == "wxyz"[option]
            assert option_at(place_of(option, order), order) == option


def test_keys_are_unique_and_follow_from_what_is_asked():
    keys = [request.key for request in asked()]
    assert len(set(keys)) == len(keys) == 40 * (2 * (1 + 4 + 1) + 3)
    assert keys == [request.key for request in asked()]


def test_fewer_photographs_by_letter_and_with_critiques():
    found = asked(Protocol(photos=10, letters=4, critiques=2, orders=1, generated=False))
    count = {name: 0 for name in ("text", "letter", "generated", "critique")}
    for request in found:
        count[request.tags["reading"]] += 1
    assert count == {"text": 20, "letter": 8, "generated": 0, "critique": 2 * len(CRITIQUE)}
    assert not [r for r in asked(Protocol(critiques=0)) if r.tags["reading"] == "critique"]
    for wrong in ({"orders": 2}, {"photos": -2}, {"critique_tokens": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Protocol(**wrong)


def test_the_oracle_is_always_right_and_covers_every_record():
    found = scores(brackets.oracle(ALBUM))
    for (*_, metric), score in found.items():
        if not metric.endswith("_wrong"):
            assert score["value"] == 1, score
    assert found["all", "all", "critique", "coverage_wrong"]["value"] < 1
    assert found["all", "all", "critique", "rouge_l_wrong"]["value"] < 1


def test_a_guess_is_right_a_quarter_of_the_time_and_rarely_four_times_in_a_row():
    found = scores(brackets.guessing(ALBUM, 3))
    values = {key[2]: s for key, s in found.items() if key[:2] == ("all",) * 2 and s["n"] == 80}
    for reading in ("text", "letter", "generated"):
        low, high = values[reading]["ci95"]
        assert low < 0.25 < high
        assert values[reading]["valid"] == 1
    assert values["rotation"]["value"] < 0.1 < values["letter"]["value"]
    critiques = {key[3]: s["value"] for key, s in found.items() if key[2] == "critique"}
    assert critiques["coverage_wrong"] == critiques["rouge_l_wrong"] == 1


class Seeing:
    """An answerer that notes what it is shown."""

    def __init__(self):
        self.identity = {"name": "seeing"}
        self.seen = []

    def answer(self, requests, done):
        self.seen += [(r.key, [m.data for t in r.turns for m in t.media], r) for r in requests]
        return iter([])


def test_controls_ask_the_same_questions_about_no_a_grey_and_another_photograph():
    requests, pictures = asked(), {photo.id: photo.picture for photo in PHOTOS}
    sources = {photo.id: photo.source for photo in PHOTOS}
    seen = {}
    for name, make in (
        ("blind", Blind),
        ("blank", brackets.blank),
        ("wrong", lambda inner: brackets.wrong_photo(inner, ALBUM, 0)),
    ):
        inner = Seeing()
        list(make(inner).answer(requests, set()))
        assert [key for key, *_ in inner.seen] == [request.key for request in requests]
        assert [r.turns[0].text for *_, r in inner.seen] == [r.turns[0].text for r in requests]
        assert make(inner).identity != inner.identity
        seen[name] = [shown for _, shown, _ in inner.seen]
    assert not any(seen["blind"])
    assert {shown[0] for shown in seen["blank"]} == {brackets.grey(PHOTOS[0].picture)}
    for request, (shown,) in zip(requests, seen["wrong"], strict=True):
        id = request.tags["photo"]
        other = ALBUM.other(id)
        assert shown == pictures[other.id] and sources[other.id] != sources[id]
