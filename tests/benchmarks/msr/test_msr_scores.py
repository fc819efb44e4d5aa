"""Records of candidates, and scores by user, by cold and warm targets and by length of history."""

import itertools
import json
import math
import random

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mllm.benchmarks.msr.metrics import ranking_metrics
from mllm.benchmarks.msr.scores import (
    AXES,
    METRICS,
    interval,
    length_group,
    question_values,
    records_of,
    scores_of,
)
from mllm.evaluation.request import Choices, Reply, Request, Text
from mllm.evaluation.statistics import paired_difference
from mllm.evaluation.yes_no import NO, YES, is_yes, log_odds, shared

USERS, CANDIDATES = 40, 21
FORMS = (*YES, *NO)


def answered(seed=0, lift=1.0):
    """Return requests for all candidates with invented replies, many of which tie."""
    rng, found = np.random.default_rng(seed), []
    for user in range(USERS):
        for item in range(CANDIDATES):
            score = float(np.round(rng.normal(lift * (item == 7), 1)))
            tags = {
                "user": f"u{user}",
                "item": f"i{item}",
                "label": "1" if item == 7 else "0",
                "cold": "cold" if user % 4 == 0 else "warm",
                "history": user % 12,
            }
            key = f"{user}/{item}"
            request = Request(key, f"u{user}", tags, (), Choices(FORMS))
            found.append((request, Reply(key, logprobs=shared(FORMS, score))))
    return found


def by_cell(records):
    return {(s["target"], s["history"], s["metric"]): s for s in scores_of(records)}


@pytest.fixture(scope="module")
def records():
    return json.loads(json.dumps(records_of(answered())))


def test_each_cell_holds_the_metrics_of_its_users_whatever_the_order_of_the_records(records):
    shuffled = random.Random(0).sample(records, len(records))
    assert scores_of(shuffled) == scores_of(records)
    found = by_cell(records)
    for name, chosen in {
        ("all", "all"): lambda user: True,
        ("cold", "all"): lambda user: user % 4 == 0,
        ("warm", "all"): lambda user: user % 4,
        ("all", "0"): lambda user: user % 12 == 0,
        ("all", "4-6"): lambda user: 4 <= user % 12 <= 6,
        ("all", "11-20"): lambda user: user % 12 == 11,
    }.items():
        users = [user for user in range(USERS) if chosen(user)]
        table = np.array([r["score"] for r in records]).reshape(USERS, CANDIDATES)[users]
        expected = ranking_metrics(table, [7] * len(users))
        assert {m: found[*name, m]["value"] for m in METRICS} == pytest.approx(expected)
        assert {found[*name, m]["n"] for m in METRICS} == {len(users)}
        labels = np.tile(np.arange(CANDIDATES) == 7, len(users))
        pooled = roc_auc_score(labels, table.ravel())
        assert found[*name, "auc_pooled"]["value"] == pytest.approx(pooled)
    for score in found.values():
        assert all(isinstance(score[axis], str) for axis in AXES)
        assert score["valid"] == 1 and score["refusal"] == score["invalid"] == 0
        low, high = score["ci95"]
        assert low <= score["value"] <= high


def test_differences_are_paired_by_user_and_those_of_the_scores(records):
    other = records_of(answered(seed=1, lift=0.0))
    random.Random(1).shuffle(other)
    ours, theirs = question_values(records), question_values(other)
    scores, others = by_cell(records), by_cell(other)
    assert ours.keys() == theirs.keys()
    for cell, values in ours.items():
        assert values.keys() == theirs[cell].keys()
        places = list(values)
        found = paired_difference(
            [values[p] for p in places],
            [theirs[cell][p] for p in places],
            [p[0] for p in places],
            samples=200,
        )
        gap = scores[cell]["value"] - others[cell]["value"]
        assert found.difference == pytest.approx(gap)
    assert ours["all", "all", "auc_pooled"] != ours["all", "all", "auc_user"]


