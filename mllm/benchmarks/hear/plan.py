"""Which clips are made: leaves, base signals and mixtures, dealt evenly.

A base signal is one voice with its own parameters. It is heard in several scenes, all of them in
one split.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mllm.benchmarks.hear.draw import VOICES
from mllm.benchmarks.hear.draw.signals import generator
from mllm.benchmarks.hear.tree import RARE

_MIXED = 100_000  # numbers of base signals in mixtures start here


@dataclass(frozen=True)
class Sizes:
    """How much there is.

    Attributes:
      seconds: of every clip.
      train, validation, test: clips of every leaf with that leaf alone.
      rare: clips of every rare leaf to train on.
      scenes: in which a base signal is heard.
      mixed: further clips with two leaves, as a fraction of those with one.
    """

    seconds: float
    train: int
    validation: int
    test: int
    rare: int
    scenes: int = 2
    mixed: float = 0.15


SIZES = {
    "micro": Sizes(seconds=0.8, train=2, validation=1, test=1, rare=1, scenes=2, mixed=0.1),
    "tiny": Sizes(seconds=1.6, train=64, validation=4, test=8, rare=6),
    "full": Sizes(seconds=10.0, train=200, validation=20, test=40, rare=16, scenes=4),
}


@dataclass(frozen=True)
class Plan:
    """A clip before it is made.

    Attributes:
      id, split: of the clip.
      bases: leaf and number of each base signal, the loudest first.
    """

    id: str
    split: str
    bases: tuple[tuple[str, int], ...]


def plan_split(sizes: Sizes, seed: int, split: str) -> list[Plan]:
    """Return the clips of a split in a shuffled order: the same for the same arguments."""
    rng = generator("plan", seed, split)
    bases: list[tuple[tuple[str, int], ...]] = []
    common: list[str] = []
    for leaf in VOICES:
        rare = leaf in RARE and split == "train"
        count = sizes.rare if rare else getattr(sizes, split)
        bases += [((leaf, number // sizes.scenes),) for number in range(count)]
        common += [] if rare else [leaf]
    bases += _mixtures(common, round(sizes.mixed * len(bases)), rng)
    order = rng.permutation(len(bases))
    return [
        Plan(f"{split}-{number:05d}", split, bases[place]) for number, place in enumerate(order)
    ]


def _mixtures(leaves: Sequence[str], count: int, rng) -> list[tuple[tuple[str, int], ...]]:
    """Deal pairs of different leaves, each with base signals of its own."""
    left: list[str] = []
    found = []
    for number in range(count):
        if len(left) < 2 or left[-1] == left[-2]:
            left = [leaves[place] for place in rng.permutation(len(leaves))]
        found.append(((left.pop(), _MIXED + number), (left.pop(), _MIXED + number)))
    return found
