"""Generated users: their choices follow the stated law, and what is expected next is exact."""

import itertools
import math
import random
from collections import Counter

import numpy as np
import pytest

from mllm.benchmarks.msr.catalogue import VALUES, make_catalogue
from mllm.benchmarks.msr.people import Habits, People

HABITS = Habits(dict(subject=1.5, colour=1.0, pattern=0.7, genre=2.0), drift=0.3, noise=0.2)


@pytest.fixture(scope="module")
def items():
    return make_catalogue(7, 2, 0.5, seed=3)


def likings(items, taste):
    """How much a taste likes each item, and the pull of each, written out from the definition."""
    pulls = [float(item.attributes["pull"]) for item in items]
    liked = [
        pull
        * math.exp(
            sum(
                HABITS.weights[a]
                for a, v in zip(VALUES, taste, strict=True)
                if v == item.attributes[a]
            )
        )
        for pull, item in zip(pulls, items, strict=True)
    ]
    return liked, pulls


def chance(items, taste, place, there):
    liked, pulls = likings(items, taste)
    by_taste = liked[place] / sum(liked[k] for k in there)
    by_pull = pulls[place] / sum(pulls[k] for k in there)
    return (1 - HABITS.noise) * by_taste + HABITS.noise * by_pull


def test_what_is_expected_next_equals_the_sum_over_all_paths_of_tastes(items):
    tastes = list(itertools.product(*VALUES.values()))
    ids = [item.id for item in items]
    early = [k for k, item in enumerate(items) if item.attributes["release"] == "early"]
    history = [early[2], early[0]]
    moves = np.ones((len(tastes), len(tastes)))
    for a, values in enumerate(VALUES.values()):
        same = np.array([[s[a] == t[a] for t in tastes] for s in tastes])
        moves *= (1 - HABITS.drift) * same + HABITS.drift / len(values)
    belief = np.full(len(tastes), 1 / len(tastes))
    for step, place in enumerate(history):
        there = [k for k in early if k not in history[:step]]
        belief = belief @ moves * [chance(items, taste, place, there) for taste in tastes]
    belief = belief @ moves / belief.sum()
    for late in (False, True):
        there = [k for k in (range(len(ids)) if late else early) if k not in history]
        expected = {
            ids[k]: math.log(
                sum(
                    b * chance(items, taste, k, there)
                    for b, taste in zip(belief, tastes, strict=True)
                )
            )
            for k in there
        }
        found = People(items, HABITS).next_item([ids[k] for k in history], late)
        assert found == pytest.approx(expected, rel=1e-9)
        assert sum(map(math.exp, found.values())) == pytest.approx(1)


def test_choices_are_as_frequent_as_expected(items):
    """Sequences of one item before the release and one after, against their exact frequencies."""
    people, count = People(items, HABITS), 6000
    found = Counter(
        tuple(people.sequence(random.Random(f"choice/{k}"), 2, late=1)) for k in range(count)
    )
    first = people.next_item([], late=False)
    for (one, two), times in found.items():
        p = math.exp(first[one] + people.next_item([one], late=True)[two])
        assert abs(times - count * p) < 4.5 * math.sqrt(count * p) + 1
    assert {one for one, _ in found} == set(people.early)
    assert {two for _, two in found} == set(people.ids)


def test_a_history_of_unknown_or_repeated_items_is_refused(items):
    people = People(items, HABITS)
    with pytest.raises(ValueError, match="'99' is no item of the catalogue"):
        people.next_item(["99"], late=True)
    one = people.early[0]
    with pytest.raises(ValueError, match="is twice in the history"):
        people.next_item([one, one], late=True)
