"""What every data set promises of its users; a broken promise is an error that names the user."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from mllm.benchmarks.msr.rows import SPLITS, Log, User


def check(
    users: Mapping[str, Sequence[User]],
    logs: Sequence[Log],
    items: Collection[str],
    *,
    negatives: Mapping[str, int],
    disjoint: bool,
) -> None:
    """Check users, their candidates and the log against each other.

    Args:
      users: by split.
      items: IDs of all items.
      negatives: how many each user of a split has.
      disjoint: whether a user may be in one split only.

    Raises:
      ValueError: a user is in two splits, or twice in one; a target is in the history, or one of
        validation or test is in the log; a history is not in order, or goes on after the target;
        negatives are too few, repeated, or taken by the user; an item is not in the table.
    """
    log_of = {log.user: log for log in logs}
    if len(log_of) < len(logs):
        user = next(user for user, count in Counter(log.user for log in logs).items() if count > 1)
        raise ValueError(f"user {user!r}: has two logs, expected one")
    seen: dict[str, str] = {}
    for split in SPLITS:
        within: set[str] = set()
        for user in users[split]:
            where = f"{split} user {user.id!r}"
            before = seen.setdefault(user.id, split)
            if user.id in within or user.split != split or (disjoint and before != split):
                other = before if before != split else user.split
                raise ValueError(f"{where}: is in {other} too, expected in one split, once")
            within.add(user.id)
            if user.id not in log_of:
                raise ValueError(f"{where}: has no log")
            _check_user(where, user, log_of[user.id], items, negatives[split])


def _check_user(where: str, user: User, log: Log, items: Collection[str], negatives: int) -> None:
    if not user.history or len(user.history) != len(user.times):
        raise ValueError(
            f"{where}: {len(user.history)} items and {len(user.times)} times in the history, "
            "expected as many, and at least one"
        )
    if user.target in user.history:
        raise ValueError(f"{where}: target {user.target!r} is in the history")
    if len(set(user.history)) < len(user.history):
        raise ValueError(f"{where}: an item is twice in the history {user.history}")
    times = (*user.times, user.target_time)
    if list(times) != sorted(times):
        raise ValueError(f"{where}: times of history and target are not in order: {times}")
    if user.split != "train" and user.target in log.items:
        raise ValueError(f"{where}: target {user.target!r} is in the log that models learn from")
    taken = {*log.items, *log.left_out}
    if missing := {*user.history, user.target} - taken:
        raise ValueError(f"{where}: items {sorted(missing)} are not in what is known of the user")
    if len(user.negatives) != negatives or len(set(user.negatives)) != negatives:
        raise ValueError(
            f"{where}: {len(user.negatives)} negatives, {len(set(user.negatives))} of them "
            f"distinct; expected {negatives}"
        )
    if wrong := taken & set(user.negatives):
        raise ValueError(f"{where}: negatives {sorted(wrong)} are items that the user took")
    if unknown := [id for id in (*taken, *user.negatives) if id not in items]:
        raise ValueError(f"{where}: items {sorted(unknown)} are not in the table of items")
