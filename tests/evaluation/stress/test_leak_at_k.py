"""leak@k against a count of all ways to draw k replies."""

from itertools import combinations

import pytest

from mllm.evaluation.stress.leak import leak_at


@pytest.mark.parametrize("leaked", range(6))
@pytest.mark.parametrize("k", range(1, 6))
def test_it_is_the_share_of_draws_that_hold_a_leak(leaked, k):
    draws = list(combinations([True] * leaked + [False] * (5 - leaked), k))
    assert leak_at(leaked, 5, k) == pytest.approx(sum(map(any, draws)) / len(draws))


@pytest.mark.parametrize("leaked, k", [(2, 0), (2, 6), (6, 1), (-1, 1)])
def test_impossible_counts_are_refused(leaked, k):
    with pytest.raises(ValueError, match="expected 0 to 5 and 1 to 5"):
        leak_at(leaked, 5, k)
