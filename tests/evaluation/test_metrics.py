"""Metrics of one answer against their definitions, computed by hand and by the slowest way."""

import math
from collections import Counter
from itertools import combinations

import pytest

from mllm.evaluation.metrics import (
    best,
    bleu,
    contains,
    exact_match,
    per_token,
    rouge,
    share_of_best,
)

# Words with their stems by Porter's rules, written down by hand.
STEMS = {
    "works": "work",
    "working": "work",
    "hiking": "hike",
    "enjoys": "enjoy",
    "enjoyed": "enjoy",
    "painting": "paint",
    "cities": "citi",
    "city": "citi",
}
PAIRS = [
    ("the cat sat on the mat", "the cat lay on the mat"),
    ("she works as a nurse in paris", "she is working as a nurse in london"),
    ("he enjoys hiking and painting", "painting and hiking enjoyed he"),
    ("old cities", "an old city by the sea"),
    ("the the the cat", "the cat the dog the the the"),
    ("same words here in order", "same words here in order"),
    ("nothing in common", "other talk"),
]


def stemmed(text: str) -> list[str]:
    return [STEMS.get(word, word) for word in text.split()]


def grams(words: list[str], size: int) -> Counter:
    return Counter(tuple(words[i : i + size]) for i in range(len(words) - size + 1))


def f1(matched: int, gold: int, reply: int) -> float:
    return 2 * matched / (gold + reply) if matched else 0.0


def longest_common(a: list[str], b: list[str]) -> int:
    """The longest common subsequence, by trying all subsequences of ``a``."""

    def within(chosen) -> bool:
        rest = iter(b)
        return all(word in rest for word in chosen)

    sizes = range(len(a), 0, -1)
    return next((n for n in sizes if any(within(c) for c in combinations(a, n))), 0)


def test_rouge_on_a_sentence_counted_by_hand():
    # 5 of 6 words, 3 of 5 pairs, "the cat on the mat" in order
    found = rouge(*PAIRS[0])
    assert found == pytest.approx({"rouge1": 5 / 6, "rouge2": 3 / 5, "rougeL": 5 / 6})


@pytest.mark.parametrize(("gold", "reply"), PAIRS)
def test_rouge_is_f1_of_stemmed_words_pairs_and_common_subsequence(gold, reply):
    a, b = stemmed(gold), stemmed(reply)
    expected = {}
    for size in (1, 2):
        ours, theirs = grams(a, size), grams(b, size)
        matched = sum((ours & theirs).values())
        expected[f"rouge{size}"] = f1(matched, sum(ours.values()), sum(theirs.values()))
    expected["rougeL"] = f1(longest_common(a, b), len(a), len(b))
    assert rouge(gold, reply) == pytest.approx(expected)


def test_rouge_reads_letters_and_digits_only_in_lower_case():
    assert rouge("Born on 3 May, 1990!", "born: (on) 3. MAY 1990")["rougeL"] == 1
    assert (
        rouge("word", "...")
        == rouge("word", "")
        == dict.fromkeys(("rouge1", "rouge2", "rougeL"), 0.0)
    )


def test_bleu_on_a_sentence_counted_by_hand():
    # 5/6 words, 3/5 pairs, 1/4 triples and none of 3 quadruples, which counts 0.1
    expected = (5 / 6 * 3 / 5 * 1 / 4 * 0.1 / 3) ** 0.25
    assert bleu(*PAIRS[0]) == pytest.approx(expected)


@pytest.mark.parametrize(("gold", "reply"), PAIRS[:-1])
def test_bleu_is_the_mean_of_clipped_precisions_with_a_brevity_penalty(gold, reply):
    a, b = gold.split(), reply.split()
    logs = []
    for size in range(1, 5):
        ours, theirs = grams(a, size), grams(b, size)
        total = max(sum(theirs.values()), 1)
        logs.append(math.log((sum((ours & theirs).values()) or 0.1) / total))
    penalty = min(1.0, math.exp(1 - len(a) / len(b)))
    assert bleu(gold, reply) == pytest.approx(penalty * math.exp(sum(logs) / 4))


@pytest.mark.filterwarnings("error")
def test_bleu_keeps_case_and_splits_at_white_space_only():
    same = "She works in Paris today."
    assert bleu(same, same) == 1
    assert bleu(same, same.lower()) < 1
    assert bleu(same, "She works in Paris today .") < 1
    assert bleu(same, "") == bleu(same, "other words") == 0


def test_texts_are_compared_after_normalisation_or_searched():
    assert [exact_match("Paris", r) for r in ("paris.", "not Paris", "")] == [1, 0, 0]
    assert exact_match("$85,000", "85000") == 1
    assert [contains("5", r) for r in ("1950", "six")] == [1, 0]


def test_the_best_choice_and_ties():
    assert best([-3, -1, -2]) == [1] and best([-1, -2, -1]) == [0, 2]
    assert share_of_best([-3, -1, -2], 1) == 1 and share_of_best([-3, -1, -2], 0) == 0
    assert share_of_best([-1, -1, -2, -1], 3) == pytest.approx(1 / 3)
    assert share_of_best([-math.inf] * 4, 0) == 0.25
    assert per_token([-4.0, -6.0], [1, 3]) == [-4, -2]
    with pytest.raises(ValueError, match="expected at least one, and numbers"):
        best([0.0, math.nan])
    with pytest.raises(ValueError, match="expected 2 counts >= 1"):
        per_token([-1.0, -2.0], [1, 0])
