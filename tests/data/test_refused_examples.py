"""Refusals in place of answers, and batches that hold the twins of their examples."""

from types import SimpleNamespace

import numpy as np
import pytest

from mllm.data.conversation import Example, assistant, user
from mllm.data.packing import RowShape
from mllm.data.pipeline import Pipeline
from mllm.data.refusals import REFUSALS, Refused, refusal_of
from mllm.data.tokenized import Tokenized
from mllm.unlearning.roles import FORGET, PAIRED, REFUSAL, RETAIN

PEOPLE = [
    Example(f"person {n}", "p", (user("Where was he born?"), assistant("Paris")), FORGET)
    for n in range(40)
]


def test_refusals_replace_what_the_assistant_says_last_and_nothing_else():
    refused = Refused(PEOPLE, REFUSAL)
    assert len(refused) == 40
    for before, after in zip(PEOPLE, refused, strict=True):
        assert (after.id, after.cluster, after.role) == (before.id, "p", REFUSAL)
        assert after.turns == (before.turns[0], assistant(refusal_of(before.id)))
    assert Refused(PEOPLE)[3].role == FORGET
    assert len({example.turns[1].text for example in refused}) > 8  # of 16
    assert len(set(REFUSALS)) == len(REFUSALS)


def test_a_question_without_an_answer_is_refused():
    with pytest.raises(ValueError, match="person 0 ends with a turn of role 'user'"):
        Refused([Example("person 0", "p", (user("Who?"),))])[0]


def examples(lengths: dict[str, list[int]]) -> list[Tokenized]:
    """Examples of one question token and so many answer tokens, under the names 0, 1, ..."""
    found = []
    for role, several in lengths.items():
        for name, length in enumerate(several):
            ids = np.arange(2 + length, dtype=np.int32) + 1
            where = np.array([[2, 2 + length]], np.int32)
            empty = np.zeros(0, np.int64), np.zeros((0, 4), np.int32)
            found.append(Tokenized(len(found), f"{name}", role, ids, *empty, where))
    return found


def pipeline(lengths, **options) -> Pipeline:
    given = examples(lengths)
    options = {"rows": 6, "schedule": "primary"} | options
    shape = RowShape(tokens=16, supervised=12, answers=3)
    return Pipeline(
        given,
        [SimpleNamespace()] * len(given),
        None,
        shape=shape,
        primary=FORGET,
        roles=PAIRED,
        twin=REFUSAL,
        **options,
    )


LENGTHS = {FORGET: [2, 3, 1, 4, 2, 5, 1, 2], REFUSAL: [5, 1, 6, 2, 4, 3, 3, 1], RETAIN: [2] * 5}


@pytest.mark.parametrize("schedule", ["primary", "joint"])
def test_each_batch_holds_the_twins_of_its_examples(schedule):
    source, seen = pipeline(LENGTHS, schedule=schedule, rows=8), []
    for step in range(source.steps(1)):
        batch = source.batch_at(step)
        there = set(batch["answers"][batch["answers"] >= 0].tolist())
        primary = batch["role"][:, None] * (batch["answers"] >= 0) == PAIRED[FORGET]
        assert (batch["twins"][~primary] == -1).all()
        pairs = dict(zip(batch["answers"][primary], batch["twins"][primary], strict=True))
        assert pairs == {n: n + len(LENGTHS[FORGET]) for n in pairs}
        assert set(pairs.values()) == {n for n in there if 8 <= n < 16}  # each twin, and no other
        assert bool(there & set(range(16, 21))) == (schedule == "joint")
        seen += pairs
    assert sorted(seen) == list(range(8))


def test_a_batch_too_small_for_a_row_and_its_twins_is_refused():
    with pytest.raises(ValueError, match="a row and its twins fill 3 rows, but a batch has 2"):
        pipeline({FORGET: [2, 2], REFUSAL: [9, 9]}, rows=2).steps(1)


def test_an_example_without_a_twin_is_refused():
    with pytest.raises(ValueError, match="example 1 has no twin of role 'refusal'"):
        pipeline({FORGET: [2, 2], REFUSAL: [3]})
