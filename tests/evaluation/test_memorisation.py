"""What a model knows of an answer, against the formulas written out with NumPy and loops."""

import numpy as np
import pytest
from scipy.stats import gmean

from mllm.evaluation import memorisation as m

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("tokens", [1, 2, 7])
def test_probability_is_the_geometric_mean_of_its_tokens(tokens):
    p = RANDOM.uniform(0.01, 1, tokens)
    assert m.probability(np.log(p).mean()) == pytest.approx(gmean(p))
    assert m.probability(0.0) == 1


def test_probability_among_and_truth_ratio_as_published():
    """The released code divides probabilities, with 1e-10 below the line."""
    for _ in range(20):
        right, *wrong = RANDOM.uniform(0.01, 1, 4)
        logs = np.log(wrong)
        among = m.probability_among(np.log(right), logs)
        assert among == pytest.approx(right / (right + sum(wrong) + 1e-10))
        ratio = m.truth_ratio(np.log(right), logs)
        assert ratio == pytest.approx(gmean(wrong) / (right + 1e-10), rel=1e-6)
        assert m.truth_undecided(ratio) == pytest.approx(min(ratio, 1 / (ratio + 1e-10)), rel=1e-6)
        assert m.truth_known(ratio) == pytest.approx(max(0, 1 - ratio))


def test_limits_of_truth():
    """Known, indistinguishable, preferred wrong; also where no float holds the probabilities."""
    known, equal, wrong = (m.truth_ratio(right, [-900.0] * 3) for right in (-1.0, -900.0, -2000.0))
    assert (known, equal) == (pytest.approx(0, abs=1e-300), 1)
    assert np.isfinite(wrong) and wrong > 1e300
    assert [m.truth_undecided(r) for r in (known, equal, wrong)] == pytest.approx([0, 1, 0])
    assert [m.truth_known(r) for r in (known, equal, wrong)] == pytest.approx([1, 0, 0])
    assert m.probability_among(-900.0, [-900.0] * 3) == pytest.approx(0.25)
    assert m.probability_among(-1.0, [-900.0] * 3) == pytest.approx(1)
    with pytest.raises(ValueError, match="no wrong answer"):
        m.truth_ratio(-1.0, [])


def test_truth_ratio_rises_as_the_right_answer_is_forgotten():
    ratios = [m.truth_ratio(right, [-3.0, -4.0]) for right in (-0.1, -1.0, -3.0, -9.0)]
    assert ratios == sorted(ratios) and len(set(ratios)) == 4


def brute_strength(hits) -> float:
    for k in range(len(hits) + 1):
        if all(hits[k:]):
            return 1 - k / len(hits)
    raise AssertionError


def test_memorisation_and_extraction_of_every_pattern():
    for length in range(1, 8):
        for pattern in range(2**length):
            hits = [bool(pattern >> place & 1) for place in range(length)]
            assert m.exact_memorisation(hits) == pytest.approx(np.mean(hits))
            assert m.extraction_strength(hits) == pytest.approx(brute_strength(hits))
            # What follows without a mistake was also hit token by token.
            assert m.extraction_strength(hits) <= m.exact_memorisation(hits) + 1e-12
