"""Whether rows whose score is known beforehand score it: an oracle, guesses, a model without media.

A reader trusts the other rows as far as these hold.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mllm.benchmarks.subject import Subject
from mllm.reporting.comparison import Entry
from mllm.reporting.numbers import points
from mllm.reporting.text import join_words

EXACT = 5e-4
FAR = 3.3 / 1.96  # half widths of a 95% interval that luck exceeds once in a thousand reports


@dataclass(frozen=True)
class Check:
    """What a row scores, and whether it is what it must score.

    Attributes:
      place: where: a value of an axis. bound: what it must be, in words.
    """

    subject: Subject
    place: str
    entry: Entry
    bound: str
    holds: bool


def exactly(subject: Subject, place: str, entry: Entry, value: float) -> Check:
    """Return whether a row scores a value, but for rounding."""
    return Check(subject, place, entry, f"= {points(value)}", abs(entry.value - value) < EXACT)


def nearly(subject: Subject, place: str, entry: Entry, value: float) -> Check:
    """Return whether a value lies within ``FAR`` half widths of the interval of a score; so it does
    where there is no interval.
    """
    holds = True
    if entry.low is not None:
        low = entry.value - FAR * (entry.value - entry.low)
        high = entry.value + FAR * (entry.high - entry.value)
        holds = low - EXACT <= value <= high + EXACT
    return Check(subject, place, entry, f"≈ {points(value)}", holds)


def failures(checks: Iterable[Check]) -> list[str]:
    """Return the labels of rows that do not score what they must."""
    return list(dict.fromkeys(check.subject.label for check in checks if not check.holds))


def verdict(checks: Sequence[Check], missing: Sequence[str], further: Sequence[str] = ()) -> str:
    """Return sentences that say whether scores can be trusted.

    Args:
      missing: labels of rows that were not run. further: sentences about what else is wrong.
    """
    parts = []
    if failing := failures(checks):
        verb = "does not score what it must" if len(failing) == 1 else "do not score what they must"
        parts.append(f"Read the scores with this in mind: {join_words(failing)} {verb}.")
    elif checks:
        parts.append("Every bracket and control that was run scores what it must.")
    parts += further
    if missing:
        parts.append(f"Not run: {join_words(missing)}.")
    return " ".join(parts)
