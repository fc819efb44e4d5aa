"""Trials are fair: as many of each method, each with keys of its own, none twice."""

import pytest

from mllm.studies.trials import by_method, runs_of

SETTINGS = {"tuning": True}


def trial(name: str, **values) -> dict:
    return {"objective.name": name, **{f"methods.{name}.{key}": v for key, v in values.items()}}


def test_trials_are_grouped_by_method_in_their_order():
    listed = [trial("b", rate=2.0), trial("a", rate=1.0), trial("b", rate=1.0), trial("a", beta=3)]
    found = by_method(listed, SETTINGS)
    assert list(found) == ["b", "a"]
    assert found["b"] == [{"methods.b.rate": 2.0}, {"methods.b.rate": 1.0}]
    assert found["a"] == [{"methods.a.rate": 1.0}, {"methods.a.beta": 3}]


@pytest.mark.parametrize(
    "listed, message",
    [
        ([{"methods.a.rate": 1}], "trial 1 .* has no key 'objective.name'"),
        ([trial("a", rate=1), {**trial("a", rate=2), "seed": 3}], "trial 2 .* sets 'seed'"),
        ([{**trial("a", rate=1), "tuning": False}], "sets 'tuning', which tuning sets itself"),
        ([{**trial("a"), "objective.variant": "x"}], "sets 'objective.variant'"),
        ([trial("a", rate=1), trial("a", rate=1)], "a trial of 'a' twice"),
        ([{**trial("a"), "lora.rank": 2}, {**trial("b"), "lora.rank": 4}], "both set 'lora.rank'"),
        ([trial("a", rate=1), trial("a", rate=2), trial("b", rate=1)], r"\(a 2, b 1\)"),
    ],
)
def test_unfair_trials_are_refused(listed, message):
    with pytest.raises(ValueError, match=message):
        by_method(listed, SETTINGS)


def test_runs_of_tuning_begin_with_what_trials_are_compared_with():
    methods = {"a": [{"methods.a.rate": 1}, {"methods.a.rate": 2}], "b": [{"methods.b.rate": 5}]}
    runs = runs_of(methods, ("whole", "never_saw"), SETTINGS)
    assert [run["objective.name"] for run in runs] == ["whole", "never_saw", "a", "a", "b"]
    assert [run.get("objective.variant") for run in runs] == [
        None, None, "trial1", "trial2", "trial1",
    ]  # fmt: skip
    assert all(run["tuning"] is True for run in runs)
    assert [run.get("methods.a.rate") for run in runs] == [None, None, 1, 2, None]
