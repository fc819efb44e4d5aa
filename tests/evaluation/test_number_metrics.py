"""Numbers, boxes, orders and yes-or-no answers against tables and SciPy."""

import itertools
import math

import pytest
from scipy.stats import kendalltau

from mllm.evaluation.number_metrics import (
    box_iou,
    kendall_tau,
    mean_absolute_error,
    relaxed_match,
    yes_no_rates,
)


@pytest.mark.parametrize(
    ("reference", "reply", "value"),
    [
        (100, 105, 1),
        (100, 95, 1),
        (100, 105.1, 0),
        (100, 94.9, 0),
        (-20, -21, 1),
        (-20, 20, 0),
        (0, 0, 1),
        (0, 0.001, 0),
        (0.3, 0.315, 1),
    ],
)
def test_relaxed_match(reference, reply, value):
    assert relaxed_match(reference, reply) == value


def test_mean_absolute_error():
    assert mean_absolute_error([3, 5, 8], [3, 7, 5]) == pytest.approx(5 / 3)
    assert math.isnan(mean_absolute_error([], []))
    with pytest.raises(ValueError, match="zip"):
        mean_absolute_error([1], [])


@pytest.mark.parametrize(
    ("a", "b", "value"),
    [
        ((0, 0, 10, 10), (0, 0, 10, 10), 1),
        ((0, 0, 10, 10), (5, 0, 15, 10), 50 / 150),
        ((0, 0, 10, 10), (5, 5, 15, 15), 25 / 175),
        ((0, 0, 10, 10), (2, 2, 8, 8), 36 / 100),
        ((0, 0, 10, 10), (10, 0, 20, 10), 0),
        ((0, 0, 10, 10), (20, 20, 30, 30), 0),
        ((3, 3, 3, 3), (3, 3, 3, 3), 0),
    ],
)
def test_box_iou(a, b, value):
    assert box_iou(a, b) == box_iou(b, a) == pytest.approx(value)


def test_a_box_that_ends_before_it_begins():
    with pytest.raises(ValueError, match="ends before it begins"):
        box_iou((5, 0, 1, 1), (0, 0, 1, 1))


def test_kendall_tau_equals_scipys():
    for order in itertools.permutations(range(1, 5)):
        for other in ((1, 2, 3, 4), (3, 1, 4, 2)):
            ranks = [[row.index(thing) for thing in (1, 2, 3, 4)] for row in (order, other)]
            assert kendall_tau(order, other) == pytest.approx(kendalltau(*ranks).statistic)


def test_orders_of_other_things_have_no_tau():
    assert math.isnan(kendall_tau([1], [1]))
    for other in ([1, 2, 4], [1, 2], [1, 2, 2]):
        with pytest.raises(ValueError, match="no orders of the same things"):
            kendall_tau([1, 2, 3], other)
    with pytest.raises(ValueError, match="no orders"):
        kendall_tau([1, 1], [1, 1])


def test_yes_no_rates_by_hand():
    gold = [True, True, True, False, False]
    said = [True, False, None, True, False]
    assert yes_no_rates(gold, said) == pytest.approx(
        {"accuracy": 2 / 5, "precision": 1 / 2, "recall": 1 / 3, "f1": 2 / 5, "yes_rate": 2 / 5}
    )


def test_yes_no_rates_without_a_denominator():
    rates = yes_no_rates([False, False], [False, None])
    assert (rates["accuracy"], rates["yes_rate"]) == (0.5, 0)
    assert all(math.isnan(rates[name]) for name in ("precision", "recall", "f1"))
