"""Generated users: a taste that drifts, what it makes them take, and what an ideal observer of a
history expects next.

A taste is one favourite value of each attribute. Before each interaction each favourite is drawn
anew with probability `drift`. The user then takes an available item that was not taken before, with
probability proportional to pull(item) * exp(sum of the weights of the favourites that it has); with
probability `noise` taste does not count, and only the pull does. So the tastes are the hidden
states of a Markov chain, and the forward recursion (Rabiner 1989, section III.A) gives the exact
distribution of the next item given the history.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np

from mllm.benchmarks.msr.catalogue import VALUES
from mllm.benchmarks.msr.rows import Item


@dataclass(frozen=True)
class Habits:
    """How users choose.

    Attributes:
      weights: of each attribute, in nats: how much likelier an item is with the favourite value.
      drift: probability that a favourite is drawn anew before an interaction.
      noise: probability that taste does not count.
    """

    weights: Mapping[str, float] = field(
        default_factory=lambda: dict(subject=3.0, colour=3.0, pattern=2.5, genre=2.5)
    )
    drift: float = 0.04
    noise: float = 0.03


class People:
    """Users of a catalogue.

    S is the number of tastes, N that of items; the last axis of a taste's shape varies fastest.
    """

    def __init__(self, items: Sequence[Item], habits: Habits):
        """Prepare to choose from items with the attributes of `catalogue.make_catalogue`."""
        self.habits = habits
        self.ids = [item.id for item in items]
        self.early = [item.id for item in items if item.attributes["release"] == "early"]
        self._place = {id: place for place, id in enumerate(self.ids)}
        self._pull = np.array([float(item.attributes["pull"]) for item in items])
        self._late = np.array([item.attributes["release"] == "late" for item in items])
        self._codes = np.array(
            [[values.index(item.attributes[a]) for a, values in VALUES.items()] for item in items]
        )
        self._shape = tuple(len(values) for values in VALUES.values())
        self._weights = np.array([habits.weights[attribute] for attribute in VALUES])
        tastes = np.indices(self._shape).reshape(len(self._shape), -1)
        # How much each taste likes each item, float[S, N].
        self._liking = self._pull * np.exp(
            sum(
                weight * (favourites[:, None] == codes)
                for weight, favourites, codes in zip(
                    self._weights, tastes, self._codes.T, strict=True
                )
            )
        )
        self._totals = {
            False: self._liking[:, ~self._late].sum(1), True: self._liking.sum(1)
        }  # fmt: skip

    def sequence(self, rng: random.Random, length: int, late: int) -> Iterator[str]:
        """Yield the items that a new user takes.

        Args:
          rng: what the user does follows from it.
          length: how many.
          late: how many of them, the last ones, are taken when the late items are there too.
        """
        taste = [rng.randrange(count) for count in self._shape]
        free = np.ones(len(self.ids), bool)
        for step in range(length):
            for axis, count in enumerate(self._shape):
                if rng.random() < self.habits.drift:
                    taste[axis] = rng.randrange(count)
            chance = self._pull * self._there(free, late=step >= length - late)
            if rng.random() >= self.habits.noise:
                chance = chance * np.exp((self._codes == taste) @ self._weights)
            place = rng.choices(range(len(self.ids)), cum_weights=list(accumulate(chance)))[0]
            free[place] = False
            yield self.ids[place]

    def next_item(self, history: Sequence[str], late: bool) -> dict[str, float]:
        """Return the log-probability of each item that may come after a history.

        Args:
          history: IDs, oldest first, all taken before the late items were there.
          late: whether the late items are there now.

        Raises:
          ValueError: the history holds an item that is not in the catalogue, or twice.
        """
        belief = np.full(self._liking.shape[0], 1 / self._liking.shape[0])
        free = np.ones(len(self.ids), bool)
        for id in history:
            place = self._place.get(id)
            if place is None or not free[place]:
                what = "no item of the catalogue" if place is None else "twice in the history"
                raise ValueError(f"item {id!r} is {what}; the history is {', '.join(history)}")
            belief = self._drifted(belief)
            belief = belief * self._chances(free, late=False, places=[place])[:, 0]
            belief /= belief.sum()
            free[place] = False
        there = np.flatnonzero(self._there(free, late))
        found = self._drifted(belief) @ self._chances(free, late, there)
        return dict(zip((self.ids[k] for k in there), np.log(found).tolist(), strict=True))

    def _drifted(self, belief: np.ndarray) -> np.ndarray:
        """Return float[S] after each favourite may have been drawn anew."""
        belief = belief.reshape(self._shape)
        for axis in range(belief.ndim):
            mean = belief.mean(axis, keepdims=True)
            belief = (1 - self.habits.drift) * belief + self.habits.drift * mean
        return belief.ravel()

    def _chances(self, free: np.ndarray, late: bool, places: Sequence[int]) -> np.ndarray:
        """Return the probabilities that each taste takes each of some items, float[S, places]."""
        left = self._totals[late] - self._liking[:, ~free].sum(1)
        by_taste = self._liking[:, places] / left[:, None]
        by_pull = self._pull[places] / self._pull[self._there(free, late)].sum()
        return (1 - self.habits.noise) * by_taste + self.habits.noise * by_pull

    def _there(self, free: np.ndarray, late: bool) -> np.ndarray:
        return free if late else free & ~self._late
