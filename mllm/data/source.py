"""Sequences whose items are made when they are asked for, so that a source may exceed memory."""

from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Generic, TypeVar, overload

Item = TypeVar("Item", covariant=True)


class Source(Sequence[Item], Generic[Item]):
    """A sequence by number; its slices are sources too, and read nothing."""

    @abstractmethod
    def read(self, number: int) -> Item:
        """Return the item of a number from 0 to ``len(self) - 1``."""

    @overload
    def __getitem__(self, number: int) -> Item: ...

    @overload
    def __getitem__(self, number: slice) -> "Source[Item]": ...

    def __getitem__(self, number: int | slice) -> "Item | Source[Item]":
        if isinstance(number, slice):
            return Picked(self, range(len(self))[number])
        return self.read(range(len(self))[number])


class Mapped(Source[Item]):
    """What a function makes of each item of a sequence.

    The items used last are kept, so that several readers of one item make it once.
    """

    def __init__(self, source: Sequence, make: Callable[..., Item], *, kept: int = 0):
        """Describe the source.

        Args:
          kept: the most items that are kept.
        """
        self._source = source
        self._read = lru_cache(kept)(lambda number: make(source[number]))

    def __len__(self) -> int:
        return len(self._source)

    def read(self, number: int) -> Item:
        return self._read(number)


class Picked(Source[Item]):
    """The items of a sequence at some numbers."""

    def __init__(self, source: Sequence[Item], numbers: Sequence[int]):
        self._source, self._numbers = source, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def read(self, number: int) -> Item:
        return self._source[self._numbers[number]]


class Joined(Source[Item]):
    """Several sequences, one after the other."""

    def __init__(self, *sources: Sequence[Item]):
        self._sources = sources
        self._ends = list(accumulate(map(len, sources)))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def read(self, number: int) -> Item:
        place = bisect_right(self._ends, number)
        return self._sources[place][number - self._ends[place] + len(self._sources[place])]
