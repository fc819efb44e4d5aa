"""What baselines learn from and are asked about, in numbers.

N items, in the order of the catalogue; U users; C candidates.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

DRAWS = 8  # tries to find an item that a user did not take


@dataclass(frozen=True, eq=False)
class TrainingLog:
    """The items of each user's log.

    Attributes:
      items: IDs of all N items; cold ones are in no sequence.
      users: IDs of the users of the log.
      sequences: i32[...] of each user, numbers of items, oldest first.
    """

    items: tuple[str, ...]
    users: tuple[str, ...]
    sequences: tuple[np.ndarray, ...]

    @cached_property
    def item_numbers(self) -> Mapping[str, int]:
        """The number of each item by its ID."""
        return {id: number for number, id in enumerate(self.items)}

    @cached_property
    def user_numbers(self) -> Mapping[str, int]:
        """The number of each user by its ID."""
        return {id: number for number, id in enumerate(self.users)}

    @cached_property
    def counts(self) -> np.ndarray:
        """i64[N], how often each item was taken."""
        return np.bincount(self.pairs[:, 1], minlength=len(self.items))

    @cached_property
    def pairs(self) -> np.ndarray:
        """i32[P, 2], the user and the item of each interaction, user by user."""
        users = [np.full(len(one), user, np.int32) for user, one in enumerate(self.sequences)]
        return np.stack([np.concatenate(users), np.concatenate(self.sequences)], axis=1)

    def untaken(self, users: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw for each user of i32[...] an item of the log that the user did not take.

        Cold items are not drawn: a model would learn from it that nobody takes them. Of a user who
        took nearly everything, an item that was taken may remain after ``DRAWS`` tries.
        """
        drawn = rng.choice(self._seen, users.shape)
        for _ in range(DRAWS - 1):
            keys = users.astype(np.int64) * len(self.items) + drawn
            places = np.searchsorted(self._taken, keys).clip(max=len(self._taken) - 1)
            again = self._taken[places] == keys
            if not again.any():
                break
            drawn[again] = rng.choice(self._seen, int(again.sum()))
        return drawn

    @cached_property
    def _seen(self) -> np.ndarray:
        return np.flatnonzero(self.counts).astype(np.int32)

    @cached_property
    def _taken(self) -> np.ndarray:
        """i64[P], sorted: user * N + item of each interaction."""
        return np.unique(self.pairs[:, 0].astype(np.int64) * len(self.items) + self.pairs[:, 1])


@dataclass(frozen=True, eq=False)
class Histories:
    """Users whose next item is in question.

    Attributes:
      users: i32[U], their numbers in the log, -1 for users that it does not have.
      items: i32[...] of each user, numbers of the items of the history, oldest first.
    """

    users: np.ndarray
    items: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return len(self.users)


@dataclass(frozen=True, eq=False)
class Held:
    """Users to choose options by: their histories, and candidates i32[U, C], the target first."""

    histories: Histories
    candidates: np.ndarray


def training_log(benchmark) -> TrainingLog:
    """Return the log of a benchmark (``mllm.benchmarks.msr.benchmark.Benchmark``).

    Raises:
      ValueError: an item of the log is not in the catalogue, a user's times are not sorted, or
        nobody took two items.
    """
    items = tuple(benchmark.item_ids)
    numbers = {id: number for number, id in enumerate(items)}
    found: dict[str, list[int]] = {}
    last: dict[str, int] = {}
    for user, item, time in benchmark.log:
        if item not in numbers:
            raise ValueError(f"log: user {user!r} took {item!r}, which is no item of the catalogue")
        if time < last.setdefault(user, time):
            raise ValueError(
                f"log: user {user!r} took {item!r} at {time}, after something at {last[user]}; "
                "expected the interactions of a user from the oldest on"
            )
        last[user] = time
        found.setdefault(user, []).append(numbers[item])
    if not any(len(sequence) > 1 for sequence in found.values()):
        raise ValueError("log: no user took two items; there is nothing to learn from")
    sequences = tuple(np.array(sequence, np.int32) for sequence in found.values())
    return TrainingLog(items, tuple(found), sequences)


def histories_of(log: TrainingLog, users: Sequence[Any]) -> Histories:
    """Return the histories of users (``mllm.benchmarks.msr.rows.User``) in numbers.

    Raises:
      ValueError: an item of a history is not in the catalogue.
    """
    numbers = [log.user_numbers.get(user.id, -1) for user in users]
    items = tuple(_numbered(log, user.id, user.history) for user in users)
    return Histories(np.array(numbers, np.int32), items)


def held_out(
    log: TrainingLog,
    users: Sequence[Any],
    negatives: Callable[[Any], Sequence[str]],
) -> Held:
    """Return users with their candidates in numbers.

    Args:
      users: of ``mllm.benchmarks.msr.rows.User``. negatives: returns items that a user never took,
        as many of each user.

    Raises:
      ValueError: there are no users, or the log has a user's target after the history.
    """
    users = list(users)
    if not users:
        raise ValueError("validation: no users to choose options by; prepare a split with some")
    rows = []
    for user in users:
        row = _numbered(log, user.id, (user.target, *negatives(user)))
        number = log.user_numbers.get(user.id)
        if number is not None and row[0] in log.sequences[number]:
            raise ValueError(
                f"user {user.id!r}: the log has {user.target!r}, the target of split "
                f"{user.split!r}; options chosen by it would be chosen by what was learned"
            )
        rows.append(row)
    return Held(histories_of(log, users), np.stack(rows))


def _numbered(log: TrainingLog, user: str, items: Sequence[str]) -> np.ndarray:
    for item in items:
        if item not in log.item_numbers:
            raise ValueError(f"user {user!r}: {item!r} is no item of the catalogue")
    return np.array([log.item_numbers[item] for item in items], np.int32)
