"""Comparisons as the report writes them."""

from mllm.benchmarks.cobsat.report.study import Compared
from mllm.reporting.numbers import signed_span


def interval_of(compared: Compared) -> str:
    """Return the interval of a difference in points, a dash for none."""
    return signed_span(compared.low, compared.high)


def excludes_zero(compared: Compared) -> bool:
    """Return whether the interval of a difference excludes 0."""
    return compared.low > 0 or compared.high < 0
