"""From requests over replies to records and scores, with answerers that need no model."""

import random

import pytest

from mllm.benchmarks.scale.generators import GENERATORS
from mllm.benchmarks.scale.item import Item, place
from mllm.benchmarks.scale.protocol import Protocol, gold, guesses, requests_of
from mllm.benchmarks.scale.score import records_of, scores_of
from mllm.benchmarks.scale.taxonomy import cell_name
from mllm.evaluation.baselines import oracle, random_choice
from mllm.evaluation.request import Reply

CELLS = [
    ("general", "single", "counting"),
    ("general", "single", "recognition"),
    ("general", "multi", "temporal"),
    ("general", "single", "instructions"),
    ("general", "single", "safety"),
]


@pytest.fixture(scope="module")
def items():
    found = {}
    for suite, form, capability in CELLS:
        for number in range(4):
            name = f"test/{cell_name((suite, form, capability))}/{number}"
            draft = GENERATORS[suite, form, capability](random.Random(name), 64)
            found[name] = place(draft, id=name, suite=suite, format=form, capability=capability)
    return found


def scored(items, answerer, protocol=None):
    requests = [r for item in items.values() for r in requests_of(item, protocol or Protocol())]
    replies = {reply.key: reply for lot in answerer.answer(requests, set()) for reply in lot}
    records = records_of([(r, replies[r.key]) for r in requests], items.__getitem__)
    named = {
        (*(row[axis] for axis in ("suite", "format", "capability")), row["metric"]): row
        for row in scores_of(records)
    }
    return records, named


def test_the_oracle_is_right_in_every_cell_and_form(items):
    records, scores = scored(items, oracle(gold))
    assert {record["value"] for record in records} == {1}
    for (*_, metric), row in scores.items():
        if metric in ("score", "parsed", "wordings_mean"):
            assert (row["value"], row["valid"]) == (1, 1)
    assert scores["all", "all", "all", "score"]["n"] == len(items)


def test_random_answers_are_read(items):
    records, _ = scored(items, random_choice(guesses(items.__getitem__)))
    assert {record["state"] for record in records} == {"valid"}
    assert {record["value"] for record in records} == {0, 1}


def test_a_service_that_gives_no_logprobs_is_read_by_its_letters():
    item = Item(
        id="i", suite="general", format="single", capability="recognition", pictures=(b"p",),
        layout=(0,), questions=("Which?", "Which is it?", "What?"), kind="choice",
        options=("red", "green"), answers=("green",),
    )  # fmt: skip
    (request,) = [r for r in requests_of(item, Protocol(wordings=1)) if r.tags["form"] == "options"]

    def record(**fields):
        (found,) = records_of([(request, Reply(request.key, **fields))], lambda name: item)
        return found["value"], found["state"]

    assert record(text="B") == (1, "valid")
    assert record(text="A") == (0, "valid")
    assert record(text="hm") == (0, "invalid")
    assert record(state="error") == (None, "error")
    assert record(logprobs=(-5.0, -1.0), tokens=(1, 1)) == (1, "valid")


def test_rates_of_yes_and_no():
    golds, replies = ("yes", "yes", "no", "no", "no"), ("yes", "hm", "yes", "no", None)
    items = {
        f"i{n}": Item(
            id=f"i{n}", suite="general", format="single", capability="safety", pictures=(b"p",),
            layout=(0,), questions=("Is it?",), kind="yes_no", answers=(answer,),
        )
        for n, answer in enumerate(golds)
    }  # fmt: skip
    asked = [next(requests_of(item, Protocol(wordings=1))) for item in items.values()]
    answered = [
        (r, Reply(r.key, text=text, state="valid" if text else "error"))
        for r, text in zip(asked, replies, strict=True)
    ]
    rows = scores_of(records_of(answered, items.__getitem__))
    found = {
        row["metric"]: row["value"]
        for row in rows
        if (row["suite"], row["format"], row["capability"]) == ("general", "single", "safety")
    }
    wanted = {"score": 0.5, "precision": 0.5, "recall": 0.5, "f1": 0.5, "yes_rate": 0.5}
    assert {name: found[name] for name in wanted} == wanted
    assert {row["n"] for row in rows if row["metric"] == "f1"} == {4}
