"""Scores against brute force on random answers, states of replies, and cells."""

import random
from dataclasses import replace
from statistics import fmean

import pytest
from test_photo_protocol import ALBUM, PHOTOS, answered, asked
from toy_photos import toy_photo

from mllm.benchmarks.photo import brackets
from mllm.benchmarks.photo.prompts import LETTERS
from mllm.benchmarks.photo.protocol import Protocol, gold, requests_of
from mllm.benchmarks.photo.records import records_of
from mllm.benchmarks.photo.scores import AXES, interval, question_values, scores_of
from mllm.evaluation.request import Choices, Reply
from mllm.evaluation.statistics import cluster_bootstrap, wilson


def noisy(request):
    """Return a reply at random, somewhat drawn to the right answer."""
    rng = random.Random(request.key)
    if isinstance(request.ask, Choices):
        right = request.ask.texts.index(gold(request))
        logprobs = tuple(rng.gauss(0, 3) + 3 * (at == right) - 9 for at in range(4))
        tokens = tuple(rng.randrange(1, 4) for _ in range(4))
        return Reply(request.key, logprobs=logprobs, tokens=tokens)
    if request.tags["reading"] == "critique":
        return Reply(request.key, text=rng.choice(PHOTOS).critique.description)
    said = (gold(request), "A", "(b)", "C. nothing", "I cannot tell.", "?!", "B or C", "The sky")
    return Reply(request.key, text=rng.choice(said))


@pytest.fixture(scope="module")
def pairs():
    return [(request, noisy(request)) for request in asked()]


def test_every_share_equals_a_count_by_hand(pairs):
    found = scores_of(records_of(pairs, ALBUM))
    assert len({tuple(s[name] for name in (*AXES, "metric")) for s in found}) == len(found)

    def right(request, reply):
        each = [p / n for p, n in zip(reply.logprobs, reply.tokens, strict=True)]
        return request.ask.texts[each.index(max(each))] == gold(request)

    for topic in ("all", "Exposure", "Color"):
        of_topic = [
            (request, reply)
            for request, reply in pairs
            if request.tags["reading"] != "critique" and topic in ("all", request.tags["topic"])
        ]
        by_hand = {}
        for request, reply in of_topic:
            reading, id = request.tags["reading"], request.tags["question"]
            if reading == "text":
                by_hand.setdefault("text", []).append(right(request, reply))
            elif reading == "letter":
                by_hand.setdefault(id, []).append(right(request, reply))
            else:
                said = {"(b)": "B"}.get(reply.text, reply.text)
                by_hand.setdefault("generated", []).append(said == gold(request))
        turned = [by_hand.pop(id) for id in [*by_hand] if id not in ("text", "generated")]
        by_hand |= {"letter": [t[0] for t in turned], "rotation": [all(t) for t in turned]}
        for reading, values in by_hand.items():
            (score,) = [
                s
                for s in found
                if (s["topic"], s["subtopic"], s["reading"], s["metric"])
                == (topic, "all", reading, "accuracy")
            ]
            assert score["n"] == len(values)
            assert score["value"] == pytest.approx(fmean(values)), reading
        assert fmean(by_hand["rotation"]) < fmean(by_hand["letter"])


def test_all_right_in_four_orders_is_never_more_often_than_right_in_one(pairs):
    values = question_values(records_of(pairs, ALBUM))
    for cell, rotation in values.items():
        if cell[2] == "rotation":
            plain = values[(*cell[:2], "letter", "accuracy")]
            assert plain.keys() == rotation.keys()
            assert all(rotation[id] <= plain[id] for id in rotation)


def test_records_hold_numbers_in_the_order_of_the_question(pairs):
    replies = {request.key: reply for request, reply in pairs}
    for record in records_of(pairs, ALBUM):
        if record["reading"] == "rotation":
            assert len(record["keys"]) == 4 and record["key"] == record["keys"][0]
            for order, key in enumerate(record["keys"]):
                moved = [replies[key].logprobs[(option + order) % 4] for option in range(4)]
                assert record["logprobs"][order] == moved
        if record["reading"] in ("text", "letter"):
            assert record["logprobs"] == list(replies[record["key"]].logprobs)
            wins = record["chosen"] == record["right"]
            assert record["metrics"]["accuracy"] == float(wins)


