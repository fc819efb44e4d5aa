"""Numbers as the report writes them."""

import math

from mllm.benchmarks.cobsat.report.study import Compared
from mllm.reporting.comparison import Entry


def points(value: float | None) -> str:
    """Return a fraction in percent with one digit, a dash for none."""
    return "–" if value is None or math.isnan(value) else f"{100 * value:.1f}"


def signed(value: float) -> str:
    """Return a difference in points with its sign, a dash for none."""
    if math.isnan(value):
        return "–"
    text = f"{100 * value:+.1f}"
    return "0.0" if text[1:] == "0.0" else text.replace("-", "−")


def span(low: float | None, high: float | None) -> str:
    """Return an interval in percent, a dash for none."""
    return "–" if low is None or math.isnan(low) else f"{points(low)} to {points(high)}"


def signed_span(compared: Compared) -> str:
    """Return the interval of a difference in points, a dash for none."""
    if math.isnan(compared.low):
        return "–"
    return f"{signed(compared.low)} to {signed(compared.high)}"


def said(entry: Entry) -> str:
    """Return a score as it stands in a sentence: percent and interval."""
    interval = "" if entry.low is None else f" ({span(entry.low, entry.high)})"
    return f"{points(entry.value)}%{interval}"


def excludes_zero(compared: Compared) -> bool:
    """Return whether the interval of a difference excludes 0."""
    return compared.low > 0 or compared.high < 0
