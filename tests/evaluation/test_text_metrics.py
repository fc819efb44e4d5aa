"""Text metrics against tables worked out by hand and slower independent functions."""

import functools
import random

import pytest

from mllm.evaluation.text_metrics import (
    anls,
    character_error_rate,
    edit_distance,
    equals_any,
    short_answer,
    vqa_accuracy,
    word_error_rate,
)


def recursive_distance(a, b):
    """The definition, from the ends of the texts."""

    @functools.cache
    def distance(i, j):
        if not i or not j:
            return i + j
        if a[i - 1] == b[j - 1]:
            return distance(i - 1, j - 1)
        return 1 + min(distance(i - 1, j), distance(i, j - 1), distance(i - 1, j - 1))

    return distance(len(a), len(b))


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("flaw", "lawn", 2), ("ab", "ba", 2)],
)
def test_edit_distance_by_hand(a, b, distance):
    assert edit_distance(a, b) == edit_distance(b, a) == distance


def test_edit_distance_equals_the_definition():
    rng = random.Random(0)
    for _ in range(300):
        a, b = ("".join(rng.choices("abc", k=rng.randrange(9))) for _ in range(2))
        assert edit_distance(a, b) == recursive_distance(a, b), (a, b)
    assert edit_distance(["a", "bc"], ["a", "b", "c"]) == 2  # words are compared as wholes


@pytest.mark.parametrize(
    ("reference", "reply", "characters", "words"),
    [
        ("open door", "open door", 0, 0),
        ("OPEN  door", "open door ", 0, 0),
        ("open door", "open", 5 / 9, 1 / 2),
        ("open door", "", 1, 1),
        ("cat", "a cat sat", 2, 2),
        ("cat", "cut", 1 / 3, 1),
        ("ä", "a\N{COMBINING DIAERESIS}", 0, 0),
    ],
)
def test_error_rates(reference, reply, characters, words):
    assert character_error_rate(reference, reply) == pytest.approx(characters)
    assert word_error_rate(reference, reply) == pytest.approx(words)


def test_an_error_rate_needs_a_reference():
    with pytest.raises(ValueError, match="the reference is ' '"):
        character_error_rate(" ", "x")


@pytest.mark.parametrize(
    ("answers", "reply", "value"),
    [
        (["hello"], "hello", 1),
        (["Hello"], " hELLO", 1),
        (["hello"], "hallo", 0.8),  # distance 1 of 5
        (["hello"], "help", 1 - 2 / 5),
        (["abcd"], "abxy", 0),  # 2 of 4 reaches the threshold
        (["abcde"], "abcxy", 1 - 2 / 5),
        (["hello"], "goodbye", 0),
        (["hello", "goodbye"], "goodby", 1 - 1 / 7),  # the nearest answer counts
        (["hello"], "", 0),
    ],
)
def test_anls(answers, reply, value):
    assert anls(answers, reply) == pytest.approx(value)


@pytest.mark.parametrize(("matches", "value"), [(0, 0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1)])
def test_vqa_accuracy_of_ten_annotators(matches, value):
    """Leaving out one of m matches leaves m - 1, in m of ten sets; m in the others."""
    answers = ["red"] * matches + [f"other {number}" for number in range(10 - matches)]
    random.Random(matches).shuffle(answers)
    assert vqa_accuracy(answers, "Red.") == pytest.approx(value)


def test_vqa_accuracy_needs_annotators():
    with pytest.raises(ValueError, match="1 answers"):
        vqa_accuracy(["red"], "red")


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("The dog.", "dog"),
        ("Two", "2"),
        ("A", "a"),
        ("an apple", "apple"),
        ("1,000 men", "1000 men"),
    ],
)
def test_short_answers(text, short):
    assert short_answer(text) == short
    assert equals_any(["nothing", short], text) == 1
    assert equals_any(["nothing"], text) == 0
