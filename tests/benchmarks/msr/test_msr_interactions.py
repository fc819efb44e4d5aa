"""k-core, statistics, splits by user and histories against their definitions."""

import random
from collections import Counter

import pytest
from sklearn.model_selection import train_test_split

from mllm.benchmarks.msr import kcore
from mllm.benchmarks.msr.history import last_n, popular_n
from mllm.benchmarks.msr.interactions import statistics
from mllm.benchmarks.msr.rows import Interaction
from mllm.benchmarks.msr.splits import by_user, leave_one_out


def brute_force(pairs, user, item):
    """Remove what is rare, again and again, from the definition."""
    while True:
        users, items = Counter(u for u, _ in pairs), Counter(i for _, i in pairs)
        kept = [(u, i) for u, i in pairs if users[u] >= user and items[i] >= item]
        if kept == pairs:
            return kept
        pairs = kept


@pytest.mark.parametrize("seed", range(30))
def test_the_k_core_equals_brute_force(seed):
    rng = random.Random(seed)
    many, few = rng.randint(1, 40), rng.randint(1, 30)
    drawn = [
        (rng.randrange(many), f"i{int(rng.random() ** 2 * few)}")
        for _ in range(rng.randint(0, 300))
    ]
    pairs = drawn if seed % 2 else list(dict.fromkeys(drawn))
    for user, item in ((0, 0), (1, 1), (2, 3), (4, 2), (6, 5), (3, 9), (50, 1)):
        assert kcore(pairs, user, item) == brute_force(pairs, user, item)


def test_a_long_chain_falls_to_the_last_link():
    chain = [(n // 2, f"i{(n + 1) // 2}") for n in range(20_000)]  # all but the ends have two
    assert kcore(chain, 2, 2) == [] == brute_force(chain[:50], 2, 2)
    ring = [*chain[1:], (0, "i10000")]
    assert kcore([*ring, (10_000, "i1")], 2, 2) == ring


def test_tuples_of_more_than_two_stay_whole():
    log = [Interaction("a", "x", 3), Interaction("b", "y", 1), Interaction("a", "z", 2)]
    assert kcore(log, 2, 1) == [log[0], log[2]]


def test_statistics_count_what_is_there():
    pairs = [("a", "x"), ("a", "y"), ("b", "x"), ("c", "x"), ("c", "z")]
    found = statistics(pairs)
    assert (found["users"], found["items"], found["interactions"]) == (3, 3, 5)
    assert found["mean_length"] == pytest.approx(5 / 3)
    assert found["sparsity"] == pytest.approx(4 / 9)
    assert (found["median_popularity"], found["most_popular"]) == (1, 3)
    assert set(statistics([]).values()) == {0}


@pytest.mark.parametrize("count", (10, 19, 97, 1000))
def test_the_split_by_user_is_the_published_draw(count):
    """Two calls of scikit-learn, as the published script makes them."""
    users = [str(n) for n in range(count)]
    train, rest = train_test_split(users, test_size=0.2, random_state=42)
    validation, test = train_test_split(rest, test_size=0.5, random_state=42)
    found = by_user(users, seed=42)
    for split, expected in (("train", train), ("validation", validation), ("test", test)):
        assert {user for user in users if found[user] == split} == set(expected)


def test_shares_that_make_no_split_are_refused():
    users = [str(n) for n in range(20)]
    assert Counter(by_user(users, 1, (0.5, 0.2, 0.3)).values()) == dict(
        train=10, validation=4, test=6
    )
    assert by_user(users, 1) != by_user(users, 2)
    with pytest.raises(ValueError, match="sum 1"):
        by_user(users, 1, (0.8, 0.1, 0.2))
    with pytest.raises(ValueError, match=r"4 users split by .* leave \(3, 0, 1\)"):
        by_user(users[:4], 1)


def test_histories_end_with_the_target_in_order_of_time():
    taken = [Interaction("u", item, time) for time, item in enumerate("abcdefg")]
    popularity = dict(a=9, b=1, c=5, d=5, e=2, f=8, g=1)
    assert "".join(one.item for one in last_n(taken, 3, popularity)) == "defg"
    assert last_n(taken, 20, popularity) == taken
    assert "".join(one.item for one in popular_n(taken, 3, popularity)) == "acdf"
    assert "".join(one.item for one in popular_n(taken, 2, popularity)) == "acf"
    assert popular_n(taken, 20, popularity) == taken
    parts = leave_one_out(taken)
    assert [part[-1].item for part in parts.values()] == ["e", "f", "g"]
    assert list(parts) == ["train", "validation", "test"]
