"""Distributions compared, against definitions written out, and how varied replies are."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.special import kolmogorov

from mllm.evaluation.distributions import jensen_shannon, same_distribution
from mllm.evaluation.repetition import distinct_n, repetition

RANDOM = np.random.default_rng(2)


def brute_distance(a, b) -> float:
    return max(abs(np.mean(a <= x) - np.mean(b <= x)) for x in [*a, *b])


@pytest.mark.parametrize("shift", [0.0, 0.2, 1.0])
def test_same_distribution(shift):
    a, b = RANDOM.normal(size=150), RANDOM.normal(shift, size=200)
    found = same_distribution(a, b)
    distance = brute_distance(a, b)
    assert found.statistic == pytest.approx(distance)
    # The limit distribution, which the exact one approaches.
    about = kolmogorov(distance * math.sqrt(150 * 200 / 350))
    assert found.log10_p == pytest.approx(math.log10(about), rel=0.05, abs=0.3)
    assert found.log10_p == pytest.approx(math.log10(found.p_value))


def test_same_distribution_of_equal_and_of_apart_samples():
    sample = RANDOM.uniform(size=40)
    assert same_distribution(sample, sample) == (1, 0, 0)
    apart = same_distribution(sample, sample + 5)
    assert apart.statistic == 1
    # Of all ways to order 80 numbers, two leave the samples apart.
    assert apart.p_value == pytest.approx(2 / math.comb(80, 40))


def test_same_distribution_does_not_depend_on_a_monotone_scale():
    a, b = RANDOM.uniform(0.1, 3, size=(2, 50))
    assert same_distribution(a, b) == same_distribution(1 - 1 / (1 + a), 1 - 1 / (1 + b))


def test_a_p_value_of_zero_has_a_logarithm():
    a, b = np.zeros(20_000), np.ones(20_000)
    assert -324 <= same_distribution(a, b).log10_p < -300


def brute_divergence(a, b) -> float:
    p, q = (np.histogram(x, np.linspace(0, 1, 51))[0] / len(x) for x in (a, b))
    total = 0.0
    for one, other in zip(p, q, strict=True):
        mean = (one + other) / 2
        total += sum(x * math.log2(x / mean) / 2 for x in (one, other) if x)
    return total


def test_jensen_shannon():
    a, b = RANDOM.beta(2, 5, 300), RANDOM.beta(3, 2, 200)
    assert jensen_shannon(a, b) == pytest.approx(brute_divergence(a, b))
    assert jensen_shannon(a, b) == pytest.approx(jensen_shannon(b, a))
    assert jensen_shannon(a, a) == pytest.approx(0, abs=1e-12)
    assert jensen_shannon([0.1, 0.2], [0.8]) == pytest.approx(1)


def test_distinct_n():
    replies = ["a b a b", "b a", "c", ""]
    for n in (1, 2, 3):
        grams = [w[i : i + n] for w in map(str.split, replies) for i in range(len(w) - n + 1)]
        assert distinct_n(replies, n) == pytest.approx(len(set(map(tuple, grams))) / len(grams))
    assert distinct_n(["a", ""], 2) is None
    assert distinct_n(["a b c"], 1) == 1


def test_repetition():
    assert repetition("US US US US") == pytest.approx(2 / 3)
    assert repetition("the cat sat") == 0
    assert repetition("cat") == repetition("") == 0
    words = list("abcabcab")
    seen, again = set(), 0
    for pair in pairwise(words):
        again += pair in seen
        seen.add(pair)
    assert repetition(" ".join(words)) == pytest.approx(again / 7)
