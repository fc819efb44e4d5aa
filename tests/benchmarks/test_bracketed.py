"""What rows must score, on scores made up."""

import pytest

from mllm.benchmarks.bracketed import exactly, failures, nearly, verdict
from mllm.benchmarks.subject import Subject
from mllm.reporting.comparison import Entry

ONE, OTHER = (Subject((name, ""), name, ()) for name in ("One", "Other"))


@pytest.mark.parametrize(("value", "holds"), [(1.0, True), (0.9997, True), (0.999, False)])
def test_a_score_is_exact_but_for_rounding(value, holds):
    check = exactly(ONE, "A", Entry(value), 1.0)
    assert (check.holds, check.bound) == (holds, "= 100.0")


def test_chance_lies_within_three_and_a_third_standard_errors():
    entry, error = Entry(0.65, 0.6, 0.75), 0.05 / 1.96  # the standard error below; above, twice it
    assert nearly(ONE, "A", entry, 0.65 - 3.2 * error).holds
    assert not nearly(ONE, "A", entry, 0.65 - 3.4 * error).holds
    assert nearly(ONE, "A", entry, 0.65 + 6.4 * error).holds
    assert nearly(ONE, "A", Entry(0.9), 0.5).holds  # no interval, nothing to hold against it


def test_what_fails_and_what_is_missing_is_named():
    good, bad = exactly(ONE, "A", Entry(1.0), 1.0), exactly(OTHER, "A", Entry(0.5), 1.0)
    assert failures([good, bad, bad]) == ["Other"]
    assert verdict([good], []) == "Every bracket and control that was run scores what it must."
    assert verdict([good, bad], ["Third"], ["More is odd."]) == (
        "Read the scores with this in mind: Other does not score what it must. More is odd. "
        "Not run: Third."
    )
    assert verdict([], []) == ""