def test_states_of_generated_letters_are_counted_and_nothing_is_guessed(pairs):
    texts = {request.key: reply.text for request, reply in pairs}
    for record in records_of(pairs, ALBUM):
        if record["reading"] != "generated":
            continue
        said = texts[record["key"]]
        state = {"I cannot tell.": "refusal", "?!": "invalid", "B or C": "invalid"}
        expected = state.get(said, "valid" if said in ("A", "B", "C", "D", "(b)") else "invalid")
        assert record["state"] == expected
        assert (record["chosen"] is None) == (expected != "valid")


def test_a_tie_counts_as_a_guess_and_an_error_is_in_no_value():
    requests = [r for r in requests_of(PHOTOS[0], 0, Protocol()) if r.tags["reading"] == "letter"]
    tie = [(r, Reply(r.key, logprobs=(-1.0,) * 4, tokens=(1,) * 4)) for r in requests[:4]]
    letter, rotation = records_of(tie, ALBUM)
    assert letter["metrics"]["accuracy"] == rotation["metrics"]["accuracy"] == 0.25
    assert letter["chosen"] is None
    broken = [*tie[:3], (requests[3], Reply(requests[3].key, state="error"))]
    letter, rotation = records_of(broken, ALBUM)
    assert (letter["state"], rotation["state"]) == ("valid", "error")
    by_reading = {s["reading"]: s for s in scores_of([letter, rotation]) if s["topic"] == "all"}
    assert "rotation" not in by_reading and by_reading["letter"]["n"] == 1


def test_critiques_are_judged_by_their_own_and_by_a_wrong_record(pairs):
    def similarity(texts, references):
        return [float(text == reference) for text, reference in zip(texts, references, strict=True)]

    answers = answered(brackets.oracle(ALBUM))
    records = [r for r in records_of(answers, ALBUM, similarity) if r["reading"] == "critique"]
    assert len(records) == len(PHOTOS)
    for record, photo in zip(records, PHOTOS, strict=True):
        other = ALBUM.other(photo.id)
        assert record["other"] == other.id and record["photo"] == photo.id
        alike = [photo.facts[name] == other.facts[name] for name in ("grey", "hue")]
        metrics = record["metrics"]
        assert (metrics["coverage"], metrics["rouge_l"], metrics["embedding"]) == (1, 1, 1)
        assert metrics["coverage_wrong"] == pytest.approx(fmean(alike), abs=0.51)
        assert metrics["embedding_wrong"] == float(all(alike))
        assert record["topics"] == {"Exposure": True, "Color": True}
    plain = [r for r in records_of(answers, ALBUM) if r["reading"] == "critique"]
    assert all("embedding" not in record["metrics"] for record in plain)
    cells = {(s["topic"], s["metric"]) for s in scores_of(plain) if s["reading"] == "critique"}
    assert ("Color", "coverage") in cells and ("Color", "rouge_l") not in cells
    assert ("all", "embedding") not in cells


def test_intervals_resample_sources_where_these_have_several_questions():
    values = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0]
    assert interval(values, list("abcdef")) == list(wilson(4, 6))
    clusters = list("aabbcc")
    assert interval(values, clusters) == list(cluster_bootstrap(values, clusters))
    assert interval(values, ["a"] * 6) == [None, None]


def test_what_is_missing_is_absent_and_letters_are_letters():
    photo = replace(toy_photo(0), critique=None)
    requests = list(requests_of(photo, 0, Protocol()))
    assert not [r for r in requests if r.tags["reading"] == "critique"]
    assert {r.ask.texts for r in requests if r.tags["reading"] == "letter"} == {LETTERS}
