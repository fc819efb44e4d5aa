"""Each broken promise of a data set is an error that names the user."""

from dataclasses import replace

import pytest

from mllm.benchmarks.msr.checks import check
from mllm.benchmarks.msr.negatives import Negatives, pools
from mllm.benchmarks.msr.rows import Log, User

ITEMS = [str(n) for n in range(9)]
ALICE = User("alice", "train", ("1", "2"), (10, 20), "3", ("7",), 30)
BOB = User("bob", "validation", ("2", "4"), (10, 20), "5", ("7",), 30)
CAROL = User("carol", "test", ("5", "1"), (10, 10), "8", ("0", "2"), 10)
LOGS = [
    Log("alice", ("1", "2", "3"), (10, 20, 30)),
    Log("bob", ("2", "4"), (10, 20), ("5",)),
    Log("carol", ("6", "5", "1"), (5, 10, 10), ("8", "3")),
]


def checked(train=(ALICE,), validation=(BOB,), test=(CAROL,), logs=LOGS, disjoint=True):
    users = dict(train=train, validation=validation, test=test)
    negatives = dict(train=1, validation=1, test=2)
    check(users, logs, set(ITEMS), negatives=negatives, disjoint=disjoint)


def test_what_keeps_its_promises_passes():
    checked()
    again = replace(CAROL, id="bob", history=("2",), times=(10,), target="5", negatives=("0", "7"))
    checked(test=(again,), disjoint=False)


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(history=("5", "8")), "test user 'carol': target '8' is in the history"),
        (dict(history=("5", "5")), "'carol': an item is twice in the history"),
        (dict(history=(), times=()), "0 items and 0 times in the history"),
        (dict(times=(10,)), "2 items and 1 times"),
        (dict(times=(20, 10)), r"not in order: \(20, 10, 10\)"),
        (dict(target_time=9), r"not in order: \(10, 10, 9\)"),
        (dict(target="6"), "target '6' is in the log that models learn from"),
        (dict(target="4"), r"items \['4'\] are not in what is known of the user"),
        (dict(negatives=("0",)), "1 negatives, 1 of them distinct; expected 2"),
        (dict(negatives=("0", "0")), "2 negatives, 1 of them distinct; expected 2"),
        (dict(negatives=("0", "6")), r"negatives \['6'\] are items that the user took"),
        (dict(negatives=("0", "3")), r"negatives \['3'\] are items that the user took"),
        (dict(negatives=("0", "99")), r"items \['99'\] are not in the table of items"),
        (dict(split="train"), "is in train too, expected in one split"),
        (dict(id="bob"), "test user 'bob': is in validation too"),
        (dict(id="dave"), "'dave': has no log"),
    ],
)
def test_a_broken_promise_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        checked(test=(replace(CAROL, **change),))


def test_users_and_logs_are_there_once():
    with pytest.raises(ValueError, match="test user 'carol': is in test too"):
        checked(test=(CAROL, CAROL))
    with pytest.raises(ValueError, match="user 'bob': has two logs"):
        checked(logs=[*LOGS, LOGS[1]])


def test_negatives_by_popularity_are_drawn_as_often_as_it_says():
    popularity = {"0": 9, "1": 0, "2": 4, "3": 0}
    draws = [Negatives(list(popularity), popularity).draw({"3"}, 1, str(n))[0] for n in range(4000)]
    for id, share in (("0", 10 / 16), ("1", 1 / 16), ("2", 5 / 16)):
        deviation = (share * (1 - share) / len(draws)) ** 0.5
        assert abs(draws.count(id) / len(draws) - share) < 4 * deviation
    alike = [Negatives(list(popularity)).draw({"3"}, 1, str(n))[0] for n in range(3000)]
    assert all(abs(alike.count(id) / 3000 - 1 / 3) < 0.035 for id in "012")


def test_negatives_to_learn_from_are_items_of_the_log():
    learned, tested = pools("uniform", ITEMS, {"1": 3, "2": 1, "4": 1})
    assert set(learned.draw({"1"}, 2, "a")) == {"2", "4"}
    assert set(tested.draw({"1"}, 8, "a")) == set(ITEMS) - {"1"}
    with pytest.raises(ValueError, match=r"3 negatives wanted, but the user never took 2 of 3"):
        learned.draw({"1"}, 3, "a")
