"""Metrics of one question: what they read of a record, and what they refuse."""

import math

import pytest

from mllm.benchmarks.mllmu.metrics import METRICS

OPTIONS = {"A": "Paris", "B": "London", "C": "Rome", "D": "Oslo"}


def choice(gold="B", options=OPTIONS, **scores):
    fields = {"option_logprobs": None, "option_tokens": None, "letter_logprobs": None}
    return {"key": "k", "gold": gold, "options": options, "reply": ""} | fields | scores


def text_record(gold, reply):
    return {"key": "k", "gold": gold, "reply": reply, "options": None}


def test_accuracy_text_compares_per_token():
    accuracy = METRICS["classification"]["accuracy_text"]
    summed = [-4.0, -6.0, -9.0, -9.0]  # A wins by the sum, B by the token
    assert accuracy(choice("B", option_logprobs=summed, option_tokens=[1, 3, 2, 2])) == 1
    assert accuracy(choice("A", option_logprobs=summed, option_tokens=[1, 3, 2, 2])) == 0
    assert accuracy(choice("A", option_logprobs=summed, option_tokens=[1, 1, 1, 1])) == 1


@pytest.mark.parametrize(
    ("gold", "scores", "value"),
    [
        ("A", [-1, -1, -2, -2], 0.5),
        ("C", [-1, -1, -2, -2], 0.0),
        ("D", [-1, -1, -1, -1], 0.25),
        ("D", [-math.inf] * 4, 0.25),
        ("D", [-math.inf, -math.inf, -math.inf, -900], 1.0),
    ],
)
def test_a_tie_counts_as_drawing_lots(gold, scores, value):
    record = choice(gold, option_logprobs=scores, option_tokens=[1] * 4, letter_logprobs=scores)
    assert METRICS["classification"]["accuracy_text"](record) == value
    assert METRICS["classification"]["accuracy_letter"](record) == value


def test_scores_that_were_not_measured_give_no_accuracy():
    assert METRICS["classification"]["accuracy_text"](choice()) is None
    assert METRICS["classification"]["accuracy_letter"](choice()) is None


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({"option_logprobs": [-1.0] * 3, "option_tokens": [1] * 3}, "record k: option_logprobs"),
        ({"option_logprobs": [math.nan] * 4, "option_tokens": [1] * 4}, "state 'error'"),
        ({"option_logprobs": [-1.0] * 4, "option_tokens": [1, 0, 1, 1]}, "4 counts >= 1"),
        ({"option_logprobs": [-1.0] * 4}, "option_tokens is None"),
    ],
)
def test_scores_that_make_no_sense_are_errors(scores, message):
    with pytest.raises(ValueError, match=message):
        METRICS["classification"]["accuracy_text"](choice(**scores))


def test_accuracy_parsed_is_strict():
    accuracy = METRICS["classification"]["accuracy_parsed"]
    for reply, value in [("B", 1), ("London", 1), ("A", 0), ("Based on the image", 0), ("", 0)]:
        assert accuracy(choice("B") | {"reply": reply}) == value
    assert accuracy(choice("B") | {"reply": "Based on the image"}, "paper") == 1


@pytest.mark.parametrize(
    ("gold", "reply", "exact", "substring"),
    [
        ("Paris", "paris.", 1, 1),
        ("Paris", "not Paris", 0, 1),
        ("5", "1950", 0, 1),
        ("man", "Germany", 0, 1),
        ("$85,000", "85000", 1, 0),
        ("Paris", "London", 0, 0),
        ("Paris", "", 0, 0),
    ],
)
def test_cloze_exact_and_as_published(gold, reply, exact, substring):
    record = text_record(gold, reply)
    assert METRICS["cloze"]["exact"](record) == exact
    assert METRICS["cloze"]["substring"](record) == substring


def test_generation_is_scored_by_the_published_metrics():
    # see tests/evaluation/test_metrics.py for the definitions
    found = text_record("the cat sat on the mat", "the cat lay on the mat")
    values = {name: metric(found) for name, metric in METRICS["generation"].items()}
    expected = {"rouge1": 5 / 6, "rouge2": 3 / 5, "rougeL": 5 / 6}
    expected["bleu"] = (5 / 6 * 3 / 5 * 1 / 4 * 0.1 / 3) ** 0.25
    assert values == pytest.approx(expected)
