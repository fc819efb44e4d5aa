"""The photographs that are asked about, by ID, each with one of another source."""

import random
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property

from mllm.benchmarks.photo.row import Critique, Photo
from mllm.registry import lookup


class Album:
    """Photographs by ID, read when they are asked for.

    Another photograph is one of another source, drawn with a seed so that each is the other of one.
    """

    def __init__(self, photos: Sequence[Photo], seed: int):
        self._photos, self._seed = photos, seed

    def photo(self, id: str) -> Photo:
        """Return the photograph of an ID; ValueError where there is none."""
        return self._photos[lookup(self._places, id, "photograph")]

    def other(self, id: str) -> Photo:
        """Return the photograph of another source that stands for a wrong one.

        Raises:
          ValueError: there is no such ID, or one source has more than half of the photographs.
        """
        place = lookup(self._places, id, "photograph")
        return self._photos[self._others[place]]

    def critiques(self, id: str) -> tuple[Critique, Critique]:
        """Return the critique of a photograph and that of the other one.

        Raises:
          ValueError: one of them has none.
        """
        found = self.photo(id), self.other(id)
        for photo in found:
            if photo.critique is None:
                raise ValueError(
                    f"photograph {photo.id}: has no critique; a critique is judged by that of its "
                    "own and of another photograph, so ask for critiques where all have one "
                    "(--config.evaluation.critiques=0 asks for none)"
                )
        return found[0].critique, found[1].critique

    @cached_property
    def _named(self) -> list[tuple[str, str]]:
        return [(photo.id, photo.source) for photo in self._photos]

    @cached_property
    def _places(self) -> dict[str, int]:
        return {id: place for place, (id, _) in enumerate(self._named)}

    @cached_property
    def _others(self) -> list[int]:
        return deranged([source for _, source in self._named], self._seed)


def deranged(sources: Sequence[str], seed: int) -> list[int]:
    """Return for each place another place, of another source; each is returned once.

    The places are put in an order in which those of a source follow each other, the sources at
    random, and each gets the place that stands as far after it as the largest source has places.

    Raises:
      ValueError: more than half of the places are of one source, so that there is no such order.
    """
    groups = defaultdict(list)
    for place, source in enumerate(sources):
        groups[source].append(place)
    largest = max(map(len, groups.values()), default=0)
    if 2 * largest > len(sources):
        raise ValueError(
            f"{largest} of {len(sources)} photographs are of one source, expected at most half: "
            "some would have no photograph of another source"
        )
    rng = random.Random(f"{seed}:other")
    names = sorted(groups)
    rng.shuffle(names)
    order = [place for name in names for place in rng.sample(groups[name], len(groups[name]))]
    found = [0] * len(order)
    for at, place in enumerate(order):
        found[place] = order[(at + largest) % len(order)]
    return found
