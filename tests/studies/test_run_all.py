"""A sweep goes on where a run diverges, and evaluates runs while others train."""

from pathlib import Path
from threading import Barrier, Event

import pytest
from ml_collections import ConfigDict

from mllm.studies import sweep
from mllm.studies.sweep import run_all
from mllm.training.diverged import Diverged


def sweep_config() -> ConfigDict:
    values = {"seed": 0, "objective": {"name": ""}, "evaluation": {"efficiency": False}}
    return ConfigDict(values)


@pytest.mark.parametrize("while_training", [True, False])
def test_evaluations_run_beside_each_other_where_they_may(monkeypatch, while_training):
    together = Barrier(2 if while_training else 1)

    def evaluate(run, *_, turn):
        together.wait(timeout=60)  # fails where the other evaluation waits for this one
        return run

    monkeypatch.setattr(sweep, "evaluates_while_training", lambda: while_training)
    monkeypatch.setattr(sweep, "ensure_together", lambda *_: None)
    monkeypatch.setattr(sweep, "ensure", lambda name, *_: name)
    monkeypatch.setattr(sweep, "evaluate", evaluate)
    runs = [{"objective.name": name} for name in "abcd"]
    assert run_all(sweep_config(), runs, Path("study"), None, None, lambda _: None) == list("abcd")


def test_what_evaluations_share_is_asked_in_the_order_of_the_runs(monkeypatch):
    asked, begun = [], [Event() for _ in range(5)]

    def evaluate(run, *_, turn):
        begun[run].set()
        if run in (0, 2):  # the later one would be first
            assert begun[run + 1].wait(timeout=60)
        if run != 3:  # one shares nothing
            turn()
            asked.append(run)
        if run == 4:
            raise ValueError("its replies cannot be read")
        return run

    monkeypatch.setattr(sweep, "evaluates_while_training", lambda: True)
    monkeypatch.setattr(sweep, "ensure_together", lambda *_: None)
    monkeypatch.setattr(sweep, "ensure", lambda name, *_: int(name))
    monkeypatch.setattr(sweep, "evaluate", evaluate)
    runs = [{"objective.name": str(number)} for number in range(5)]
    with pytest.raises(ValueError, match="cannot be read"):
        run_all(sweep_config(), runs, Path("study"), None, None, lambda _: None)
    assert asked == [0, 1, 2, 4]


def test_a_sweep_passes_over_what_diverged(monkeypatch):
    def ensure(name, config, workdir, system, benchmark):
        if name == "wild":
            raise Diverged(workdir / name, "its loss is nan at step 3")
        return name

    monkeypatch.setattr(sweep, "ensure_together", lambda *_: None)
    monkeypatch.setattr(sweep, "ensure", ensure)
    monkeypatch.setattr(sweep, "evaluate", lambda run, *_, turn: f"evaluation of {run}")
    runs = [{"objective.name": name} for name in ("calm", "wild", "tame")]
    told = []
    found = run_all(sweep_config(), runs, Path("study"), None, None, told.append)
    assert found[0] == "evaluation of calm" and found[2] == "evaluation of tame"
    assert isinstance(found[1], Diverged)
    assert [line for line in told if "wild is passed over" in line and "nan at step 3" in line]