def test_a_user_with_an_error_is_left_out_and_counted():
    pairs = answered()
    request, _ = pairs[25]
    pairs[25] = request, Reply(request.key, state="error")
    request, _ = pairs[60]
    pairs[60] = request, Reply(request.key, logprobs=(-math.inf,) * len(FORMS))
    request, _ = pairs[100]
    pairs[100] = request, Reply(request.key, state="refusal")
    summary = Request("s", "u1", {"user": "u1"}, (), Text(5))
    found = records_of([(summary, Reply("s", text="")), *pairs])
    assert len(found) == USERS * CANDIDATES
    assert [found[i]["state"] for i in (24, 25, 60, 100)] == ["valid", "error", "error", "refusal"]
    for score in by_cell(found).values():
        if score["target"] == score["history"] == "all":
            assert score["n"] == USERS - 3
            assert score["valid"] == (USERS - 3) / USERS
            assert (score["refusal"], score["invalid"]) == (1 / USERS, 0)


def test_an_interval_stays_between_0_and_1():
    values = {(f"u{user}", f"u{user}"): 1.5 * (user > 0) - 0.2 for user in range(6)}
    assert interval(values)[1] == 1.0
    assert interval({place: value - 1 for place, value in values.items()})[0] == 0.0


def test_where_nobody_has_a_score_there_is_none():
    pairs = [(request, Reply(request.key, state="error")) for request, _ in answered()]
    for score in scores_of(records_of(pairs)):
        assert (score["value"], score["n"], score["ci95"]) == (None, 0, [None, None])
        assert score["valid"] == 0


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda r: r[:30] + r[31:], r"user 'u1': 20 candidates have a record, but 21 of other"),
        (lambda r: r + r[5:6], r"user 'u0': item 'i5' has 2 records"),
        (lambda r: r[:7] + r[8:], r"user 'u0': 0 of 20 candidates have label '1'"),
        (lambda r: [{**r[0], "label": "1"}, *r[1:]], r"user 'u0': 2 of 21 candidates"),
        (lambda r: [{**r[0], "label": "yes"}, *r[1:]], r"user 'u0': 1 of 21 candidates"),
        (lambda r: [{**r[0], "history": 3}, *r[1:]], r"user 'u0': history is \[0, 3\]"),
        (lambda r: [{**r[0], "cold": "warm"}, *r[1:]], r"user 'u0': cold is"),
    ],
)
def test_rows_that_are_missing_or_twice_are_named(records, change, message):
    with pytest.raises(ValueError, match=message):
        scores_of(change(records))


def test_histories_are_grouped_by_length():
    groups = [(name, len(list(n))) for name, n in itertools.groupby(map(length_group, range(30)))]
    assert groups == [("0", 1), ("1-3", 3), ("4-6", 3), ("7-10", 4), ("11-20", 10), ("21+", 9)]


def test_yes_and_no_are_summed_over_their_forms():
    for texts in (FORMS, ("Yes", "No"), ("No.", " yes", "YES")):
        for score in (-40.0, -1.5, 0.0, 3.0, 60.0):
            logprobs = shared(texts, score)
            assert log_odds(texts, logprobs) == pytest.approx(score, abs=1e-12)
            assert sum(map(math.exp, logprobs)) == pytest.approx(1)
    p = dict(zip(FORMS, (0.1, 0.2, 0.05, 0.3, 0.1, 0.01), strict=True))
    expected = math.log(sum(p[t] for t in YES)) - math.log(sum(p[t] for t in NO))
    assert log_odds(FORMS, [math.log(p[t]) for t in FORMS]) == pytest.approx(expected)
    assert is_yes(" YES.") and not is_yes("no")
    with pytest.raises(ValueError, match="'maybe': expected a form of yes or no"):
        log_odds(("yes", "maybe"), (0, 0))
    with pytest.raises(ValueError, match="expected forms of yes and of no"):
        log_odds(("yes", "Yes"), (0, 0))
