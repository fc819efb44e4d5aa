"""Kinds of failures against a count over all pairs that an answer can show."""

from itertools import product

import pytest

from mllm.benchmarks.cobsat.prompt_lists import sample
from mllm.benchmarks.cobsat.report.kinds import RIGHT, kind_of, misleading_words, sides_of
from mllm.benchmarks.cobsat.scores import metrics
from mllm.benchmarks.cobsat.tasks import WORDS


def record_of(made, detail, object, prompt="default", **more):
    """Return the record of an answer that shows a pair, scored by the real rule."""
    task = made.task
    tags = {
        "task": task.name,
        "theme": task.theme,
        "shots": str(made.shots),
        "prompt": prompt,
        "number": made.number,
        "sample": made.name,
        "x": task.x,
        "theta": task.theta,
        "inputs": list(made.inputs),
        "hidden": made.theta,
        "shown": [list(pair) for pair in made.shown],
        "truth": {"detail": made.target.detail, "object": made.target.object},
    }
    found = {"detail": detail, "object": object}
    scored = {"state": "valid", "rule": "numbers", "judged": {"numbers": found}}
    return {**tags, **scored, "metrics": metrics(tags, found), **more}


@pytest.mark.parametrize("task", [1, 2, 8])
@pytest.mark.parametrize("shots", [2, 4])
def test_every_pair_is_of_the_kind_that_its_words_make_it(task, shots):
    made = sample(task, shots, 7)
    x, theta = made.task.x, made.task.theta
    counts = {}
    for word, hidden in product(WORDS[x], WORDS[theta]):
        pair = made.task.pair(word, hidden)
        kind = kind_of(record_of(made, pair.detail, pair.object))
        counts[kind] = counts.get(kind, 0) + 1
        assert (kind == RIGHT) == (word == made.query and hidden == made.theta)
        assert (kind == "last") == (word == made.inputs[-2] and hidden == made.theta)
        assert (kind == "earlier") == (word in made.inputs[:-2] and hidden == made.theta)
        assert (kind == "theta_wrong") == (word == made.query and hidden != made.theta)
        assert (kind == "both_wrong") == (word != made.query and hidden != made.theta)
    # Of 10 words, the prompt holds shots + 1.
    assert counts == {
        RIGHT: 1,
        "last": 1,
        "earlier": shots - 1,
        "word_wrong": 10 - shots - 1,
        "theta_wrong": 9,
        "both_wrong": 81,
    }


def test_misleading_words_count_only_next_to_the_query():
    made = sample(1, 2, 3)
    right_word = made.query
    for hidden in set(WORDS["object"]) - {made.theta}:
        record = record_of(made, right_word, hidden, "misleading")
        wrong = misleading_words(record, "default")
        assert wrong == made.wrong and len(wrong) == 3
        assert kind_of(record, wrong) == ("misled" if hidden == wrong[-1] else "theta_wrong")
        assert kind_of(record) == "theta_wrong"


def test_misleading_words_of_another_prompt_or_list_are_not_taken():
    made = sample(1, 2, 3)
    assert misleading_words(record_of(made, "red", "hat"), "default") == ()
    named = record_of(made, "red", "hat", "misleading")
    assert misleading_words(named, "an import") == ()
    assert misleading_words({**named, "sample": "3_other"}, "default") == ()
    assert misleading_words({**named, "number": 5000}, "default") == ()


def test_no_output_and_no_reading_are_kinds_of_their_own():
    made = sample(1, 2, 0)
    assert kind_of(record_of(made, None, "car")) == "unread"
    assert kind_of(record_of(made, None, None, state="error", judged={})) == "missing"


def test_sides_are_object_then_detail():
    made = sample(1, 2, 0)
    assert sides_of(record_of(made, "red", made.target.object)) == (True, False)
    assert sides_of(record_of(made, made.target.detail, "hat")) == (False, True)
