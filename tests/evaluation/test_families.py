"""Corrected p-values against loops over all flips, Holm's bound and the single test."""

import itertools

import numpy as np
import pytest

from mllm.evaluation.families import sign_flip_family
from mllm.evaluation.statistics import holm, paired_difference


def by_loops(sums):
    """The definition, flip by flip: p-values, then step-down minima over those not yet passed."""
    flips = list(itertools.product((1, -1), repeat=sums.shape[1]))
    totals = [[abs(sum(s * v for s, v in zip(f, row, strict=True))) for row in sums] for f in flips]

    def p_value(row, total):
        return sum(other[row] >= total - 1e-9 for other in totals) / len(flips)

    found = [p_value(row, totals[0][row]) for row in range(len(sums))]
    corrected, highest = {}, 0.0
    left = sorted(range(len(sums)), key=lambda row: found[row])
    while left:
        first = left[0]
        least = [min(p_value(row, one[row]) for row in left) for one in totals]
        highest = max(highest, sum(one <= found[first] + 1e-12 for one in least) / len(flips))
        corrected[first] = highest
        left = left[1:]
    return found, [corrected[row] for row in range(len(sums))]


def test_equals_the_definition():
    rng = np.random.default_rng(0)
    sums = rng.normal(size=(4, 6)) + np.array([[1.5], [0.2], [0.8], [0.0]])
    sums[3] = np.round(sums[3])  # with ties
    for ours, theirs in zip(sign_flip_family(sums), by_loops(sums), strict=True):
        np.testing.assert_allclose(ours, theirs)


def test_it_is_never_above_holm_and_never_below_the_single_test():
    rng = np.random.default_rng(1)
    for clusters in (7, 15):
        sums = rng.normal(size=(9, clusters)) + rng.normal(size=(9, 1))
        found, corrected = sign_flip_family(sums, samples=500)
        assert (corrected >= found).all()
        assert (corrected <= np.array(holm(found)) + 1e-12).all()


def test_a_single_comparison_is_the_sign_flip_test():
    rng = np.random.default_rng(2)
    values = rng.normal(0.4, 1, size=9)
    found, corrected = sign_flip_family(values[None])
    expected = paired_difference(values, np.zeros(9), range(9)).p_value
    assert found[0] == corrected[0] == pytest.approx(expected)


def test_twenty_methods_that_agree_on_nine_people_are_told_apart():
    """Holm's bound is 20 · 2 / 2^9 = 0.078, whatever the data are."""
    sums = -np.random.default_rng(3).uniform(0.5, 1, size=(20, 9))
    found, corrected = sign_flip_family(sums)
    assert holm(found)[0] > 0.05
    np.testing.assert_allclose(corrected, 2 / 2**9)


def test_independent_noise_is_seldom_told_apart():
    """The chance of any false claim in a family stays at 5%, where single tests make many."""
    rng, single, family = np.random.default_rng(4), 0, 0
    for _ in range(200):
        found, corrected = sign_flip_family(rng.normal(size=(8, 8)))
        single += found.min() <= 0.05
        family += corrected.min() <= 0.05
    assert family <= 20 and single > 40  # expected: 10 and 67


def test_nothing_differs_nothing_is_claimed():
    found, corrected = sign_flip_family(np.zeros((3, 8)))
    assert set(found) == set(corrected) == {1.0}
    assert [len(one) for one in sign_flip_family(np.zeros((0, 5)))] == [0, 0]
