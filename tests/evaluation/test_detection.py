"""Detection measures against scikit-learn, SciPy and counting by hand."""

import math

import numpy as np
import pytest
from scipy.stats import norm
from sklearn import metrics

from mllm.evaluation.detection import (
    average_precision,
    balanced_accuracy,
    best_threshold,
    d_prime,
    f1_and_recall,
    roc_auc,
)


def drawn(seed, tied, count=60):
    """Return scores, with ties where wanted, truths and weights of which some are 0."""
    rng = np.random.default_rng(seed)
    truth = rng.random(count) < 0.3
    scores = rng.normal(size=count) + truth
    scores = np.round(scores) if tied else scores
    return scores, truth, rng.integers(0, 4, (5, count)).astype(float)


CASES = pytest.mark.parametrize(("seed", "tied"), [(0, False), (1, False), (2, True), (3, True)])


@CASES
def test_ranking_measures_equal_scikit_learn_with_and_without_weights(seed, tied):
    scores, truth, weights = drawn(seed, tied)
    for ours, theirs in (
        (average_precision, metrics.average_precision_score),
        (roc_auc, metrics.roc_auc_score),
    ):
        assert ours(scores, truth) == pytest.approx(theirs(truth, scores), abs=1e-12)
        expected = [theirs(truth, scores, sample_weight=row) for row in weights]
        np.testing.assert_allclose(ours(scores, truth, weights), expected, atol=1e-12)


@CASES
def test_the_threshold_has_the_highest_f1_of_all_thresholds(seed, tied):
    scores, truth, _ = drawn(seed, tied)
    threshold = best_threshold(scores, truth)
    precision, recall, _ = metrics.precision_recall_curve(truth, scores)
    highest = np.nanmax(2 * precision * recall / np.maximum(precision + recall, 1e-12))
    assert metrics.f1_score(truth, scores >= threshold) == pytest.approx(highest)


@CASES
def test_f1_recall_and_balanced_accuracy_equal_scikit_learn(seed, tied):
    scores, truth, weights = drawn(seed, tied)
    chosen = scores > 0.5
    f1, recall = f1_and_recall(chosen, truth, weights)
    balanced = balanced_accuracy(chosen == truth, truth, weights)
    for row, weight in enumerate(weights):
        chosen_by = (truth, chosen)
        assert f1[row] == pytest.approx(metrics.f1_score(*chosen_by, sample_weight=weight))
        assert recall[row] == pytest.approx(metrics.recall_score(*chosen_by, sample_weight=weight))
        expected = metrics.balanced_accuracy_score(*chosen_by, sample_weight=weight)
        assert balanced[row] == pytest.approx(expected)


def test_d_prime_is_the_difference_of_corrected_z_scores():
    truth = [True] * 10 + [False] * 20
    said = [1] * 8 + [0] * 2 + [1] * 3 + [0] * 17
    expected = norm.ppf(8.5 / 11) - norm.ppf(3.5 / 21)
    assert d_prime(said, truth) == pytest.approx(expected)
    doubled = norm.ppf(16.5 / 21) - norm.ppf(6.5 / 41)
    assert d_prime(said, truth, np.full((1, 30), 2.0))[0] == pytest.approx(doubled)


@pytest.mark.parametrize("always", [0.0, 0.5, 1.0])
def test_one_answer_to_everything_has_no_sensitivity(always):
    truth = np.array([True, False] * 12)
    right = np.abs(1 - truth - always)
    assert balanced_accuracy(right, truth) == 0.5
    assert d_prime([always] * 24, truth) == 0


def test_what_is_not_defined_is_not_a_number():
    scores, none, every = [0.1, 0.2], [False, False], [True, True]
    assert math.isnan(average_precision(scores, none))
    assert average_precision(scores, every) == 1
    assert math.isnan(roc_auc(scores, none)) and math.isnan(roc_auc(scores, every))
    assert math.isnan(best_threshold(scores, none))
    assert math.isnan(d_prime([1, 0], every)) and math.isnan(balanced_accuracy([1, 0], none))
    assert all(map(math.isnan, f1_and_recall([True, False], none)))


def test_scores_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="score 1 is NaN"):
        roc_auc([0.0, math.nan], [True, False])
    with pytest.raises(ValueError, match="as many of each"):
        average_precision([0.0, 1.0], [True])
