"""Which pictures are made: sources, settings and questions, dealt so that nothing is a prior.

Settings are dealt in shuffled rounds: of each operation every setting comes equally often, and
knows nothing of the source or of other settings. Keys are dealt over A to D in the same way.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar

import numpy as np

from mllm.benchmarks.photo.attributes import ATTRIBUTES, Attribute
from mllm.benchmarks.photo.develop import Source
from mllm.benchmarks.photo.draw import KINDS
from mllm.benchmarks.photo.draw.canvas import generator
from mllm.benchmarks.photo.operations import OPERATIONS
from mllm.benchmarks.photo.photographs import about, photographs

Item = TypeVar("Item")
ASPECTS = ((3, 2), (3, 2), (2, 3), (1, 1), (16, 9))
EDITS = 4  # operations on a picture, where so many are possible
QUESTIONS = 6  # questions about a picture, where so many are possible
ANY = 0.35  # share of scenes whose kind is drawn from all kinds
ENOUGH = 1.7  # operations used so many times more often than the average one wait


@dataclass(frozen=True)
class Asked:
    """A question before it is worded.

    Attributes:
      attribute: name. wording: which of its questions is used.
      options: values in the order of the letters. key: which is right.
    """

    attribute: str
    wording: int
    options: tuple[str, ...]
    key: int


@dataclass(frozen=True)
class Plan:
    """A picture before it is made. settings: by operation."""

    id: str
    split: str
    source: Source
    settings: dict[str, str]
    asked: tuple[Asked, ...]


class Deck(Generic[Item]):
    """Deals items in shuffled rounds, each item once a round."""

    def __init__(self, items: Sequence[Item], rng: np.random.Generator):
        self._items, self._rng, self._left = list(items), rng, []

    def deal(self) -> Item:
        """Return the next item."""
        if not self._left:
            self._left = [self._items[k] for k in self._rng.permutation(len(self._items))]
        return self._left.pop()


def plan_split(
    split: str,
    count: int,
    long: int,
    seed: int,
    *,
    often: int = 6,
    further: bool = False,
    left_out: Sequence[str] = (),
) -> list[Plan]:
    """Return the pictures of a split: the same for the same arguments.

    Args:
      count: how many pictures. long: their longer side in pixels.
      often: of so many pictures one is a photograph.
      further: whether photographs that may not be installed count.
      left_out: operations that no picture is made with.
    """
    names = [name for name in OPERATIONS if name not in left_out]
    dealer = _Dealer(split, long, seed, sorted(photographs(further)), names)
    return list(dealer.pictures(count, often))


class _Dealer:
    """Deals the pictures of one split."""

    def __init__(
        self,
        split: str,
        long: int,
        seed: int,
        photographs: Sequence[str],
        operations: Sequence[str],
    ):
        self._split, self._long, self._operations = split, long, operations
        self._seed = f"{seed}/{split}"
        self._rng = generator("plan", self._seed)
        self._used = Counter(dict.fromkeys(operations, 0))
        self._decks: dict[tuple[str, str], Deck[Any]] = {}
        self._aspects = Deck(ASPECTS, self._rng)
        self._photographs = Deck(
            [name for name in photographs if about(name).split == split], self._rng
        )
        self._asked = Counter(dict.fromkeys(ATTRIBUTES, 0))

    def pictures(self, count: int, often: int) -> Iterator[Plan]:
        """Yield pictures; of ``often`` pictures the last is a photograph."""
        for number in range(count):
            if number % often == often - 1:
                source = self._photograph(self._photographs.deal())
            else:
                source = Source(self._kind(), f"{self._seed}/{number}", *self._size())
            settings = self._settings(offers(source))
            yield Plan(
                f"{self._split}-{number:05d}", self._split, source, settings, self._ask(settings)
            )

    def _deck(self, what: str, name: str, items: Sequence[Item]) -> Deck[Item]:
        return self._decks.setdefault((what, name), Deck(items, self._rng))

    def _size(self) -> tuple[int, int]:
        width, height = self._aspects.deal()
        scale = self._long / max(width, height)
        return 2 * round(width * scale / 2), 2 * round(height * scale / 2)

    def _photograph(self, name: str) -> Source:
        """Take a part of a photograph that holds most of its subject, at an aspect of its own."""
        width, height = self._size()
        wide = width / height / about(name).aspect
        largest = np.array([min(wide, 1.0), min(1 / wide, 1.0)])  # fractions of the whole
        part = largest * self._rng.uniform(0.8, 1.0)
        left, top = self._rng.uniform(0, 1 - part)
        box = (left, top, left + part[0], top + part[1])
        return Source("photograph", name, width, height, tuple(round(float(e), 4) for e in box))

    def _kind(self) -> str:
        """Return a kind of scene, mostly one that offers what was used least."""
        if self._rng.random() < ANY:
            return self._deck("kind", "any", list(KINDS)).deal()
        wanted = min(
            (name for name in self._operations if _kinds_for(name)),
            key=lambda name: (self._used[name], self._rng.random()),
        )
        return self._deck("kind", wanted, _kinds_for(wanted)).deal()

    def _settings(self, offered: frozenset[str]) -> dict[str, str]:
        """Draw operations that fit the source and each other, those used least first."""
        chosen: list[str] = []
        touched: set[str] = set()
        most = ENOUGH * self._used.total() / len(self._operations) + 1
        order = sorted(
            (name for name in self._operations if OPERATIONS[name].needs <= offered),
            key=lambda name: (self._used[name], self._rng.random()),
        )
        for name in order:
            rare = self._used[name] <= most or not chosen
            if len(chosen) < EDITS and rare and not OPERATIONS[name].touches & touched:
                chosen.append(name)
                touched |= OPERATIONS[name].touches
        self._used.update(chosen)
        return {
            name: self._deck("setting", name, list(one.settings)).deal()
            for name, one in OPERATIONS.items()
            if name in chosen
        }

    def _ask(self, settings: dict[str, str]) -> tuple[Asked, ...]:
        """Ask one question for each operation, then further ones of what was asked least."""
        by_use = sorted(
            (one for one in ATTRIBUTES.values() if one.operation in settings),
            key=lambda one: (self._asked[one.name], self._rng.random()),
        )
        first = {one.operation: one for one in reversed(by_use)}  # the least used of each
        chosen = [one for one in by_use if first[one.operation] is one]
        chosen += [one for one in by_use if one not in chosen][: max(0, QUESTIONS - len(chosen))]
        self._asked.update(one.name for one in chosen)
        names = list(ATTRIBUTES)
        return tuple(
            self._question(one, one.value(settings[one.operation]))
            for one in sorted(chosen, key=lambda one: names.index(one.name))
        )

    def _question(self, attribute: Attribute, value: str) -> Asked:
        others = [one for one in attribute.values if one != value]
        options = [others[k] for k in self._rng.permutation(len(others))[:3]]
        key = self._deck("key", attribute.name, range(4)).deal()
        options.insert(key, value)
        wording = int(self._rng.integers(len(attribute.questions)))
        return Asked(attribute.name, wording, tuple(options), key)


def offers(source: Source) -> frozenset[str]:
    """Return what operations may need of a source."""
    if source.kind != "photograph":
        return KINDS[source.kind].offers
    found = {"texture", "edges", "colours", "uneven"}
    found |= {"depth", "planes"} if about(source.name).depth else set()
    return frozenset(found | ({"subject"} if about(source.name).box else set()))


@cache
def _kinds_for(operation: str) -> tuple[str, ...]:
    return tuple(n for n, kind in KINDS.items() if OPERATIONS[operation].needs <= kind.offers)
