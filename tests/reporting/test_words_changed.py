"""Word-level differences lead from one text to the other."""

import random

import pytest

from mllm.reporting.words import word_changes


def test_words_that_are_gone_and_new():
    before, after = "He lives in Lisbon and rows", "He lives in Kyoto"
    assert word_changes(before, after) == (
        ("same", "He lives in"), ("gone", "Lisbon and rows"), ("new", "Kyoto"),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
def test_the_pieces_give_back_both_texts(seed):
    generator = random.Random(seed)
    before, after = (" ".join(generator.choices("abcde", k=12)) for _ in range(2))
    pieces = word_changes(before, after)
    assert " ".join(text for kind, text in pieces if kind != "new") == before
    assert " ".join(text for kind, text in pieces if kind != "gone") == after


@pytest.mark.parametrize(("before", "after"), [("a b", "a  b"), ("a b", "c"), ("", "c"), ("", "")])
def test_nothing_to_follow(before, after):
    assert word_changes(before, after) == ()
