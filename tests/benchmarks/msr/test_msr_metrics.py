"""Metrics of ranked candidates against enumeration of all orders, scikit-learn and closed forms."""

from itertools import pairwise, permutations

import numpy as np
import pytest
from sklearn.metrics import ndcg_score, roc_auc_score

from mllm.benchmarks.msr.metrics import pooled_values, ranking_metrics, user_metrics

KS = (1, 3, 5, 10)


def of_order(order, positive, k):
    rank = order.index(positive) + 1
    hit = rank <= k
    return {"hr": hit, "mrr": hit / rank, "ndcg": hit / np.log2(1 + rank)}


def enumerated(scores, positive, k):
    """Return the means over all orders in which scores never rise."""
    orders = [
        order
        for order in permutations(range(len(scores)))
        if all(scores[a] >= scores[b] for a, b in pairwise(order))
    ]
    each = [of_order(order, positive, k) for order in orders]
    return {name: np.mean([one[name] for one in each]) for name in each[0]}


def labels_of(scores, positive):
    labels = np.zeros(scores.shape, int)
    labels[np.arange(len(scores)), positive] = 1
    return labels


def test_equals_the_mean_over_all_orders_of_ties():
    rng = np.random.default_rng(0)
    scores, positive = rng.integers(0, 3, (12, 6)).astype(float), rng.integers(0, 6, 12)
    found = user_metrics(scores, positive, (1, 2, 4, 9))
    for user in range(12):
        for k in (1, 2, 4, 9):
            for name, value in enumerated(scores[user], positive[user], k).items():
                assert found[f"{name}@{k}"][user] == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_auc_and_ndcg_equal_those_of_scikit_learn(levels):
    rng = np.random.default_rng(levels)
    scores, positive = rng.integers(0, levels, (80, 21)) / 7, rng.integers(0, 21, 80)
    labels, found = labels_of(scores, positive), ranking_metrics(scores, positive, KS)
    assert found["auc_pooled"] == pytest.approx(roc_auc_score(labels.ravel(), scores.ravel()))
    users = [roc_auc_score(label, score) for label, score in zip(labels, scores, strict=True)]
    assert found["auc_user"] == pytest.approx(np.mean(users))
    for k in KS:  # with ties averaged, as here
        assert found[f"ndcg@{k}"] == pytest.approx(ndcg_score(labels, scores, k=k))


def test_a_constant_scorer_gets_chance_and_an_oracle_everything():
    positive = np.arange(42) % 21
    found = ranking_metrics(np.full((42, 21), -3.5), positive, KS)
    assert found["auc_pooled"] == found["auc_user"] == 0.5
    assert found["hr@5"] == pytest.approx(5 / 21, abs=1e-12)
    assert found["mrr@5"] == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5) / 21, abs=1e-12)
    assert round(found["mrr@5"], 4) == 0.1087
    oracle = ranking_metrics(labels_of(np.zeros((42, 21)), positive), positive, KS)
    assert set(oracle) == {"auc_pooled", "auc_user"} | {
        f"{name}@{k}" for name in ("hr", "mrr", "ndcg") for k in KS
    }
    assert set(oracle.values()) == {1.0}


def test_neither_the_order_of_users_nor_that_of_candidates_matters():
    rng = np.random.default_rng(1)
    scores, positive = rng.integers(0, 4, (30, 21)), rng.integers(0, 21, 30)
    users, columns = rng.permutation(30), rng.permutation(21)
    places = np.argsort(columns)
    other = ranking_metrics(scores[users][:, columns], places[positive[users]], KS)
    assert other == pytest.approx(ranking_metrics(scores, positive, KS))


def test_resampled_user_values_spread_like_the_pooled_auc_of_resampled_users():
    rng = np.random.default_rng(2)
    shift = rng.normal(0, 2, (150, 1))  # users answer on scales of their own
    scores = np.round(rng.normal(0, 1, (150, 21)) + shift, 1)
    scores[:, 0] += 1
    values = pooled_values(scores[:, 0], scores[:, 1:])
    labels = labels_of(scores, np.zeros(150, int))
    drawn = rng.integers(0, 150, (400, 150))
    exact = [roc_auc_score(labels[users].ravel(), scores[users].ravel()) for users in drawn]
    ours = values[drawn].mean(axis=1)
    assert values.mean() == pytest.approx(roc_auc_score(labels.ravel(), scores.ravel()))
    assert np.std(ours) == pytest.approx(np.std(exact), rel=0.03)
    assert np.corrcoef(ours, exact)[0, 1] > 0.99
    # Positives alone would claim another precision.
    alone = [(scores[users, :1] > scores[None, :, 1:].ravel()).mean() for users in drawn[:100]]
    assert abs(np.std(alone) / np.std(exact[:100]) - 1) > 0.2


@pytest.mark.parametrize(
    "change, message",
    [
        (
            lambda s, p: (np.where(np.eye(3, 4) > 0, np.nan, s), p, KS),
            r"user 0, candidate 0 is NaN",
        ),
        (lambda s, p: (s, p + 2, KS), r"positive: of user 2 is 4, expected a column, 0 to 3"),
        (lambda s, p: (s, -p - 1, KS), r"positive: of user 0 is -1"),
        (lambda s, p: (s, p / 1, KS), r"positive: expected 3 columns .* found float64"),
        (lambda s, p: (s, p[:2], KS), r"positive: expected 3 columns of scores, one for each user"),
        (lambda s, p: (s, p, (5, 0)), r"ks: expected 1 or more, found 0"),
        (lambda s, p: (s[:, :1], p * 0, KS), r"a negative or more, found \(3, 1\)"),
        (lambda s, p: (s[:0], p[:0], KS), r"found \(0, 4\)"),
        (lambda s, p: (s[0], p, KS), r"found \(4,\)"),
    ],
)
def test_what_has_no_rank_is_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        ranking_metrics(*change(np.zeros((3, 4)), np.arange(3)))
