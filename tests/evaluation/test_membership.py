"""Membership inference against scikit-learn, and scores written out in NumPy."""

import zlib

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mllm.evaluation import membership

RANDOM = np.random.default_rng(1)


@pytest.mark.parametrize("tokens", [1, 4, 5, 11, 40])
def test_scores_of_tokens(tokens):
    logprobs = np.log(RANDOM.uniform(0.01, 1, tokens))
    assert membership.loss(logprobs) == pytest.approx(-logprobs.sum() / tokens)
    text = "Lisbon " * tokens
    size = len(zlib.compress(bytes(text, "utf-8")))
    assert membership.zlib_loss(logprobs, text) == pytest.approx(-logprobs.mean() / size)
    for share in (0.2, 0.4, 1.0):
        lowest = sorted(logprobs)[: max(1, int(share * tokens))]
        assert membership.min_k(logprobs, share) == pytest.approx(-np.mean(lowest))
    assert membership.min_k(logprobs, 1.0) == pytest.approx(membership.loss(logprobs))


def test_min_k_plus_plus_standardises_by_the_distribution():
    """From whole distributions over a vocabulary, one of them without variance."""
    p = RANDOM.dirichlet(np.full(9, 0.5), size=12)
    p[3] = 1 / 9
    chosen = RANDOM.integers(0, 9, 12)
    logs = np.log(p)
    mean = np.sum(p * logs, axis=1)
    variance = np.sum(p * logs**2, axis=1) - mean**2
    taken = logs[np.arange(12), chosen]
    scaled = sorted((taken - mean) / np.sqrt(np.maximum(variance, 1e-6)))
    found = membership.min_k_plus_plus(taken, mean, variance)
    assert found == pytest.approx(-np.mean(scaled[:2]))
    assert np.isfinite(found)


def test_likelier_answers_look_more_learned():
    likely, unlikely = np.log([0.9, 0.8, 0.7]), np.log([0.3, 0.2, 0.1])
    assert membership.loss(likely) < membership.loss(unlikely)
    assert membership.min_k(likely) < membership.min_k(unlikely)
    assert membership.zlib_loss(likely, "Porto") < membership.zlib_loss(unlikely, "Porto")


def test_auc_counts_what_was_never_learned_as_positive():
    suspected, unseen = RANDOM.normal(size=30).round(1), RANDOM.normal(0.5, size=20).round(1)
    labels = [0] * 30 + [1] * 20
    expected = roc_auc_score(labels, np.concatenate([suspected, unseen]))
    assert membership.membership_auc(suspected, unseen) == pytest.approx(expected)
    assert membership.membership_auc([0.1, 0.2], [1, 2]) == 1  # still looks learned
    assert membership.membership_auc([5, 6], [1, 2]) == 0
    assert membership.membership_auc([1], [1]) == 0.5


def test_privacy_leak():
    for auc, reference in RANDOM.uniform(0.05, 0.95, (20, 2)):
        expected = 100 * ((1 - auc) / (1 - reference) - 1)
        assert membership.privacy_leak(auc, reference) == pytest.approx(expected)
    assert membership.privacy_leak(0.4, 0.4) == 0
    assert membership.privacy_leak(1.0) == pytest.approx(-100)
    assert membership.privacy_leak(0.0) == pytest.approx(100)
