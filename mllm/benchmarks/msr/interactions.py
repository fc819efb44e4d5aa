"""The k-core of a log of interactions, and what a log holds in numbers."""

from collections import Counter, defaultdict, deque
from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

Pair = TypeVar("Pair", bound=tuple)


def kcore(pairs: Sequence[Pair], user: int, item: int) -> list[Pair]:
    """Return the pairs of the largest part in which all users and items are frequent enough.

    Users and items with too few pairs are removed, with their pairs, until none is left that has
    too few. What remains does not depend on the order of the removals.

    Args:
      pairs: tuples that begin with a user and an item. A pair that is there twice counts twice.
      user: the fewest pairs that a user may have. item: those that an item may have.

    Returns:
      The pairs that remain, in their order.
    """
    least = (user, item)
    kept = [True] * len(pairs)
    numbers: tuple[dict[Hashable, list[int]], ...] = (defaultdict(list), defaultdict(list))
    for number, pair in enumerate(pairs):
        for side in (0, 1):
            numbers[side][pair[side]].append(number)
    left = [{name: len(found) for name, found in one.items()} for one in numbers]
    rare = deque(
        (side, name) for side in (0, 1) for name, count in left[side].items() if count < least[side]
    )
    while rare:
        side, name = rare.popleft()
        for number in numbers[side][name]:
            if not kept[number]:
                continue
            kept[number] = False
            other = pairs[number][1 - side]
            left[1 - side][other] -= 1
            if left[1 - side][other] == least[1 - side] - 1:
                rare.append((1 - side, other))
    return [pair for pair, keep in zip(pairs, kept, strict=True) if keep]


def statistics(pairs: Iterable[tuple]) -> dict[str, int | float]:
    """Return the numbers of users, items and interactions of a log.

    Args:
      pairs: tuples that begin with a user and an item.

    Returns:
      "users", "items", "interactions"; "mean_length", interactions a user; "sparsity", the share of
      (user, item) that did not happen; "median_popularity" and "most_popular", interactions an
      item. All 0 for an empty log.
    """
    users: Counter = Counter()
    items: Counter = Counter()
    for user, item, *_ in pairs:
        users[user] += 1
        items[item] += 1
    count = users.total()
    popularity = sorted(items.values())
    return {
        "users": len(users),
        "items": len(items),
        "interactions": count,
        "mean_length": count / len(users) if users else 0.0,
        "sparsity": 1 - count / (len(users) * len(items)) if users else 0.0,
        "median_popularity": popularity[len(popularity) // 2] if popularity else 0,
        "most_popular": popularity[-1] if popularity else 0,
    }
