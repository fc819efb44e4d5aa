"""Failure tags: the rules in their order, overrides, and sums."""

import random

import pytest

from mllm.benchmarks.scale.failures import (
    FAILURES,
    failure_tag,
    read_overrides,
    tag_failures,
    vocabulary,
)
from mllm.benchmarks.scale.item import TAGS, Item
from mllm.benchmarks.scale.scorers import score

NAMES = frozenset({"cat", "dog", "bus", "traffic light"})


def item(kind, *answers, id="i", **fields):
    values = dict(suite="general", format="single", capability="recognition", tag="F7")
    shown = dict(pictures=(b"",), layout=(0,), questions=("What is it?",))
    return Item(**values | shown | fields, id=id, kind=kind, answers=answers)


CAT = dict(objects=("cat",))
OFFERED = dict(objects=("cat",), options=("a cat", "a dog"))


@pytest.mark.parametrize(
    ("asked", "reply", "ended", "tag"),
    [
        (item("number", "4"), "4", True, None),
        (item("number", "4"), "There are 4.", True, "F9"),  # right, but more than was asked
        (item("number", "4"), "", True, "F14"),
        (item("number", "4"), "...", True, "F14"),
        (item("number", "4"), "the the the the the", True, "F14"),
        (item("number", "4"), "Let me count the", False, "F14"),
        (item("number", "4"), "I cannot see that.", True, "F13"),
        (item("number", "4"), "a few", True, "F9"),
        (item("number", "4"), "3 or 4", True, "F9"),
        (item("number", "4"), "5", True, "F7"),
        (item("number", "4", tag="F1"), "5", True, "F2"),
        (item("number", "4", capability="counting"), "5", True, "F2"),
        (item("text", "cat", **CAT), "cat", True, None),
        (item("text", "cat", **CAT), "two dogs", True, "F8"),
        (item("text", "cat", **CAT), "a hotdog", True, "F7"),
        (item("text", "cat", **CAT), "traffic lights", True, "F8"),
        (item("text", "cat"), "dog", True, "F7"),  # nobody says what is shown
        (item("text", "cat", **CAT, questions=("Cat or dog?",)), "dog", True, "F7"),
        (item("text", "cat", **CAT, layout=("A dog:", 0)), "dog", True, "F7"),
        (item("choice", "a cat", **OFFERED), "B", True, "F7"),  # a wrong option invents nothing
        (item("text", "cat", **CAT), "a dark", False, "F14"),
        (item("yes_no", "no", tag="F8"), "yes", True, "F8"),
    ],
)
def test_the_first_rule_that_fits_decides(asked, reply, ended, tag):
    scored = score(asked, reply, ended=ended)
    assert failure_tag(asked, scored, reply, ended=ended, names=NAMES) == tag


def test_a_failed_call_carries_no_tag():
    assert (
        failure_tag(item("number", "4"), score(item("number", "4"), None, state="error"), "")
        is None
    )


def test_vocabulary():
    items = [item("text", "x", objects=("Cat", "traffic-light")), item("text", "x")]
    assert vocabulary(items) == {"cat", "traffic light"}


def answered(count=200):
    """Random replies to counting questions, some in error."""
    rng = random.Random(0)
    replies = ["4", "5", "", "I cannot tell.", "some", "There are 4 of them.", "4 4 4 4 4 4"]
    items = [item("number", "4", id=f"i{number}", capability="counting") for number in range(count)]
    said = [rng.choice(replies) for _ in items]
    states = [rng.choice(["valid"] * 9 + ["error"]) for _ in items]
    scored = [score(i, r, state=s) for i, r, s in zip(items, said, states, strict=True)]
    return items, scored, said


def test_tags_sum_to_the_wrong_answers():
    items, scored, said = answered()
    tagged = tag_failures(items, scored, said, names=NAMES)
    wrong = [i.id for i, s in zip(items, scored, strict=True) if s.state != "error" and not s.right]
    assert list(tagged.wrong) == wrong
    assert sum(tagged.counts.values()) == len(wrong)
    assert set(tagged.counts) == {"F2", "F9", "F13", "F14"}
    right = {i.id for i, s in zip(items, scored, strict=True) if s.right}
    assert set(tagged.form) == {
        i.id for i, r in zip(items, said, strict=True) if i.id in right and r.startswith("There")
    }


def write(path, *lines):
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_overrides_replace_tags_of_wrong_answers_only(tmp_path):
    items = [item("number", "4", id=name, capability="counting") for name in "abcd"]
    said = ["5", "5", "5", "4"]
    scored = [score(i, r) for i, r in zip(items, said, strict=True)]
    path = write(
        tmp_path / "tags.jsonl",
        '{"item": "a", "tag": "F1", "note": "hidden under the lamp"}',
        "",
        '{"item": "b", "tag": "F1"}',
        '{"item": "b", "method": "small", "tag": "F10"}',
        '{"item": "c", "method": "large", "tag": "F3"}',
        '{"item": "d", "tag": "F3"}',
    )
    overrides = read_overrides(path, known="abcd")
    small = tag_failures(items, scored, said, method="small", overrides=overrides)
    assert small.wrong == {"a": "F1", "b": "F10", "c": "F2"}
    assert "d" in small.unused and "c" not in small.unused
    large = tag_failures(items, scored, said, method="large", overrides=overrides)
    assert large.wrong == {"a": "F1", "b": "F1", "c": "F3"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: not JSON"),
        ("[]", "line 2: '.*', expected an object with item and tag"),
        ('{"item": "a"}', "line 2: .* expected an object with item and tag"),
        ('{"item": "a", "tag": "F1", "tags": 1}', "line 2: .* expected an object"),
        ('{"item": "a", "tag": "F15"}', "line 2: 'F15'"),
        ('{"item": "z", "tag": "F1"}', "item in .*line 2: 'z'"),
        ('{"item": "b", "tag": "F2"}', "line 2: a second tag of 'b'"),
    ],
)
def test_errors_of_the_overrides_name_file_and_line(tmp_path, line, message):
    path = write(tmp_path / "tags.jsonl", '{"item": "b", "tag": "F1"}', line)
    with pytest.raises(ValueError, match=message) as caught:
        read_overrides(path, known="ab")
    assert str(path) in str(caught.value)


def test_missing_overrides(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.jsonl: no such file"):
        read_overrides(tmp_path / "none.jsonl")


def test_every_tag_has_a_name():
    assert tuple(FAILURES) == TAGS
