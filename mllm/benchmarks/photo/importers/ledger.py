"""The flaws of imported files: each is an error, or is counted and left out."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from mllm.benchmarks.photo.importers.options import ACTIONS, ERROR, LEAVE_OUT

SHOWN = 5  # cases that are kept of each flaw


class Ledger:
    """What was found, how often, and what was done about it."""

    def __init__(self, actions: Mapping[str, str] | None = None):
        """Begin.

        Args:
          actions: by flaw, where they are not those of `options.ACTIONS`.
        """
        self._actions = {**ACTIONS, **(actions or {})}
        self._cases: dict[str, list[str]] = defaultdict(list)
        self._flaws: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()  # of what was done
        self.rejected: list[dict[str, Any]] = []  # what a step rejected, and why, as JSON values

    def note(self, flaw: str, case: str) -> None:
        """Count a case of a flaw, whose row is then left out.

        Args:
          flaw: a key of `options.ACTIONS`. case: where, what was found, and what was expected.

        Raises:
          ValueError: it is to be an error.
        """
        if self._actions[flaw] == ERROR:
            raise ValueError(
                f"{case}; mend the file, or set the action for {flaw} to {LEAVE_OUT!r}, which "
                "leaves such rows out and counts them"
            )
        self._flaws[flaw] += 1
        if len(self._cases[flaw]) < SHOWN:
            self._cases[flaw].append(case)

    def record(self) -> dict[str, Any]:
        """Return the counts, and of each flaw its count and first cases."""
        flaws = {
            flaw: {"count": count, "cases": self._cases[flaw]}
            for flaw, count in sorted(self._flaws.items())
        }
        return {"steps": dict(self.counts), "left_out": flaws}

    def lines(self) -> list[str]:
        """Return the lines that say to a person what was done."""
        counted = [f"{name.replace('_', ' ')}: {count}" for name, count in self.counts.items()]
        return counted + [
            f"left out, {flaw.replace('_', ' ')}: {count}, first {self._cases[flaw][0]}"
            for flaw, count in sorted(self._flaws.items())
        ]
