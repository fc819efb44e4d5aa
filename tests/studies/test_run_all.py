"""A sweep goes on where a run diverges, and several commands share its runs."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Barrier

import pytest
from ml_collections import ConfigDict

from mllm.studies import lock, sweep
from mllm.studies.lock import InUse, hold
from mllm.studies.sweep import run_all
from mllm.training.diverged import Diverged


@pytest.fixture(autouse=True)
def looks_often(monkeypatch):
    monkeypatch.setattr(lock, "PAUSE", 0.001)
    monkeypatch.setattr(sweep, "ensure_together", lambda *_: None)


def sweep_config() -> ConfigDict:
    return ConfigDict({"seed": 0, "objective": {"name": ""}, "evaluation": {"efficiency": False}})


def runs_named(names) -> list[dict]:
    return [{"objective.name": name} for name in names]


def test_a_sweep_passes_over_what_diverged(monkeypatch):
    def ensure(name, config, workdir, system, benchmark):
        if name == "wild":
            raise Diverged(workdir / name, "its loss is nan at step 3")
        return name

    monkeypatch.setattr(sweep, "ensure", ensure)
    monkeypatch.setattr(sweep, "evaluate", lambda run, *_: f"evaluation of {run}")
    told, runs = [], runs_named(("calm", "wild", "tame"))
    found = run_all(sweep_config(), runs, Path("study"), None, None, told.append)
    assert found[0] == "evaluation of calm" and found[2] == "evaluation of tame"
    assert isinstance(found[1], Diverged)
    assert [line for line in told if "wild is passed over" in line and "nan at step 3" in line]


@pytest.mark.parametrize("held", ["training", "evaluation"])
def test_what_another_command_holds_comes_last(monkeypatch, tmp_path, held):
    order = []

    def ensure(name, config, workdir, system, benchmark):
        with hold(tmp_path / "training" / name):
            return name

    def evaluate(run, *_):
        with hold(tmp_path / "evaluation" / run):
            order.append(run)
            if len(order) == 2:
                other.close()
            return run

    monkeypatch.setattr(sweep, "evaluates_while_training", lambda: False)
    monkeypatch.setattr(sweep, "ensure", ensure)
    monkeypatch.setattr(sweep, "evaluate", evaluate)
    with ExitStack() as other:
        other.enter_context(hold(tmp_path / held / "a"))
        found = run_all(sweep_config(), runs_named("abc"), tmp_path, None, None, lambda _: None)
    assert found == ["a", "b", "c"] and order == ["b", "c", "a"]


def test_each_run_is_made_by_one_of_the_commands(monkeypatch, tmp_path):
    names, trained, evaluated = "abcdefgh", [], []
    both = Barrier(2)

    def make(name: str, folder: Path, made: list) -> str:
        if not (folder / name / "finished").exists():
            with hold(folder / name):
                if not (folder / name / "finished").exists():
                    made.append(name)
                    if made is trained and len(made) <= 2:
                        both.wait(timeout=60)  # each command trains one of the first two
                    (folder / name / "finished").touch()
        return name

    def ensure(name, *_):
        return make(name, tmp_path / "training", trained)

    def evaluate(run, *_):
        return make(run, tmp_path / "evaluation", evaluated)

    def command(_) -> list:
        return run_all(sweep_config(), runs_named(names), tmp_path, None, None, lambda _: None)

    monkeypatch.setattr(sweep, "ensure", ensure)
    monkeypatch.setattr(sweep, "evaluate", evaluate)
    with ThreadPoolExecutor(2) as commands:
        found = list(commands.map(command, range(2)))
    assert found == [list(names)] * 2
    assert sorted(trained) == sorted(evaluated) == list(names)


def test_a_mistake_of_the_user_is_not_waited_for(monkeypatch):
    def ensure(*_):
        raise ValueError("a mistake")

    monkeypatch.setattr(sweep, "ensure", ensure)
    with pytest.raises(ValueError, match="a mistake") as raised:
        run_all(sweep_config(), runs_named("a"), Path("study"), None, None, lambda _: None)
    assert not isinstance(raised.value, InUse)
