"""Comparing two methods: agreement of errors, gaps, and what is refused."""

import math
import random
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from mllm.benchmarks.scale.agreement import error_agreement
from mllm.benchmarks.scale.gap import gaps, verdict
from mllm.benchmarks.scale.outcomes import Outcome, Outcomes

CELL = ("general", "single", "counting")
OTHER = ("general", "multi", "counting")


def outcomes(method, values, cell=CELL, answers=None, start=0):
    answers = answers or [None] * len(values)
    by_item = {
        f"item{number:05d}": Outcome(
            cell, f"prompt{number}", value, value is not None and value >= 0.5, answer
        )
        for number, (value, answer) in enumerate(zip(values, answers, strict=True), start)
    }
    return Outcomes(method, "fingerprint", by_item)


def joined(a, b):
    return Outcomes(a.method, a.data, {**a.by_item, **b.by_item})


def one(large, small, **options):
    (gap,) = gaps(outcomes("large", large), outcomes("small", small), **options)
    return gap


def test_a_gap_by_hand():
    gap = one([1] * 90 + [0] * 10, [1] * 50 + [0] * 40 + [1] * 5 + [0] * 5)
    assert (gap.group, gap.n) == ("general/single/counting", 100)
    assert (gap.large, gap.small) == pytest.approx((0.9, 0.55))
    assert gap.difference == pytest.approx(0.35)
    # 40 items only the large model, 5 only the small one
    exact = stats.binomtest(5, 45).pvalue
    assert gap.p_value == gap.corrected == pytest.approx(exact)
    assert gap.verdict == "lagging"


def test_the_interval_is_that_of_a_paired_bootstrap():
    rng = random.Random(1)
    large = [rng.choice((0, 1, 1, 0.6)) for _ in range(80)]
    small = [rng.choice((0, 0, 1, 0.3)) for _ in range(80)]
    gap = one(large, small, samples=20_000)
    found = stats.bootstrap(
        (np.subtract(large, small),),
        np.mean,
        n_resamples=20_000,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    assert (gap.low, gap.high) == pytest.approx((found.low, found.high), abs=0.01)


def test_order_does_not_matter():
    rng = random.Random(2)
    large = outcomes("large", [float(rng.random() < 0.8) for _ in range(60)])
    small = outcomes("small", [float(rng.random() < 0.4) for _ in range(60)])
    mixed = list(small.by_item.items())
    rng.shuffle(mixed)
    assert gaps(large, small) == gaps(large, replace(small, by_item=dict(mixed)))


@pytest.mark.parametrize(
    ("large", "small", "name"),
    [
        ([1] * 200, [1] * 200, "comparable"),
        ([0] * 200, [0] * 200, "comparable"),
        ([1] * 10, [1] * 10, "undecided"),  # ten items on which both are right prove nothing
        ([1] * 30, [0] * 30, "lagging"),
        ([0] * 30, [1] * 30, "leading"),
        ([1] * 3, [0] * 3, "undecided"),
        ([1] * 16 + [0] * 14, [1] * 14 + [0] * 16, "undecided"),
        ([1] * 1000 + [0] * 1000, [1] * 999 + [0] * 1001, "comparable"),
    ],
)
def test_verdicts(large, small, name):
    assert one(large, small).verdict == name


def test_a_difference_within_the_margin_is_comparable_even_if_it_is_certain():
    assert verdict(0.001, 0.02, 0.0001) == "comparable"
    assert verdict(0.001, 0.04, 0.0001) == "lagging"
    assert verdict(0.001, 0.04, 0.2) == "undecided"  # not after correction
    assert verdict(-0.2, -0.01, 0.01) == "leading"
    assert verdict(math.nan, math.nan, 1.0) == "undecided"


def test_equal_answers_have_the_interval_of_a_rate_never_seen():
    """Clopper and Pearson's upper bound after no case in n, two-sided."""
    gap = one([1] * 40, [1] * 40)
    bound = stats.binomtest(0, 40).proportion_ci(0.95, method="exact").high
    assert (gap.low, gap.high) == pytest.approx((-bound, bound))


def test_holm_corrects_for_the_groups():
    first = [1] * 20, [1] * 12 + [0] * 8  # p = 2 / 2^8
    second = [1] * 20, [1] * 14 + [0] * 6  # p = 2 / 2^6
    large = joined(outcomes("large", first[0]), outcomes("large", second[0], OTHER, start=20))
    small = joined(outcomes("small", first[1]), outcomes("small", second[1], OTHER, start=20))
    found = {gap.group: gap for gap in gaps(large, small)}
    assert list(found) == sorted(found)
    assert found["general/single/counting"].corrected == pytest.approx(2 * 2 / 2**8)
    assert found["general/multi/counting"].corrected == pytest.approx(2 / 2**6)
    (both,) = gaps(large, small, by=lambda cell: cell[2])
    assert (both.group, both.n) == ("counting", 40)
    assert both.p_value == pytest.approx(2 / 2**14)


def test_failed_calls_are_left_out():
    gap = one([1, None, 0, 1], [0, 1, None, 1])
    assert gap.n == 2
    nothing = one([None], [1])
    assert nothing.n == 0 and math.isnan(nothing.difference)
    assert (nothing.p_value, nothing.verdict) == (1.0, "undecided")


@pytest.mark.parametrize("compare", [gaps, error_agreement])
def test_what_is_not_comparable_is_refused(compare):
    large, small = outcomes("large", [1, 0]), outcomes("small", [1, 0])
    with pytest.raises(ValueError, match="large and small were evaluated on different data"):
        compare(large, replace(small, data="another"))
    fewer = replace(small, by_item={"item00000": small.by_item["item00000"]})
    with pytest.raises(ValueError, match="small was not asked 1 of the 2 items of large, first"):
        compare(large, fewer)
    with pytest.raises(ValueError, match="small was not asked 1 of the 2 items of large, first"):
        compare(fewer, large)
    changed = replace(small.by_item["item00001"], prompt="another")
    other = replace(small, by_item={**small.by_item, "item00001": changed})
    with pytest.raises(ValueError, match="item 'item00001' was asked with different prompts"):
        compare(large, other)


def test_agreement_by_hand():
    # right: both 2, large only 3, small only 1; both wrong 4, of which two the same answer
    large = outcomes(
        "large",
        [1] * 2 + [1] * 3 + [0] * 1 + [0] * 4,
        answers=["a"] * 6 + ["Dog.", "5", None, "x"],
    )
    small = outcomes(
        "small",
        [1] * 2 + [0] * 3 + [1] * 1 + [0] * 4,
        answers=["a"] * 6 + ["dog", "5", None, "y"],
    )
    found = error_agreement(large, small)
    assert found.n == 10
    assert found.both_wrong == pytest.approx(0.4)
    assert found.expected == pytest.approx(0.5 * 0.7)
    # observed agreement .6, by chance .5 * .3 + .5 * .7 = .5
    assert found.kappa == pytest.approx((0.6 - 0.5) / (1 - 0.5))
    assert found.shared == pytest.approx(2 / 4)


def test_agreement_without_errors_or_items():
    found = error_agreement(outcomes("large", [1, 1]), outcomes("small", [1, 1]))
    assert (found.n, found.both_wrong, found.expected) == (2, 0, 0)
    assert math.isnan(found.kappa) and math.isnan(found.shared)
    assert error_agreement(outcomes("large", [None]), outcomes("small", [1])).n == 0
