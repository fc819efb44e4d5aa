"""Numbers as reports write them in sentences and grids: in percent, with one digit."""

from __future__ import annotations

import math

from mllm.reporting.comparison import Entry


def points(value: float | None) -> str:
    """Return a fraction in percent with one digit, a dash for none."""
    return "–" if value is None or math.isnan(value) else f"{100 * value:.1f}"


def signed(value: float | None) -> str:
    """Return a difference in points with its sign, a dash for none."""
    if value is None or math.isnan(value):
        return "–"
    text = f"{100 * value:+.1f}"
    return "0.0" if text[1:] == "0.0" else text.replace("-", "−")


def span(low: float | None, high: float | None) -> str:
    """Return an interval in percent, a dash for none."""
    return "–" if low is None or math.isnan(low) else f"{points(low)} to {points(high)}"


def signed_span(low: float, high: float) -> str:
    """Return the interval of a difference in points, a dash for none."""
    return "–" if math.isnan(low) else f"{signed(low)} to {signed(high)}"


def said(entry: Entry) -> str:
    """Return a score as it stands in a sentence: percent and interval."""
    interval = "" if entry.low is None else f" ({span(entry.low, entry.high)})"
    return f"{points(entry.value)}%{interval}"
