"""Items that a user never took, to be told from the one taken next."""

import random
from collections.abc import Collection, Mapping, Sequence
from itertools import accumulate

RULES = ("uniform", "popularity")


class Negatives:
    """Draws from a list of items.

    Args:
      ids: the items, without repeats.
      popularity: of each item; one is drawn as often as its popularity plus one says. All are drawn
        alike where None.
    """

    def __init__(self, ids: Sequence[str], popularity: Mapping[str, int] | None = None):
        self._ids, self._sums = list(ids), None
        if popularity is not None:
            self._sums = list(accumulate(popularity.get(id, 0) + 1 for id in ids))

    def draw(self, taken: Collection[str], count: int, seed: str) -> tuple[str, ...]:
        """Return distinct items without those that a user took, the same for the same arguments.

        Args:
          taken: items of the user: all of the log, of histories and targets.
          count: how many are drawn.
          seed: text that names the draw.

        Raises:
          ValueError: there are fewer.
        """
        taken, free = set(taken), count
        if len(self._ids) < count + len(taken):
            free = sum(id not in taken for id in self._ids)
        if free < count:
            raise ValueError(
                f"{count} negatives wanted, but the user never took {free} of {len(self._ids)} "
                f"items (draw {seed}); ask for fewer, or lower the k-core of items"
            )
        rng = random.Random(f"negatives/{seed}")
        found: dict[str, None] = {}
        while len(found) < count:
            id = rng.choices(self._ids, cum_weights=self._sums)[0]
            if id not in taken:
                found[id] = None
        return tuple(found)


def pools(
    rule: str, ids: Sequence[str], popularity: Mapping[str, int]
) -> tuple[Negatives, Negatives]:
    """Return what negatives of users to train on, and of other users, are drawn from.

    The first are items of the log: a cold item is right for none of these users, so that a model
    would learn to tell it by that. The others are all items.

    Args:
      rule: one of `RULES`. ids: of all items. popularity: in the log, by ID.
    """
    weights = popularity if rule == "popularity" else None
    logged = [id for id in ids if popularity.get(id)]
    return Negatives(logged, weights), Negatives(ids, weights)
