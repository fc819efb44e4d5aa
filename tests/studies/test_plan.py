"""A plan says of each run whether it is there, goes on or begins, and what will stop it."""

from types import SimpleNamespace

import pytest

from configs.mllmu import tiny
from mllm.benchmarks.mllmu import study
from mllm.studies.plan import BEGINS, FINISHED, GIVEN_UP, GOES_ON, STOPPED, Plan, phrase
from mllm.training.diverged import Diverged

DATA = SimpleNamespace(fingerprint="data")


@pytest.fixture
def config():
    config = tiny.get_config()
    config.objective.name = "npo"
    return config


def plan_of(config, workdir, name: str = "npo") -> dict:
    plan = Plan(study, DATA)
    plan.add(name, config, workdir)
    return {planned.run.method: planned for planned in plan.runs.values()}


def leave(planned, *, status: str = "running", steps: int | None = None) -> None:
    """Leave in a run's folder what a command would that got so far."""
    planned.run.begin(planned.source)
    if status == "finished":
        planned.run.write(status, checkpoint_digest=f"weights of {planned.run.method}")
    if steps is not None:
        (planned.run.folder / "checkpoints" / str(steps)).mkdir(parents=True)


def states(plan: dict) -> dict:
    return {name: planned.state for name, planned in plan.items()}


def test_what_diverged_is_passed_over_with_all_that_starts_from_it(config, tmp_path):
    leave(plan_of(config, tmp_path)["base"], status="finished", steps=9)
    vanilla = plan_of(config, tmp_path)["vanilla"]
    leave(vanilla, steps=5)
    vanilla.run.give_up(Diverged(vanilla.run.folder, "its loss is inf at step 6"))
    plan = Plan(study, DATA)
    plan.add("npo", config, tmp_path)
    found = plan_of(config, tmp_path)
    assert states(found) == {"base": FINISHED, "vanilla": GIVEN_UP, "npo": GIVEN_UP}
    assert "passed over" in phrase(found["npo"]) and "loss is inf at step 6" in phrase(found["npo"])
    assert plan.announcement() == []
    plan.require()


def test_a_study_that_is_not_there_begins(config, tmp_path):
    plan = Plan(study, DATA)
    plan.add("npo", config, tmp_path / "sudy", folder=tmp_path / "sudy" / "mine")
    first, *lines = plan.announcement()
    assert first == "3 of 3 runs are to be made:"
    assert [line.removeprefix(f"{tmp_path / 'sudy'}/") for line in lines] == [
        "base: trains params from random weights",
        "vanilla: trains params from base",
        "mine: trains lora from vanilla",
    ]
    plan.require()
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_finished_or_goes_on(config, tmp_path):
    leave(plan_of(config, tmp_path)["base"], status="finished", steps=9)
    leave(plan_of(config, tmp_path)["vanilla"], steps=5)
    found = plan_of(config, tmp_path)
    assert states(found) == {"base": FINISHED, "vanilla": GOES_ON, "npo": BEGINS}
    assert phrase(found["vanilla"]).endswith("goes on from step 5")
    leave(found["vanilla"], status="finished")
    leave(plan_of(config, tmp_path)["npo"], status="finished", steps=1)
    found = plan_of(config, tmp_path)
    assert set(states(found).values()) == {FINISHED}
    (tmp_path / "base" / "run.json").unlink()
    found = plan_of(config, tmp_path)
    assert states(found)["base"] != FINISHED
    assert phrase(found["vanilla"]) == "finished, if the weights of base come out as before"


@pytest.mark.parametrize("pending", [False, True])
def test_a_folder_with_another_run_stops_the_plan_before_anything_is_made(
    config, tmp_path, pending
):
    if not pending:
        leave(plan_of(config, tmp_path)["base"], status="finished", steps=9)
    leave(plan_of(config, tmp_path)["vanilla"], steps=5)
    config.vanilla.learning_rate *= 2
    plan = Plan(study, DATA)
    plan.add("npo", config, tmp_path)
    assert plan.runs[tmp_path / "vanilla"].state == STOPPED
    with pytest.raises(ValueError, match="vanilla: holds a run of method 'vanilla'") as refused:
        plan.require()
    assert "vanilla.learning_rate: 0.0025 there, 0.005 asked for" in str(refused.value)


def test_an_attempt_without_a_checkpoint_is_in_nobodys_way(config, tmp_path):
    leave(plan_of(config, tmp_path)["base"])
    config.rows.tokens = 128
    found = plan_of(config, tmp_path)["base"]
    assert found.state == BEGINS
    assert "in place of an attempt" in found.note and "rows.tokens: 96 there, 128" in found.note


def test_weights_that_are_not_there_stop_the_plan(config, tmp_path):
    config.pretrained = str(tmp_path / "mistyped")
    plan = Plan(study, DATA)
    plan.add("npo", config, tmp_path / "study")
    assert next(iter(plan.runs.values())).state == STOPPED
    with pytest.raises(FileNotFoundError, match="mistyped': no such folder"):
        plan.require()


def test_two_runs_for_one_folder_are_named(config, tmp_path):
    plan = Plan(study, DATA)
    plan.add("npo", config, tmp_path)
    plan.add("npo", config, tmp_path)
    other = config.copy_and_resolve_references()
    other.methods.npo.options.beta = 0.25
    with pytest.raises(ValueError, match=r"npo_15: two runs .*\n.*beta: 1.0 there, 0.25"):
        plan.add("npo", other, tmp_path)
    with pytest.raises(ValueError, match="vanilla: two runs of this command go there"):
        Plan(study, DATA).add("npo", config, tmp_path, folder=tmp_path / "vanilla")
