"""How imported interactions become users with a history and candidates."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mllm.benchmarks.msr import negatives, splits
from mllm.benchmarks.msr.history import HISTORIES
from mllm.registry import lookup

ACTIONS: dict[str, tuple[str, ...]] = {
    "repeated": ("drop", "error"),
    "unsorted": ("sort", "error"),
    "unknown_item": ("drop", "error"),
    "without_title": ("drop", "keep", "error"),
    "without_picture": ("drop", "keep", "error"),
    "unreadable_picture": ("error", "drop"),
    "short_user": ("drop", "error"),
    "repaired_text": ("keep", "error"),
}
"""What may be done about each kind of flaw, the default first. Each case is counted.

repeated            a user takes an item again: the first time stays
unsorted            the interactions of a user are not in the order of time
unknown_item        an interaction with an item that the table of items does not have
without_title       an item whose title is empty or missing
without_picture     an item without a file; its address, where it has one, is never asked
unreadable_picture  a file that is not a picture, or is cut short
short_user          a user with too few interactions for a history and a target
repaired_text       a line that ends in CRLF, or has a quote that is never closed
"""
UNKNOWN = 0.1
"""With more than this share of unknown items, the files do not belong together: always an error."""


@dataclass(frozen=True)
class Options:
    """What to do with interactions.

    Attributes:
      core_user, core_item: the fewest interactions of a user and of an item (`interactions.kcore`);
        1 and 1 leave all.
      split: one of `splits.RULES`. shares: of train, validation and test where it is "by_user".
      history: a key of `history.HISTORIES`. length: the most items of a history.
      negatives: one of `negatives.RULES`. test_negatives: how many of each test user.
      least_rating: interactions rated lower are left out; with 0 all stay.
      actions: what is done about flaws, where it is not the default of `ACTIONS`.
    """

    core_user: int = 6
    core_item: int = 5
    split: str = "by_user"
    shares: tuple[float, float, float] = (0.8, 0.1, 0.1)
    history: str = "last_n"
    length: int = 5
    negatives: str = "uniform"
    test_negatives: int = 20
    least_rating: float = 0.0
    actions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self):
        lookup(dict.fromkeys(splits.RULES), self.split, "split")
        lookup(HISTORIES, self.history, "history")
        lookup(dict.fromkeys(negatives.RULES), self.negatives, "rule of negatives")
        for name, action in self.actions.items():
            lookup(dict.fromkeys(lookup(ACTIONS, name, "flaw")), action, f"action for {name}")
        if self.split == "leave_one_out" and self.history == "popular_n":
            raise ValueError(
                "history 'popular_n' may give a user the same target in two splits of "
                "'leave_one_out'; choose 'last_n', or the split 'by_user'"
            )
        for name in ("core_user", "core_item", "length", "test_negatives"):
            if (found := getattr(self, name)) < 1:
                raise ValueError(f"{name}: expected 1 or more, found {found}")

    def record(self) -> dict[str, Any]:
        """Return all options as JSON, the action for each flaw among them."""
        chosen = {name: self.actions.get(name, actions[0]) for name, actions in ACTIONS.items()}
        return {**asdict(self), "shares": list(self.shares), "actions": chosen}
