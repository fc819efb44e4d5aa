"""Threads that do one thing in a fixed order, whatever else they do at the same time."""

from threading import Condition


class Turns:
    """Turns of jobs that are numbered from 0: each one's begins when all before it have ended."""

    def __init__(self):
        self._ended: set[int] = set()
        self._changed = Condition()

    def wait(self, number: int) -> None:
        """Wait until all jobs before this one have ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended.issuperset(range(number)))

    def end(self, number: int) -> None:
        """Note that a job has ended, well or not; one that never waited, too."""
        with self._changed:
            self._ended.add(number)
            self._changed.notify_all()
