"""Who is learned from and who is tested."""

import math
from collections.abc import Sequence

import numpy as np

from mllm.benchmarks.msr.rows import SPLITS, Interaction

RULES = ("by_user", "leave_one_out")
LEAST = {"by_user": 2, "leave_one_out": 4}
"""The fewest interactions that a user needs for a history and a target in each split."""


def by_user(
    users: Sequence[str], seed: int, shares: Sequence[float] = (0.8, 0.1, 0.1)
) -> dict[str, str]:
    """Return the split of each user: every user is in one.

    With the shares (0.8, 0.1, 0.1) and seed 42, it is the published draw: a fifth is set aside, and
    halved (`train_test_split` of scikit-learn, twice, with one random state).

    Args:
      users: IDs without repeats; their order counts.
      shares: of train, validation and test.

    Raises:
      ValueError: the shares are not positive numbers with the sum 1, or a split would be empty.
    """
    if len(shares) != 3 or min(shares) <= 0 or not math.isclose(sum(shares), 1):
        raise ValueError(f"shares: expected three positive numbers with the sum 1, found {shares}")
    aside = math.ceil(round((1 - shares[0]) * len(users), 6))
    tested = math.ceil(round(aside * shares[2] / (shares[1] + shares[2]), 6))
    sizes = (len(users) - aside, aside - tested, tested)
    if min(sizes) < 1:
        raise ValueError(
            f"{len(users)} users split by {tuple(shares)} leave {sizes} in {', '.join(SPLITS)}; "
            "lower the k-core, or choose other shares"
        )
    first = np.random.RandomState(seed).permutation(len(users))
    rest = first[:aside]
    second = np.random.RandomState(seed).permutation(aside)
    found = {users[place]: "train" for place in first[aside:]}
    found |= {users[rest[place]]: "test" for place in second[:tested]}
    found |= {users[rest[place]]: "validation" for place in second[tested:]}
    return {user: found[user] for user in users}


def leave_one_out(taken: Sequence[Interaction]) -> dict[str, Sequence[Interaction]]:
    """Return what each split sees of a user, by time; its last one is the target.

    The last interaction of all is the target of the test, the one before of validation, and the one
    before that of train.

    Args:
      taken: interactions of one user, oldest first, at least four.
    """
    return {"train": taken[:-2], "validation": taken[:-1], "test": taken}
