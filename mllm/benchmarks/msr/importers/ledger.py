"""The flaws of imported files: each is counted, or is an error."""

from collections import Counter, defaultdict
from collections.abc import Mapping

from mllm.benchmarks.msr.options import ACTIONS

SHOWN = 3  # cases that are kept of each flaw


class Ledger:
    """What was found, how often, and what was done about it."""

    def __init__(self, actions: Mapping[str, str] | None = None):
        """Begin.

        Args:
          actions: by flaw, where they are not the defaults of `options.ACTIONS`.
        """
        self._actions = {name: known[0] for name, known in ACTIONS.items()} | dict(actions or {})
        self._counts: Counter[str] = Counter()
        self._cases: dict[str, list[str]] = defaultdict(list)
        self.numbers: dict[str, int] = {}  # other things that were counted, by name

    def note(self, flaw: str, case: str, count: int = 1) -> str:
        """Count a case of a flaw and return what is to be done about it.

        Args:
          flaw: a key of `options.ACTIONS`. case: where, and what was found.

        Raises:
          ValueError: it is to be an error.
        """
        action = self._actions[flaw]
        if action == "error":
            others = " or ".join(repr(one) for one in ACTIONS[flaw] if one != "error")
            raise ValueError(
                f"{case} ({flaw}); mend the file, or set the action for {flaw} to {others}, which "
                "counts such cases"
            )
        self._counts[flaw] += count
        if len(self._cases[flaw]) < SHOWN:
            self._cases[flaw].append(case)
        return action

    def record(self) -> dict[str, dict]:
        """Return the count, the action and the first cases of each flaw that was found."""
        return {
            flaw: {"count": count, "action": self._actions[flaw], "cases": self._cases[flaw]}
            for flaw, count in sorted(self._counts.items())
        }


def lines_of(flaws: Mapping[str, Mapping], numbers: Mapping[str, int]) -> list[str]:
    """Return the lines that tell a person what a `Ledger` holds."""
    told = [
        f"{flaw}: {one['count']} ({one['action']}), first {'; '.join(one['cases'])}"
        for flaw, one in flaws.items()
    ]
    counted = [f"{name.replace('_', ' ')}: {count}" for name, count in numbers.items() if count]
    return told + counted
