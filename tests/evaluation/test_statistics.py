"""Intervals and p-values against scipy, loops and enumeration."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats

from mllm.evaluation.detection import average_precision
from mllm.evaluation.statistics import (
    bootstrap_means,
    central_interval,
    centred_interval,
    cluster_bootstrap,
    cohen_kappa,
    holm,
    mcnemar,
    mean_interval,
    paired_difference,
    resampled_weights,
    statistic_interval,
    wilson,
)


def clustered(seed, clusters=20, most=6):
    rng = np.random.default_rng(seed)
    names, values = [], []
    for number in range(clusters):
        rate = rng.random()
        for _ in range(rng.integers(1, most)):
            names.append(f"p{number}")
            values.append(float(rng.random() < rate))
    return np.array(values), names


def test_equals_scipy_where_every_cluster_is_one_question():
    values = np.random.default_rng(0).gamma(2, size=60)
    ours = cluster_bootstrap(values, range(60), samples=20_000)
    scipys = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=1
    ).confidence_interval
    # a percentile of 20,000 resamplings is known to about 0.02 standard errors
    error = values.std() / np.sqrt(60)
    np.testing.assert_allclose(ours, (scipys.low, scipys.high), atol=0.1 * error)


def test_equals_a_loop_over_resampled_profiles():
    values, names = clustered(1)
    profiles = sorted(set(names))
    by_profile = {name: values[[n == name for n in names]] for name in profiles}
    rng = np.random.default_rng(7)
    means = [
        np.concatenate([by_profile[name] for name in rng.choice(profiles, len(profiles))]).mean()
        for _ in range(4000)
    ]
    expected = np.quantile(means, [0.025, 0.975])
    ours = cluster_bootstrap(values, names, samples=20_000)
    np.testing.assert_allclose(ours, expected, atol=0.15 * np.std(means))


def test_clusters_widen_the_interval():
    values = np.repeat(np.random.default_rng(2).random(30) < 0.5, 10).astype(float)
    low, high = cluster_bootstrap(values, np.repeat(np.arange(30), 10).tolist())
    naive_low, naive_high = cluster_bootstrap(values, range(300))
    assert high - low > 2.5 * (naive_high - naive_low)  # sqrt(10) times, as all ten agree


def test_is_reproducible_and_blind_to_the_order_of_questions():
    values, names = clustered(3)
    shuffled = np.random.default_rng(0).permutation(len(values))
    again = cluster_bootstrap(values[shuffled], [names[i] for i in shuffled])
    assert cluster_bootstrap(values, names) == cluster_bootstrap(values, names)
    np.testing.assert_allclose(again, cluster_bootstrap(values, names), rtol=1e-12)
    assert cluster_bootstrap(values, names, seed=1) != cluster_bootstrap(values, names)


def test_degenerate_intervals():
    assert np.isnan(cluster_bootstrap([], [])).all()
    assert np.isnan(cluster_bootstrap([0.0, 1.0], ["p", "p"])).all()
    assert cluster_bootstrap([0.3] * 4, ["p", "p", "q", "r"]) == pytest.approx((0.3, 0.3))


def test_paired_difference_on_the_same_questions():
    values, names = clustered(4)
    other = np.clip(values - 0.25, 0, 1)
    result = paired_difference(values, other, names)
    np.testing.assert_allclose(result.difference, values.mean() - other.mean())
    interval = cluster_bootstrap(values - other, names, samples=10_000)
    np.testing.assert_allclose((result.low, result.high), interval)
    reverse = paired_difference(other, values, names)
    np.testing.assert_allclose(
        (reverse.difference, reverse.low, reverse.high, reverse.p_value),
        (-result.difference, -result.high, -result.low, result.p_value),
        atol=0.02,
    )


@pytest.mark.parametrize("clusters", [2, 5, 9])
def test_p_value_is_exact_for_few_profiles(clusters):
    rng = np.random.default_rng(clusters)
    names = [name for name in range(clusters) for _ in range(3)]
    a, b = rng.integers(0, 2, (2, len(names))).astype(float)
    sums = [sum((a - b)[3 * c : 3 * c + 3]) for c in range(clusters)]
    signed = [abs(np.dot(signs, sums)) for signs in itertools.product([1, -1], repeat=clusters)]
    expected = np.mean(np.array(signed) >= abs(sum(sums)) - 1e-9)
    assert paired_difference(a, b, names).p_value == pytest.approx(expected)


def test_p_value_agrees_with_scipy_for_many_profiles():
    rng = np.random.default_rng(5)
    a, b = rng.normal(0.25, 1, 40), rng.normal(0, 1, 40)
    expected = scipy.stats.permutation_test(
        (a, b), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=20_000, rng=2
    ).pvalue
    assert paired_difference(a, b, range(40)).p_value == pytest.approx(expected, abs=0.02)


def test_no_difference_is_found_where_there_is_none():
    rng = np.random.default_rng(6)
    small = [
        paired_difference(*rng.normal(size=(2, 15)), range(15), samples=500).p_value < 0.05
        for _ in range(400)
    ]
    assert 0.02 < np.mean(small) < 0.09


def test_degenerate_comparisons():
    nothing = paired_difference([], [], [])
    assert np.isnan(nothing[:3]).all() and nothing.p_value == 1
    one = paired_difference([1.0, 1.0], [0.0, 0.0], ["p", "p"])
    assert one.difference == 1 and np.isnan((one.low, one.high)).all() and one.p_value == 1
    same = paired_difference([1.0, 0.0], [1.0, 0.0], ["p", "q"])
    assert same == (0, 0, 0, 1)
    # certain in every profile, and still only three profiles
    three = paired_difference([1.0] * 3, [0.0] * 3, ["p", "q", "r"])
    assert three == (1, 1, 1, 0.25)
    many = paired_difference([1.0] * 30, [0.0] * 30, range(30))
    assert many.p_value == pytest.approx(1 / 10_001)


def test_errors_say_what_is_wrong():
    with pytest.raises(ValueError, match="2 values for 1 clusters"):
        cluster_bootstrap([0.0, 1.0], ["p"])
    with pytest.raises(ValueError, match="value 1 is not finite"):
        cluster_bootstrap([0.0, np.nan], ["p", "q"])
    with pytest.raises(ValueError, match="2 and 1 values"):
        paired_difference([0.0, 1.0], [1.0], ["p", "q"])


def test_means_of_two_runs_are_drawn_together():
    values, names = clustered(4)
    first, second = bootstrap_means(values, names), bootstrap_means(2 * values + 1, names)
    np.testing.assert_allclose(second, 2 * first + 1, rtol=1e-12)
    assert central_interval(first) == cluster_bootstrap(values, names)
    assert np.isnan(bootstrap_means([1.0, 0.0], ["p", "p"])).all()
    assert not np.array_equal(first, bootstrap_means(values, names, seed=1))


@pytest.mark.parametrize("successes, count", [(0, 7), (7, 7), (3, 10), (1, 1), (481, 1000)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_wilson_equals_scipy(successes, count, level):
    expected = scipy.stats.binomtest(successes, count).proportion_ci(level, method="wilson")
    found = wilson(successes, count, level)
    np.testing.assert_allclose(found, (expected.low, expected.high), rtol=1e-9, atol=1e-12)


def test_wilson_of_nothing_and_of_too_many():
    assert np.isnan(wilson(0, 0)).all()
    with pytest.raises(ValueError, match="8 successes of 7"):
        wilson(8, 7)


@pytest.mark.parametrize("only_a, only_b", [(0, 0), (1, 0), (3, 3), (2, 9), (14, 5), (40, 61)])
def test_mcnemar_is_the_exact_test_of_a_fair_coin(only_a, only_b):
    right_a = [1] * only_a + [0] * only_b + [1] * 4 + [0] * 3
    right_b = [0] * only_a + [1] * only_b + [1] * 4 + [0] * 3
    flips = only_a + only_b
    expected = scipy.stats.binomtest(only_a, flips).pvalue if flips else 1.0
    assert mcnemar(right_a, right_b) == pytest.approx(expected)
    assert mcnemar(right_b, right_a) == mcnemar(right_a, right_b)


def test_holm_on_a_table_made_by_hand():
    # in order .005 .01 .03 .04, times 4 3 2 1: .02 .03 .06 .04; no value falls below an earlier one
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([0.2, 0.2]) == pytest.approx([0.4, 0.4])
    assert holm([0.03]) == [0.03] and holm([]) == []
    with pytest.raises(ValueError, match="p-value 1 is nan"):
        holm([0.1, np.nan])


def test_cohen_kappa_on_tables_made_by_hand():
    # 20 both yes, 5 and 10 on one side only, 15 both no: (0.7 - 0.5) / (1 - 0.5)
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert cohen_kappa(first, second) == pytest.approx(0.4)
    assert cohen_kappa("abc", "abc") == 1
    assert cohen_kappa("aabb", "abab") == 0
    assert cohen_kappa("ab", "ba") == -1
    # 4 of 6 agree, by chance (2 * 3 + 2 * 2 + 2 * 1) / 36 would
    assert cohen_kappa("aabbcc", "aababc") == pytest.approx((4 / 6 - 1 / 3) / (1 - 1 / 3))
    assert np.isnan(cohen_kappa("aa", "aa")) and np.isnan(cohen_kappa("", ""))


def test_pairs_of_unlike_length_are_errors():
    with pytest.raises(ValueError, match="2 and 1 answers"):
        mcnemar([1, 0], [1])
    with pytest.raises(ValueError, match="2 and 1 labels"):
        cohen_kappa("ab", "a")


def test_any_statistic_is_resampled_by_the_draws_of_the_mean():
    values, names = clustered(2)
    weights = resampled_weights(names)
    value, interval = statistic_interval(weights @ values / weights.sum(axis=1))
    assert value == pytest.approx(values.mean())
    assert tuple(interval) == pytest.approx(cluster_bootstrap(values, names))


def test_draws_without_a_value_are_left_out():
    weights = resampled_weights("abc")
    first = np.where(weights[:, 0] > 0, weights[:, 0] / weights.sum(axis=1), np.nan)
    assert np.isnan(first).any()
    value, (low, high) = statistic_interval(first)
    assert (value, low, high) == pytest.approx((1 / 3, 1 / 3, 1))
    assert statistic_interval(np.array([0.5, np.nan])) == (0.5, [None, None])
    assert resampled_weights("aaa").tolist() == [[1.0, 1.0, 1.0]]


def mean_average_precision(scores, truth, drawn):
    """Return the mean over classes float64[...] of draws int[..., G] of signals of two clips."""
    weights = np.apply_along_axis(np.bincount, -1, drawn, minlength=len(truth) // 2)
    weights = weights.repeat(2, axis=-1)
    found = [average_precision(scores[:, c], truth[:, c], weights) for c in range(truth.shape[1])]
    return np.nanmean(found, axis=0)


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore::scipy.stats.DegenerateDataWarning")  # a BCa without bound
def test_a_centred_interval_holds_mean_average_precision_where_others_miss_it():
    signals, classes, held = np.arange(80), 20, []
    truth = (signals[:, None] % classes == np.arange(classes)).repeat(2, axis=0)

    def scores(seed):  # that say nothing
        return np.random.default_rng(seed).normal(size=truth.shape)

    expected = np.mean(
        [mean_average_precision(scores(seed), truth, signals) for seed in range(1000, 1200)]
    )
    for seed in range(24):
        found = scores(seed)

        def statistic(drawn, axis, found=found):
            return mean_average_precision(found, truth, drawn)

        draws = np.random.default_rng(seed).integers(0, 80, (150, 80))
        values = mean_average_precision(found, truth, np.concatenate([signals[None], draws]))
        _, centred = centred_interval(values, (0, 1))
        known = SimpleNamespace(bootstrap_distribution=values[1:])
        options = dict(vectorized=True, n_resamples=0, bootstrap_result=known)
        percentile, bca = (
            scipy.stats.bootstrap((signals,), statistic, method=method, **options)
            for method in ("percentile", "BCa")
        )
        assert statistic_interval(values)[1] == pytest.approx([*percentile.confidence_interval])
        assert centred[0] <= values[0] <= centred[1]
        intervals = (centred, percentile.confidence_interval, bca.confidence_interval)
        held.append([low <= expected <= high for low, high in intervals])
    centred, percentile, bca = np.mean(held, axis=0)
    assert centred >= 0.9 and percentile < 0.8 and bca < 0.8


def test_a_centred_interval_is_moved_by_the_mean_shift_and_cut():
    values = np.array([0.5, 0.6, 0.7, 0.8, np.nan])
    assert centred_interval(values, (0, 1)) == (0.5, pytest.approx([0.405, 0.595]))
    assert centred_interval(values, (0.45, 0.55)) == (0.5, [0.45, 0.55])
    assert centred_interval(np.array([0.5, np.nan]), (0, 1)) == (0.5, [None, None])


def test_the_interval_of_a_mean_is_wilsons_where_questions_are_independent():
    values = [1.0, 0.0, 1.0, 1.0]
    assert mean_interval(values, "abcd") == list(wilson(3, 4))
    assert mean_interval(values, "aabb") == list(cluster_bootstrap(values, "aabb"))
    assert mean_interval([0.5, 0.0], "ab") == list(cluster_bootstrap([0.5, 0.0], "ab"))
    assert mean_interval(values, "aaaa") == mean_interval([], []) == [None, None]
