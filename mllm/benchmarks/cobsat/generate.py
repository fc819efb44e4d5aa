"""The generated pictures: each pair once as it is, and views of it, by one process per core."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from joblib import Parallel, cpu_count, delayed

from mllm.benchmarks.cobsat.captions import caption
from mllm.benchmarks.cobsat.draw import picture
from mllm.benchmarks.cobsat.shown import Shown
from mllm.benchmarks.cobsat.tasks import Pair, pairs

DRAWING = 1  # raise it whenever the same pair, size and view give another picture
PICTURES = "pictures"  # the split of the 500 pictures; the others hold views of them
MOST = 16  # processes that draw
_SEEDS = 1_000_000  # views that a split may have


@dataclass(frozen=True)
class Sizes:
    """The side of the pictures in pixels, and how many views of each pair a split has."""

    side: int
    train: int
    validation: int
    test: int

    def count(self, split: str) -> int:
        """Return how many pictures of each pair a split has."""
        return 1 if split == PICTURES else getattr(self, split)


SPLITS = (PICTURES, "train", "validation", "test")
SIZES = {
    "micro": Sizes(side=32, train=1, validation=1, test=1),
    "tiny": Sizes(side=64, train=4, validation=1, test=1),
    "small": Sizes(side=128, train=16, validation=2, test=4),
}


def view_seed(seed: int, split: str, place: int, number: int) -> int:
    """Return the seed of a view: all views of a benchmark differ, and none is the picture itself.

    Args:
      seed: of the benchmark. split: one of `SPLITS`. place: of the pair among the 500.
      number: of the view in its split, from 0.
    """
    if split == PICTURES:
        return 0
    split_seed = seed * len(SPLITS) + SPLITS.index(split)
    return split_seed * _SEEDS + number * len(pairs()) + place


def shown(size: int, seed: int, split: str, place: int, number: int = 0) -> Shown:
    """Draw one picture of a split by itself."""
    pair, seen = pairs()[place], view_seed(seed, split, place, number)
    return Shown(pair, seen, picture(pair, size, seen), caption(pair))


def draw_split(
    sizes: Sizes,
    seed: int,
    split: str,
    *,
    chosen: Callable[[Pair], bool] = lambda pair: True,
    processes: int | None = None,
) -> Iterator[Shown]:
    """Yield the pictures of a split, pair by pair.

    Args:
      seed: of the views.
      chosen: says which pairs are drawn.
      processes: how many draw; as many as there are cores, at most `MOST`, where None.
    """
    count = sizes.count(split)
    places = [place for place, pair in enumerate(pairs()) if chosen(pair)]
    calls = (
        delayed(_draw)(sizes.side, seed, split, places[start : start + 10], count)
        for start in range(0, len(places), 10)
    )
    processes = min(cpu_count(), MOST) if processes is None else processes
    for drawn in Parallel(n_jobs=processes, return_as="generator")(calls):
        yield from drawn


def _draw(size: int, seed: int, split: str, places: list[int], count: int) -> list[Shown]:
    return [shown(size, seed, split, place, number) for place in places for number in range(count)]
