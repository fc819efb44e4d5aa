"""Items that a user never took, to be told from the one taken next."""

import random
from collections.abc import Collection, Mapping, Sequence
from itertools import accumulate

RULES = ("uniform", "popularity")


def draw_negatives(
    ids: Sequence[str],
    taken: Collection[str],
    count: int,
    seed: str,
    weights: Mapping[str, int] | None = None,
) -> tuple[str, ...]:
    """Draw distinct items without those that a user took; the same ones for the same arguments.

    Args:
      ids: the items to draw from, without repeats.
      taken: items of the user: all of the log, history and targets.
      count: how many.
      seed: text that names the draw.
      weights: how often each is drawn, such as its popularity plus one; all alike where None.

    Raises:
      ValueError: there are fewer items than `count`.
    """
    taken = set(taken)
    free = sum(id not in taken for id in ids) if len(ids) < count + len(taken) else count
    if free < count:
        raise ValueError(
            f"{count} negatives wanted, but the user never took {free} of {len(ids)} items (draw "
            f"{seed}); ask for fewer, or lower the k-core of items"
        )
    rng = random.Random(f"negatives/{seed}")
    sums = None if weights is None else list(accumulate(weights[id] + 1 for id in ids))
    found: dict[str, None] = {}
    while len(found) < count:
        id = rng.choice(ids) if sums is None else rng.choices(ids, cum_weights=sums)[0]
        if id not in taken:
            found[id] = None
    return tuple(found)
