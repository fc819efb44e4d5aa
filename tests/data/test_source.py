"""Sources read what is asked for, when it is asked for."""

import random

import pytest

from mllm.data.source import Joined, Mapped, Picked


@pytest.fixture
def calls():
    return []


def squares(calls, kept: int = 0) -> Mapped[int]:
    def make(number: int) -> int:
        calls.append(number)
        return number**2

    return Mapped(range(10), make, kept=kept)


def test_making_slicing_and_joining_read_nothing(calls):
    source = squares(calls)
    joined = Joined(source[2:5], [7, 8], source[:0], Picked(source, (9, 1)))
    assert len(joined) == 7 and not calls
    assert joined[-1] == 1 and calls == [1]
    assert list(joined) == [4, 9, 16, 7, 8, 81, 1]


@pytest.mark.parametrize("kept", [0, 3, 100])
def test_a_source_equals_the_list_of_its_items(calls, kept):
    source, whole = squares(calls, kept), [n**2 for n in range(10)]
    draw = random.Random(0)
    assert list(source) == whole
    for _ in range(100):
        number = draw.randrange(-10, 10)
        assert source[number] == whole[number]
        part = slice(*draw.choices([*range(-11, 12), None], k=2), draw.choice([None, 2, -1]))
        assert list(source[part]) == whole[part]
    for number in (10, -11):
        with pytest.raises(IndexError):
            source[number]


def test_the_items_used_last_are_kept_and_no_more(calls):
    source = squares(calls, kept=2)
    for number in (0, 1, 0, 1, 2, 1, 0):
        assert source[number] == number**2
    assert calls == [0, 1, 2, 0]


def test_an_empty_joined_source():
    assert list(Joined()) == list(Joined([], [])) == []
