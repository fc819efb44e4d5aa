"""Records in, scores out: means, denominators, rates, repeats and errors."""

import json

import numpy as np
import pytest

from mllm.benchmarks.mllmu.scores import Place, question_values, score_replies
from mllm.evaluation.statistics import cluster_bootstrap

OPTIONS = {"A": "Paris", "B": "London", "C": "Rome", "D": "Oslo"}


def record(profile="p1", index=0, state="valid", **fields):
    base = {
        "set": "forget",
        "task": "cloze",
        "modality": "text",
        "attribute": "city",
        "question": "Where?",
        "prompt": "USER: Where? ASSISTANT:",
        "gold": "Paris",
        "options": None,
        "reply": "Paris",
        "option_logprobs": None,
        "option_tokens": None,
        "letter_logprobs": None,
    }
    new = base | {"profile": profile, "index": index, "state": state} | fields
    return {"key": f"{new['set']}-{new['task']}-{profile}-{index}"} | new


def choice(profile, index, reply="A", scores=(-1.0, -2.0, -3.0, -4.0), **fields):
    measured = {"option_logprobs": list(scores), "option_tokens": [1] * 4}
    fields = {"task": "classification", "gold": "A", "options": OPTIONS, "reply": reply} | fields
    return record(profile, index, **(measured | fields))


def by_metric(scores):
    return {score["metric"]: score for score in scores}


def test_value_is_the_mean_over_questions_and_not_over_profiles():
    records = [record("p1", i, reply="Paris") for i in range(3)] + [record("p2", 0, reply="Rome")]
    exact = by_metric(score_replies(records))["exact"]
    assert exact == {
        "set": "forget",
        "task": "cloze",
        "modality": "text",
        "metric": "exact",
        "value": 0.75,
        "n": 4,
        "ci95": list(cluster_bootstrap([1, 1, 1, 0], ["p1", "p1", "p1", "p2"])),
        "valid": 1.0,
        "refusal": 0.0,
        "invalid": 0.0,
    }


def test_an_error_is_asked_but_neither_right_nor_wrong():
    records = [
        record("p1", 0),
        record("p2", 0, reply="Rome"),
        record("p3", 0, state="error", reply=""),
        record("p4", 0, state="refusal", reply="I do not know."),
        record("p5", 0, state="invalid", reply=""),
    ]
    exact = by_metric(score_replies(records))["exact"]
    assert (exact["value"], exact["n"]) == (0.25, 4)
    assert (exact["valid"], exact["refusal"], exact["invalid"]) == (0.4, 0.2, 0.2)


def test_nothing_but_errors_has_no_value_and_is_still_json():
    exact = by_metric(score_replies([record(state="error"), record("p2", state="error")]))["exact"]
    assert (exact["value"], exact["n"], exact["ci95"]) == (None, 0, [None, None])
    assert exact["valid"] == exact["refusal"] == exact["invalid"] == 0
    json.dumps(exact, allow_nan=False)


def test_one_profile_has_a_value_and_no_interval():
    exact = by_metric(score_replies([record(index=0), record(index=1, reply="Rome")]))["exact"]
    assert (exact["value"], exact["ci95"]) == (0.5, [None, None])


def test_an_unreadable_choice_is_invalid_for_the_parsed_accuracy_alone():
    records = [choice("p1", 0), choice("p2", 0, reply="According to the image")]
    scores = by_metric(score_replies(records))
    parsed, text = scores["accuracy_parsed"], scores["accuracy_text"]
    assert (parsed["value"], parsed["valid"], parsed["invalid"]) == (0.5, 0.5, 0.5)
    assert (text["value"], text["valid"], text["invalid"]) == (1.0, 1.0, 0.0)
    paper = by_metric(score_replies(records, protocol="paper"))["accuracy_parsed"]
    assert (paper["value"], paper["valid"]) == (1.0, 1.0)


def test_a_metric_that_was_not_measured_has_no_entry():
    assert set(by_metric(score_replies([choice("p1", 0)]))) == {"accuracy_text", "accuracy_parsed"}


def test_a_metric_that_was_measured_for_some_is_an_error():
    records = [choice("p1", 0), choice("p2", 0, option_logprobs=None)]
    with pytest.raises(ValueError, match=r"accuracy_text: 1 of 2 records.*classification-p2-0"):
        score_replies(records)
    records[1]["state"] = "error"
    assert by_metric(score_replies(records))["accuracy_text"]["n"] == 1


def test_a_later_record_of_a_question_replaces_the_earlier():
    records = [record("p1", 0, state="error", reply=""), record("p2", 0), record("p1", 0)]
    exact = by_metric(score_replies(records))["exact"]
    assert (exact["value"], exact["n"], exact["valid"]) == (1.0, 2, 1.0)


def test_groups_are_kept_apart_and_in_order_whatever_the_order_of_records():
    records = [
        record(profile, index, set=chosen, modality=modality, task=task, reply=reply)
        for profile, reply in (("p1", "Paris"), ("p2", "Rome"))
        for index in range(2)
        for chosen in ("validation", "celebrity", "retain", "test", "forget")
        for modality in ("text", "image_text")
        for task in ("cloze", "generation")
    ]
    scores = score_replies(records)
    sets = list(dict.fromkeys(score["set"] for score in scores))
    assert sets == ["forget", "test", "retain", "celebrity", "validation"]
    first = [(s["task"], s["modality"], s["metric"]) for s in scores if s["set"] == "forget"]
    assert first[:4] == [
        ("generation", "image_text", name) for name in ("rouge1", "rouge2", "rougeL", "bleu")
    ]
    assert first[-2:] == [("cloze", "text", "exact"), ("cloze", "text", "substring")]
    assert len(scores) == 5 * 2 * 6 and {score["n"] for score in scores} == {4}
    shuffled = [records[i] for i in np.random.default_rng(0).permutation(len(records))]
    assert score_replies(shuffled) == scores


def test_values_of_questions_are_those_the_scores_are_means_of():
    records = [record(f"p{i}", 0, reply="Paris" if i % 2 else "Rome") for i in range(5)]
    records += [record("p5", 0, state="error", reply=""), choice("p6", 0), choice("p7", 0, "B")]
    found = question_values(records)
    scores = score_replies(records)
    assert [tuple(cell) for cell in found] == [
        (score["set"], score["task"], score["modality"], score["metric"]) for score in scores
    ]
    for values, score in zip(found.values(), scores, strict=True):
        assert len(values) == score["n"]
        assert np.mean(list(values.values())) == pytest.approx(score["value"])
    exact = found["forget", "cloze", "text", "exact"]
    assert exact == {Place(f"p{i}", 0, "Where?"): float(i % 2) for i in range(5)}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"state": "wrong"}, "record forget-cloze-p1-0: state is 'wrong'"),
        ({"task": "clozee"}, "'clozee'; did you mean 'cloze'"),
    ],
)
def test_unknown_states_and_tasks_are_errors(fields, message):
    with pytest.raises(ValueError, match=message):
        score_replies([record(**fields)])


def test_an_unknown_protocol_is_an_error():
    with pytest.raises(ValueError, match="unknown protocol 'papr'; did you mean 'paper'"):
        score_replies([], protocol="papr")
