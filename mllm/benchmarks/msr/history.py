"""Which interactions of a user are the history, and which one is the target."""

from collections.abc import Callable, Mapping, Sequence

from mllm.benchmarks.msr.rows import Interaction

Taken = Sequence[Interaction]  # of one user, oldest first


def last_n(taken: Taken, length: int, popularity: Mapping[str, int]) -> Taken:
    """Return the last `length` interactions and the target after them, the last one of all."""
    return taken[-(length + 1) :]


def popular_n(taken: Taken, length: int, popularity: Mapping[str, int]) -> Taken:
    """Return the interactions with the `length` + 1 most popular items; the target is the last one.

    This is the published choice (preprocessing of MicroLens, with 5). Popularity is counted over
    the whole log, what came later included, and unpopular items in between are passed over; so it
    distorts the order of time. Of equally popular items the ones taken first count as more popular.
    """
    ranked = sorted(range(len(taken)), key=lambda place: -popularity[taken[place].item])
    return [taken[place] for place in sorted(ranked[: length + 1])]


HISTORIES: dict[str, Callable[[Taken, int, Mapping[str, int]], Taken]] = {
    "last_n": last_n,
    "popular_n": popular_n,
}
