"""Scorers against tables worked out by hand, and against what the generators say is right."""

import math
import random

import pytest

from mllm.benchmarks.scale.generators import GENERATORS
from mllm.benchmarks.scale.item import Item, place
from mllm.benchmarks.scale.scorers import chance, score, score_by_logprob, summarise
from mllm.benchmarks.scale.taxonomy import cell_name

OPTIONS = ("red", "green", "dark blue")


def item(kind, *answers, **fields):
    base = dict(id="i", suite="general", format="single", capability="recognition")
    shown = dict(pictures=(b"",), layout=(0,), questions=("?",))
    if kind == "choice":
        fields.setdefault("options", OPTIONS)
    return Item(**base, **shown, kind=kind, answers=answers, **fields)


JSON = {"rule": {"type": "json", "keys": ["color", "shape"]}}
CAPITALS = {"rule": {"type": "pattern", "pattern": "[A-Z]+"}}
RED_STAR = '{"color": "red", "shape": "star"}'
BIG_STAR = '{"shape":"STAR","color":"Red"}'

TABLE = [
    # kind, answers, fields, reply, value, parsed, state, plain
    ("choice", ["green"], {}, "B", 1, "green", "valid", True),
    ("choice", ["green"], {}, " (b). ", 1, "green", "valid", True),
    ("choice", ["green"], {}, "Green", 1, "green", "valid", True),
    ("choice", ["green"], {}, "B. green", 1, "green", "valid", True),
    ("choice", ["green"], {}, "The answer is B.", 1, "green", "valid", False),
    ("choice", ["green"], {}, "C", 0, "dark blue", "valid", True),
    ("choice", ["green"], {}, "B. red", 0, None, "invalid", False),
    ("choice", ["green"], {}, "It looks green.", 0, None, "invalid", False),
    ("choice", ["green"], {}, "I cannot answer that.", 0, None, "refusal", False),
    ("choice", ["green"], {}, "", 0, None, "invalid", False),
    ("choice", ["<b>"], {"options": ("<a>", "<b>")}, "<b>", 1, "<b>", "valid", True),
    ("yes_no", ["yes"], {}, "Yes", 1, "yes", "valid", True),
    ("yes_no", ["yes"], {}, "Yes, there is no doubt.", 1, "yes", "valid", False),
    ("yes_no", ["yes"], {}, "The answer is: yes", 1, "yes", "valid", False),
    ("yes_no", ["no"], {}, "yes", 0, "yes", "valid", True),
    ("yes_no", ["no"], {}, "No.\nYes.", 0, None, "invalid", False),
    ("yes_no", ["no"], {}, "There is none.", 0, None, "invalid", False),
    ("text", ["dog", "puppy"], {}, "A dog.", 1, "A dog.", "valid", True),
    ("text", ["dog", "puppy"], {}, "The answer is Puppy", 1, "Puppy", "valid", False),
    ("text", ["dog"], {}, "dig", 0, "dig", "valid", True),
    ("text", ["tomato"], {"scene": {"metric": "anls"}}, "tomatoe", 6 / 7, "tomatoe", "valid", True),
    ("text", ["40"], {"scene": {"metric": "relaxed"}}, "42", 1, "42", "valid", True),
    ("text", ["40"], {"scene": {"metric": "relaxed"}}, "43", 0, "43", "valid", True),
    ("text", ["a"] * 2 + list("bcdefghi"), {}, "A", 0.6, "A", "valid", True),
    ("text", ["a"] * 1 + list("bcdefghij"), {}, "A", 0.3, "A", "valid", True),
    ("text", ["dog"], {}, "dog dog dog dog dog", 0, None, "invalid", False),
    ("number", ["7"], {}, "7", 1, "7", "valid", True),
    ("number", ["7"], {}, "seven", 1, "7", "valid", True),
    ("number", ["7"], {}, "There are 7 of them.", 1, "7", "valid", False),
    ("number", ["1200"], {}, "$1,200", 1, "1200", "valid", True),
    ("number", ["7"], {}, "6", 0, "6", "valid", True),
    ("number", ["7"], {}, "7 or 8", 0, None, "invalid", False),
    ("number", ["7"], {}, "many", 0, None, "invalid", False),
    ("number", ["100"], {"scene": {"metric": "relaxed"}}, "95", 1, "95", "valid", True),
    ("box", ["[0, 0, 10, 10]"], {}, "[0, 0, 10, 8]", 1, "[0, 0, 10, 8]", "valid", True),
    ("box", ["[0, 0, 10, 10]"], {}, "0,0,10,5", 1, "[0, 0, 10, 5]", "valid", True),
    ("box", ["[0, 0, 10, 10]"], {}, "[0, 0, 10, 4.9]", 0, "[0, 0, 10, 4.9]", "valid", True),
    ("box", ["[0, 0, 10, 10]"], {}, "at [0, 0, 10, 10]", 1, "[0, 0, 10, 10]", "valid", False),
    ("box", ["[0, 0, 10, 10]"], {}, "[10, 10, 0, 0]", 0, None, "invalid", False),
    ("box", ["[0, 0, 10, 10]"], {}, "[0, 0, 10]", 0, None, "invalid", False),
    ("order", ["2, 4, 1, 3"], {}, "2 4 1 3", 1, "2, 4, 1, 3", "valid", True),
    ("order", ["2, 4, 1, 3"], {}, "Image 2, 4, 1, 3", 1, "2, 4, 1, 3", "valid", False),
    ("order", ["2, 4, 1, 3"], {}, "4, 2, 1, 3", 0, "4, 2, 1, 3", "valid", True),
    ("order", ["2, 4, 1, 3"], {}, "2, 4, 1", 0, None, "invalid", False),
    ("order", ["2, 4, 1, 3"], {}, "2, 2, 1, 3", 0, None, "invalid", False),
    ("transcript", ["OPEN 24"], {}, "open 24", 1, "open 24", "valid", True),
    ("transcript", ["OPEN 24"], {}, '"OPEN\n24"', 1, "OPEN 24", "valid", False),
    ("transcript", ["OPEN 24"], {}, "OPEN 25", 0, "OPEN 25", "valid", True),
    ("format", [RED_STAR], {"scene": JSON}, RED_STAR, 1, RED_STAR, "valid", True),
    ("format", [RED_STAR], {"scene": JSON}, BIG_STAR, 1, ..., "valid", True),
    ("format", [RED_STAR], {"scene": JSON}, '{"shape":"dot","color":"red"}', 0, ..., "valid", True),
    ("format", [RED_STAR], {"scene": JSON}, '{"shape":"star"}', 0, None, "invalid", False),
    ("format", [RED_STAR], {"scene": JSON}, f"```{RED_STAR}```", 0, None, "invalid", False),
    ("format", [RED_STAR], {"scene": JSON}, "[" * 100_000, 0, None, "invalid", False),
    ("format", ["STAR"], {"scene": CAPITALS}, "STAR", 1, "STAR", "valid", True),
    ("format", ["STAR"], {"scene": CAPITALS}, "DOT", 0, "DOT", "valid", True),
    ("format", ["STAR"], {"scene": CAPITALS}, "star", 0, None, "invalid", False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "answers", "fields", "reply", "value", "parsed", "state", "plain"), TABLE
)
def test_a_reply_of_each_kind(kind, answers, fields, reply, value, parsed, state, plain):
    found = score(item(kind, *answers, **fields), reply)
    assert found.value == pytest.approx(value)
    assert parsed is ... or found.parsed == parsed
    assert (found.state, found.plain) == (state, plain)
    assert found.right == (value >= 0.5)


