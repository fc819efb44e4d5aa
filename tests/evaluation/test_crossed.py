"""The bootstrap over clusters and seeds against loops and the variance of an additive model."""

import numpy as np
import pytest

from mllm.evaluation.crossed import crossed_means, drawn_seeds
from mllm.evaluation.statistics import bootstrap_means, resampled_weights

CLUSTERS = ["a", "a", "b", "c", "c", "c", "d"]


def test_equals_a_loop_over_draws_of_clusters_and_seeds():
    values, seeds = np.random.default_rng(0).random((3, 7)), (4, 0, 9)
    found = crossed_means(values, CLUSTERS, seeds, samples=50)
    people = resampled_weights(CLUSTERS, samples=50)[1:]
    for draw, times, shares in zip(found, people, drawn_seeds(seeds, 50), strict=True):
        lot = []
        for seed, share in enumerate(shares):
            for question, count in enumerate(times):
                lot += [values[seed][question]] * int(count) * round(3 * share)
        assert draw == pytest.approx(np.mean(lot))


def test_equal_seeds_add_nothing():
    values = np.random.default_rng(1).random(7)
    both = crossed_means([values, values], CLUSTERS, (0, 1))
    np.testing.assert_allclose(both, bootstrap_means(values, CLUSTERS))


def test_the_variance_is_that_of_people_and_of_seeds():
    """Of an additive model it is s²/C (C-1)/C + t²/S (S-1)/S with the variances of its parts."""
    rng = np.random.default_rng(2)
    people, seeds = rng.normal(size=40), rng.normal(size=5)
    found = crossed_means(seeds[:, None] + people, range(40), range(5), samples=20_000)
    assert found.mean() == pytest.approx(people.mean() + seeds.mean(), abs=0.02)
    assert found.var() == pytest.approx(people.var() / 40 + seeds.var() / 5, rel=0.05)


def test_the_same_seeds_are_drawn_together_whatever_was_asked():
    """A seed that is high everywhere is so in both: their difference has no spread from seeds."""
    of_seed = np.array([[0.1], [0.5], [0.9]])
    one = crossed_means(np.repeat(of_seed, 6, axis=1), "abcdef", (0, 1, 2))
    two = crossed_means(np.repeat(of_seed, 9, axis=1), "ghijklmno", (0, 1, 2))
    assert one.std() > 0.1
    np.testing.assert_allclose(one - two, 0, atol=1e-12)
    other = crossed_means(np.repeat(of_seed, 6, axis=1), "abcdef", (0, 1, 3))
    assert (one - other).std() > 0.1


def test_one_cluster_has_no_spread_and_shapes_are_checked():
    assert np.isnan(crossed_means([[1.0], [0.0]], ["a"], (0, 1), samples=3)).all()
    with pytest.raises(ValueError, match=r"\(1, 7\), expected \(2, 7\)"):
        crossed_means([range(7)], CLUSTERS, (0, 1))
