"""A cache bounded by bytes."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar

Value = TypeVar("Value")


class Cache:
    """The values used last, up to ``limit`` bytes together; safe to use from several threads.

    A value that is larger than the limit is returned and not kept.
    """

    def __init__(self, limit: int):
        self.limit, self.used = limit, 0
        self._kept: OrderedDict[Hashable, tuple[object, int]] = OrderedDict()
        self._lock = threading.Lock()

    def peek(self, key: Hashable) -> object | None:
        """Return the kept value of ``key``, None if there is none."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def get(self, key: Hashable, make: Callable[[], Value], size: Callable[[Value], int]) -> Value:
        """Return the value of ``key``: the kept one, or else that of ``make``.

        Args:
          size: bytes of a value.
        """
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][0]
        value = make()  # outside the lock: other threads may make other values meanwhile
        taken = size(value)
        with self._lock:
            if key not in self._kept and taken <= self.limit:
                self._kept[key] = value, taken
                self.used += taken
                while self.used > self.limit:
                    _, (_, freed) = self._kept.popitem(last=False)
                    self.used -= freed
        return value