@pytest.mark.parametrize(
    ("kind", "answer", "reply", "metrics"),
    [
        ("text", "hello", "help", {"exact": 0, "anls": 0.6, "relaxed": 0}),
        ("number", "20", "21", {"exact": 0, "relaxed": 1, "absolute_error": 1}),
        ("box", "[0, 0, 10, 10]", "[5, 0, 15, 10]", {"iou_at_50": 0, "iou": 1 / 3}),
        ("order", "1, 2, 3, 4", "2, 1, 3, 4", {"exact": 0, "tau": 2 / 3}),
        ("transcript", "open door", "open dose", {"exact": 0, "cer": 2 / 9, "wer": 1 / 2}),
        ("transcript", "open door", "", {"exact": 0, "cer": 1, "wer": 1}),
        ("number", "20", "none of it", {"exact": 0, "relaxed": 0}),
    ],
)
def test_the_other_metrics(kind, answer, reply, metrics):
    assert score(item(kind, answer), reply).metrics == pytest.approx(metrics)


def test_options_in_another_order():
    shuffled = ("green", "dark blue", "red")
    assert score(item("choice", "green"), "A", options=shuffled).right
    assert not score(item("choice", "green"), "B", options=shuffled).right


def test_a_failed_call_is_not_scored_and_a_declared_refusal_is_one():
    failed = score(item("number", "7"), None, state="error")
    assert (failed.value, failed.state, failed.right) == (None, "error", False)
    refused = score(item("number", "7"), "7", state="refusal")
    assert (refused.value, refused.state) == (0, "refusal")


