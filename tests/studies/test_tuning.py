"""Tuning reads what its criterion lets through, and chooses what a search through all finds."""

from pathlib import Path

import numpy as np
import pytest

from configs.mllmu import tiny
from mllm.benchmarks.cobsat import study as without_criterion
from mllm.benchmarks.mllmu import study
from mllm.evaluation.ledger import best_of, read_ledger, write_ledger
from mllm.files import read_json, write_json
from mllm.studies.evaluate import Evaluated
from mllm.studies.trials import Criterion
from mllm.studies.tuning import choose, known_choice, refuse_tuning, runs_of_tuning
from mllm.training.diverged import Diverged

AXIS = "port"
CRITERION = Criterion(
    rule="Nearest to the anchor.",
    settings={"tuning": True},
    anchors=("lookout",),
    reads=lambda score: score["metric"] == "read",
    measure=lambda scores, anchors: {
        "distance": abs(scores[0]["value"] - anchors["lookout"][0]["value"]),
        "tokens": float(len(scores)),
    },
    decides=("distance",),
)


def evaluated(method: str, value: float, n: int = 4) -> Evaluated:
    """An evaluation with one score to read, and one that must not be read."""
    scores = [
        {"port": "north", "metric": "hidden", "value": 1.0 - value, "n": 99},
        {"port": "north", "metric": "read", "value": value, "n": n},
    ]
    entry = {"method": method, "seed": 3, "protocol": "watch@0f1e2d3c", "scores": scores}
    return Evaluated(Path(method), {**entry, "checkpoint_digest": f"{method} {value}"})


METHODS = {"a": [{"a.rate": 1}, {"a.rate": 2}], "b": [{"b.rate": 1}, {"b.rate": 2}]}
RUNS = [
    evaluated("lookout", 0.5),
    evaluated("a", 0.1),
    evaluated("a", 0.6),
    evaluated("b", 0.25),
    evaluated("b", 0.9),
]


def test_the_nearest_trial_of_each_method_is_chosen_and_written(tmp_path):
    ledger = choose(CRITERION, METHODS, RUNS, AXIS, "data")
    assert {name: one.chosen for name, one in ledger.methods.items()} == {"a": 1, "b": 0}
    assert ledger.values == {"a.rate": 2, "b.rate": 1}
    assert ledger.read == {"north": 4} and ledger.seed == 3 and ledger.protocol == "watch"
    assert ledger.anchors == {"lookout": "lookout 0.5"}
    assert ledger.methods["b"].trials[1].measured["distance"] == pytest.approx(0.4)
    write_ledger(tmp_path, ledger)
    assert read_ledger(tmp_path) == ledger


def test_trials_that_were_asked_differently_are_refused():
    with pytest.raises(ValueError, match=r"different questions: b gives \{'north': 5\} .* lookout"):
        choose(CRITERION, METHODS, [*RUNS[:-1], evaluated("b", 0.9, n=5)], AXIS, "data")


def test_a_trial_that_diverged_is_told_and_never_chosen(tmp_path):
    gone = Diverged(Path("a_trial2"), "its loss is nan at step 7")
    ledger = choose(CRITERION, METHODS, [*RUNS[:2], gone, *RUNS[3:]], AXIS, "data")
    assert {name: one.chosen for name, one in ledger.methods.items()} == {"a": 0, "b": 0}
    assert ledger.methods["a"].trials[1].diverged == "its loss is nan at step 7"
    write_ledger(tmp_path, ledger)
    assert read_ledger(tmp_path) == ledger
    with pytest.raises(ValueError, match=r"every trial of 'a' diverged .* nan at step 7"):
        choose(CRITERION, METHODS, [RUNS[0], gone, gone, *RUNS[3:]], AXIS, "data")
    with pytest.raises(Diverged):
        choose(CRITERION, METHODS, [gone, *RUNS[1:]], AXIS, "data")


@pytest.mark.parametrize("seed", range(5))
def test_the_best_trial_is_the_first_of_the_least_by_the_numbers_in_order(seed):
    rng = np.random.default_rng(seed)
    # Coarse values, so that there are ties.
    rows = [{"x": a / 4, "y": b / 4} for a, b in rng.integers(0, 3, (12, 2))]
    best = best_of(rows, ("x", "y"))
    for place, row in enumerate(rows):
        worse = row["x"] > rows[best]["x"] or (
            row["x"] == rows[best]["x"] and row["y"] >= rows[best]["y"]
        )
        assert worse and (place >= best or row != rows[best])
    assert best_of([{"x": 0.1 + 0.2, "y": 1}, {"x": 0.3, "y": 0}], ("x", "y")) == 1


def test_a_changed_ledger_is_refused(tmp_path):
    assert read_ledger(tmp_path) is None
    path = write_ledger(tmp_path, choose(CRITERION, METHODS, RUNS, AXIS, "data"))
    value = read_json(path)
    value["methods"]["a"]["chosen"] = 0
    write_json(path, value)
    with pytest.raises(ValueError, match=r"tuning.json: was changed after it was written"):
        read_ledger(tmp_path)


def test_a_ledger_answers_for_its_own_trials_alone(tmp_path):
    config = tiny.get_config()
    listed = [{"objective.name": n, **values} for n, tried in METHODS.items() for values in tried]
    assert known_choice(config, listed, tmp_path, study) is None
    write_ledger(tmp_path, choose(CRITERION, METHODS, RUNS, AXIS, "data"))
    assert known_choice(config, listed, tmp_path, study).values == {"a.rate": 2, "b.rate": 1}
    other = [{**trial, "more": 1} if trial["objective.name"] == "a" else trial for trial in listed]
    assert known_choice(config, other, tmp_path, study) is None


def test_a_sweep_is_refused_while_tuning():
    config = tiny.get_config()
    refuse_tuning(config)
    config.tuning = True
    with pytest.raises(ValueError, match=r"config\.tuning is True: .* refused while tuning"):
        refuse_tuning(config)


def test_a_system_without_a_criterion_has_no_trials():
    config = tiny.get_config()
    assert runs_of_tuning(config, [], without_criterion) == []
    with pytest.raises(ValueError, match="names no criterion to choose trials by"):
        runs_of_tuning(config, [{"objective.name": "a"}], without_criterion)
