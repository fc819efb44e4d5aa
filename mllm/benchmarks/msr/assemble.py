"""From what an importer found to items, users and the log.

    in order of time, no repeats → items that are usable → k-core → history and target → splits →
    negatives

Whatever is left out on the way is counted in the ledger.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from joblib import Parallel, delayed

from mllm.benchmarks.msr import splits
from mllm.benchmarks.msr.history import HISTORIES
from mllm.benchmarks.msr.importers.found import Found, FoundItem
from mllm.benchmarks.msr.importers.ledger import Ledger
from mllm.benchmarks.msr.interactions import kcore, statistics
from mllm.benchmarks.msr.negatives import pools
from mllm.benchmarks.msr.options import UNKNOWN, Options
from mllm.benchmarks.msr.rows import SPLITS, Interaction, Log, User
from mllm.data.images import decode
from mllm.files import require_file


@dataclass(frozen=True)
class Assembled:
    """What becomes of a log.

    Attributes:
      items: in the order of the table; those of the k-core. popularity: in the log, by ID.
      users: by split. logs: of all users.
      steps: statistics of the interactions at each step, by name.
    """

    items: list[FoundItem]
    popularity: Mapping[str, int]
    users: dict[str, list[User]]
    logs: list[Log]
    steps: dict[str, dict[str, Any]]


def assemble(found: Found, options: Options, seed: int, ledger: Ledger) -> Assembled:
    """Return items, users and log of what an importer found.

    Args:
      seed: of the split by user and of the negatives.

    Raises:
      ValueError: a flaw that the options call an error; more than `options.UNKNOWN` of the
        interactions have unknown items; or nothing is left.
    """
    steps = {"as found": statistics(found.interactions)}
    known = _of_known_items(_in_order(found.interactions, ledger), found, ledger)
    fit = _usable({one.item for one in known}, found.items, ledger)
    usable = [one for one in known if one.item in fit]
    ledger.numbers["interactions_of_items_left_out"] = len(known) - len(usable)
    steps["usable"] = statistics(usable)
    core = kcore(usable, options.core_user, options.core_item)
    name = f"{options.core_user},{options.core_item}-core"
    steps[name] = statistics(core)
    for key in ("users", "items", "interactions"):
        ledger.numbers[f"{key}_below_the_core"] = steps["usable"][key] - steps[name][key]
    taken: dict[str, list[Interaction]] = {}
    for one in core:
        taken.setdefault(one.user, []).append(one)
    taken = _long_enough(taken, splits.LEAST[options.split], ledger)
    if not taken:
        raise ValueError(
            f"{found.names[0]}: no user is left ({steps['usable']['users']} users before the "
            f"{name}); lower core_user and core_item"
        )
    users, logs = _users(taken, options, seed)
    steps["log"] = statistics((log.user, item) for log in logs for item in log.items)
    there = {one.item for one in core}
    items = [item for id, item in found.items.items() if id in there]
    popularity = Counter(item for log in logs for item in log.items)
    learned, tested = pools(options.negatives, [item.id for item in items], popularity)
    drawn = {
        split: [
            replace(
                user,
                negatives=(learned if split == "train" else tested).draw(
                    [one.item for one in taken[user.id]],
                    options.test_negatives if split == "test" else 1,
                    f"{seed}/{split}/{user.id}",
                ),
            )
            for user in some
        ]
        for split, some in users.items()
    }
    return Assembled(items, popularity, drawn, logs, steps)


def _in_order(interactions: Sequence[Interaction], ledger: Ledger) -> list[Interaction]:
    """Return interactions user by user, oldest first, each item of a user once."""
    taken: dict[str, list[Interaction]] = {}
    for one in interactions:
        taken.setdefault(one.user, []).append(one)
    kept = []
    for user, found in taken.items():
        ordered = sorted(found, key=lambda one: one.time)  # equal times stay as in the file
        if ordered != found:
            ledger.note("unsorted", f"user {user}: times are not in order")
        seen: set[str] = set()
        for one in ordered:
            if one.item in seen:
                ledger.note("repeated", f"user {user} takes item {one.item} again at {one.time}")
                continue
            seen.add(one.item)
            kept.append(one)
    return kept


def _of_known_items(
    interactions: list[Interaction], found: Found, ledger: Ledger
) -> list[Interaction]:
    log, table = found.names
    unknown = [one for one in interactions if one.item not in found.items]
    if len(unknown) > UNKNOWN * len(interactions):
        raise ValueError(
            f"{log}: {len(unknown)} of {len(interactions)} interactions have items that {table} "
            f"does not have, such as {unknown[0].item!r}; it has {_some(found.items)}. Do the two "
            "files belong together?"
        )
    for one in unknown:
        ledger.note("unknown_item", f"user {one.user} takes item {one.item}, not in {table}")
    return [one for one in interactions if one.item in found.items]


def _usable(used: set[str], items: Mapping[str, FoundItem], ledger: Ledger) -> set[str]:
    """Return the items that somebody took and that are not left out for what they lack."""
    ledger.numbers["items_that_nobody_took"] = len(items) - len(used)
    dropped = set()
    taken = [item for id, item in items.items() if id in used]
    for item in taken:
        lacks = {"without_title": not item.title, "without_picture": item.picture is None}
        for flaw in (flaw for flaw, lacking in lacks.items() if lacking):
            if ledger.note(flaw, f"item {item.id}") == "drop":
                dropped.add(item.id)
    with_picture = [item for item in taken if item.picture is not None and item.id not in dropped]
    reasons = Parallel(n_jobs=-1, prefer="threads")(delayed(_flaw)(item) for item in with_picture)
    for item, reason in zip(with_picture, reasons, strict=True):
        if reason and ledger.note("unreadable_picture", reason) == "drop":
            dropped.add(item.id)
    return used - dropped


def _flaw(item: FoundItem) -> str:
    """Return why a picture cannot be read; "" if it can."""
    try:
        decode(require_file(item.picture).read_bytes(), str(item.picture))
    except (ValueError, OSError) as error:
        return str(error)
    return ""


def _long_enough(
    taken: dict[str, list[Interaction]], least: int, ledger: Ledger
) -> dict[str, list[Interaction]]:
    short = {user: found for user, found in taken.items() if len(found) < least}
    for user, found in short.items():
        ledger.note("short_user", f"user {user} has {len(found)} interactions, not {least}")
    ledger.numbers["interactions_of_short_users"] = sum(map(len, short.values()))
    return {user: found for user, found in taken.items() if len(found) >= least}


def _users(
    taken: dict[str, list[Interaction]], options: Options, seed: int
) -> tuple[dict[str, list[User]], list[Log]]:
    """Return users without negatives by split, and what the log has of each user."""
    counts = Counter(one.item for found in taken.values() for one in found)
    users: dict[str, list[User]] = {split: [] for split in SPLITS}
    logs = []
    split_of = {}
    if options.split == "by_user":
        split_of = splits.by_user(list(taken), seed, options.shares)
    for user, found in taken.items():
        seen = {split_of[user]: found} if split_of else splits.leave_one_out(found)
        made = {
            split: _user(user, split, HISTORIES[options.history](part, options.length, counts))
            for split, part in seen.items()
        }
        for split, one in made.items():
            users[split].append(one)
        logs.append(_log(found, [one.target for split, one in made.items() if split != "train"]))
    return users, logs


def _user(user: str, split: str, chosen: Sequence[Interaction]) -> User:
    *history, target = chosen
    return User(
        user,
        split,
        tuple(one.item for one in history),
        tuple(one.time for one in history),
        target.item,
        (),
        target.time,
    )


def _log(taken: Sequence[Interaction], targets: Sequence[str]) -> Log:
    """Return the log of a user: what came before the first target of validation and test."""
    places = [place for place, one in enumerate(taken) if one.item in targets]
    end = min(places, default=len(taken))
    return Log(
        taken[0].user,
        tuple(one.item for one in taken[:end]),
        tuple(one.time for one in taken[:end]),
        tuple(one.item for one in taken[end:]),
    )


def _some(names: Mapping[str, Any], most: int = 3) -> str:
    return ", ".join(map(repr, list(names)[:most])) + (" …" if len(names) > most else "")
