"""The generated data: a catalogue, its pictures, and what users took of it.

All users are observed until the day `RELEASE`, when the late items come. Users to train on end
before it, target included. Targets of validation and test are taken after it, from the whole
catalogue. Negatives of users to train on come from what was there then, since an item that is only
ever wrong would be known by that; those of validation and test come from the whole catalogue.
"""

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from joblib import Parallel, cpu_count, delayed

from mllm.benchmarks.msr.catalogue import make_catalogue, make_gallery
from mllm.benchmarks.msr.draw import draw_picture
from mllm.benchmarks.msr.people import Habits, People
from mllm.benchmarks.msr.rows import GALLERY, ITEMS, LOGS, SPLITS, Item, Log, Row, User

DRAWING = 1  # raise it whenever the same attributes, side and seed give another picture
RELEASE = 1_700_000_000  # seconds since 1970
BEFORE, AFTER = 180 * 86_400, 14 * 86_400  # how long users are observed before and after it
NEGATIVES = {"train": 1, "validation": 1, "test": 20}
MOST = 16  # processes that draw
_BATCH = 50


@dataclass(frozen=True)
class Sizes:
    """How much there is.

    Attributes:
      side: of pictures, in pixels.
      items: of the catalogue. late: how many of them come late, and so stand in no log.
      gallery: items that no user can take, to learn seeing from.
      users: by split.
      length: the least and the most items of a history, without the target.
      skew: exponent of the popularity of warm items.
    """

    side: int
    items: int
    late: int
    gallery: int
    train: int
    validation: int
    test: int
    length: tuple[int, int] = (5, 12)
    skew: float = 0.5
    habits: Habits = field(default_factory=Habits)

    def count(self, split: str) -> int:
        """Return how many users a split has."""
        return getattr(self, split)


SIZES = {
    "micro": Sizes(side=32, items=40, late=8, gallery=20, train=40, validation=8, test=12),
    "tiny": Sizes(side=64, items=600, late=90, gallery=1500, train=700, validation=100, test=240),
    "medium": Sizes(
        side=224, items=3000, late=450, gallery=6000, train=8000, validation=1000, test=1000
    ),
}


@dataclass(frozen=True)
class World:
    """What is generated: items and gallery without pictures, users by split, and the log."""

    items: list[Item]
    gallery: list[Item]
    users: dict[str, list[User]]
    logs: list[Log]


def make_world(sizes: Sizes, seed: int) -> World:
    """Return everything but the pictures; the same for the same arguments."""
    items = make_catalogue(sizes.items, sizes.late, sizes.skew, seed)
    people = People(items, sizes.habits)
    numbers = list(range(1, sum(map(sizes.count, SPLITS)) + 1))
    random.Random(f"{seed}/users").shuffle(numbers)  # an ID says nothing about the split
    ids = map(str, numbers)
    users = {
        split: [
            _make_user(people, next(ids), split, sizes, seed) for _ in range(sizes.count(split))
        ]
        for split in SPLITS
    }
    logs = [_log_of(user) for split in SPLITS for user in users[split]]
    taken = Counter(id for log in logs for id in log.items)
    counted = [replace(item, popularity=taken[item.id], cold=not taken[item.id]) for item in items]
    gallery = make_gallery(sizes.gallery, items, seed)
    return World(counted, gallery, users, logs)


def _make_user(people: People, id: str, split: str, sizes: Sizes, seed: int) -> User:
    rng = random.Random(f"{seed}/user/{id}")
    length, late = rng.randint(*sizes.length), split != "train"
    *history, target = people.sequence(rng, length + 1, late=int(late))
    times = sorted(rng.sample(range(RELEASE - BEFORE, RELEASE), length + 1))
    target_time = RELEASE + rng.randrange(AFTER) if late else times[-1]
    there = people.ids if late else people.early
    negatives = rng.sample(sorted(set(there) - {*history, target}, key=int), NEGATIVES[split])
    return User(
        id, split, tuple(history), tuple(times[:length]), target, tuple(negatives), target_time
    )


def _log_of(user: User) -> Log:
    if user.split == "train":
        return Log(user.id, (*user.history, user.target), (*user.times, user.target_time))
    return Log(user.id, user.history, user.times, (user.target,))


def generated_splits(
    world: World, sizes: Sizes, seed: int, *, processes: int | None = None
) -> dict[str, Iterable[Row]]:
    """Return the rows of all splits; pictures are drawn as they are read.

    Args:
      processes: how many draw; as many as there are cores, at most `MOST`, where None.
    """
    drawn = {
        name: draw_items(items, sizes.side, seed, processes=processes)
        for name, items in ((ITEMS, world.items), (GALLERY, world.gallery))
    }
    return {**drawn, LOGS: world.logs, **world.users}


def draw_items(
    items: list[Item], side: int, seed: int, *, processes: int | None = None
) -> Iterator[Item]:
    """Yield the items with their pictures.

    Args:
      side: of the pictures, in pixels.
      processes: how many draw; as many as there are cores, at most `MOST`, where None.
    """
    processes = min(cpu_count(), MOST) if processes is None else processes
    calls = (
        delayed(_draw)(items[start : start + _BATCH], side, seed)
        for start in range(0, len(items), _BATCH)
    )
    for drawn in Parallel(n_jobs=processes, return_as="generator")(calls):
        yield from drawn


def _draw(items: list[Item], side: int, seed: int) -> list[Item]:
    return [
        replace(item, picture=draw_picture(item.attributes, side, f"{seed}/{item.id}"))
        for item in items
    ]