def test_unknown_kinds_rules_and_metrics_name_the_item():
    with pytest.raises(ValueError, match=r"kind of item 'i': 'numer'; did you mean 'number'"):
        score(item("numer", "7"), "7")
    with pytest.raises(ValueError, match=r"item 'i': scene\['rule'\] is"):
        score(item("format", "x"), "x")
    with pytest.raises(ValueError, match="metric of item 'i': 'anl'; did you mean 'anls'"):
        score(item("text", "x", scene={"metric": "anl"}), "x")


@pytest.mark.parametrize(
    ("logprobs", "tokens", "value", "parsed"),
    [
        ((-3.0, -1.0, -9.0), (1, 1, 1), 1, "green"),
        ((-1.0, -3.0, -9.0), (1, 1, 1), 0, "red"),
        ((-3.0, -4.0, -9.0), (1, 2, 3), 1, "green"),  # a token: -3, -2, -3
        ((-2.0, -2.0, -9.0), (1, 1, 1), 1 / 2, None),
        ((-2.0, -2.0, -2.0), (1, 1, 1), 1 / 3, None),
        ((-2.0, -3.0, -2.0), (1, 1, 1), 0, None),
    ],
)
def test_choice_by_logprob(logprobs, tokens, value, parsed):
    found = score_by_logprob(item("choice", "green"), logprobs, tokens)
    assert (found.value, found.parsed) == (pytest.approx(value), parsed)


def test_choice_by_logprob_of_other_options():
    assert score_by_logprob(item("choice", "green"), None, None) is None
    for logprobs, tokens in [((-1.0,), (1,)), ((-1.0,) * 3, None), ((-1.0,) * 3, (1, 0, 1))]:
        with pytest.raises(ValueError, match="item 'i': log-probabilities"):
            score_by_logprob(item("choice", "green"), logprobs, tokens)
    with pytest.raises(ValueError, match="expected numbers"):
        score_by_logprob(item("choice", "green"), (math.nan, -1.0, -1.0), (1, 1, 1))


def test_a_summary_of_yes_and_no():
    items = [item("yes_no", answer) for answer in ("yes", "yes", "no", "no", "no")]
    replies = ["yes", "hm", "yes", "no", "No, never."]
    scored = [score(i, reply) for i, reply in zip(items, replies, strict=True)]
    failed = score(items[0], None, state="error")
    found = summarise([*items, items[0]], [*scored, failed])
    assert found == pytest.approx(
        {
            "accuracy": 3 / 5,
            "plain": 3 / 5,
            "precision": 1 / 2,
            "recall": 1 / 2,
            "f1": 1 / 2,
            "yes_rate": 2 / 5,
        }
    )


def test_a_summary_leaves_out_what_was_not_read():
    items = [item("number", "4")] * 3
    scored = [score(items[0], reply) for reply in ("4", "7", "many")]
    assert summarise(items, scored) == pytest.approx(
        {"exact": 1 / 3, "relaxed": 1 / 3, "absolute_error": 3 / 2, "plain": 2 / 3}
    )
    assert summarise([], []) == {}


@pytest.mark.parametrize("cell", GENERATORS, ids=cell_name)
def test_a_generated_answer_is_right_and_every_candidate_is_read(cell):
    suite, form, capability = cell
    for seed in range(4):
        draft = GENERATORS[cell](random.Random(f"{cell_name(cell)}/{seed}"), 64)
        drawn = place(draft, id=cell_name(cell), suite=suite, format=form, capability=capability)
        found = score(drawn, drawn.answers[0])
        assert (found.value, found.plain) == (1, True)
        assert {score(drawn, text).state for text in drawn.candidates} == {"valid"}
        assert chance(drawn) == pytest.approx(1 / len(drawn.candidates))


def test_chance_without_candidates():
    assert chance(item("choice", "green")) == pytest.approx(1 / 3)
    assert chance(item("number", "7")) is None
