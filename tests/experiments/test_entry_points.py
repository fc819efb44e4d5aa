"""What every entry point owes its user: help, and errors that say what to do."""

import os

import pytest

from mllm.benchmarks.mllmu import Benchmark
from mllm.benchmarks.mllmu.sets import chosen_profiles, evaluation_sets
from mllm.files import write_json
from mllm.studies.lock import hold

pytestmark = pytest.mark.thorough


@pytest.mark.parametrize(
    "name", [*(pytest.param(n, marks=pytest.mark.slow) for n in ("prepare", "evaluate")), "sweep"]
)
def test_help(commands, name):
    done = commands.run(name, "--help")
    assert done.returncode == 0, done.stderr
    folder = "--checkpoint" if name == "evaluate" else "--workdir"
    for flag in ("--config", "--data_dir" if name == "prepare" else folder):
        assert f"\n  {flag}: " in done.stdout


@pytest.mark.parametrize(
    "flag, message",
    [
        ("--config.model.decoder.widht=3", "unknown key 'widht'; did you mean 'width'?"),
        ("--wrkdir=x", "Unknown command line flag 'wrkdir'. Did you mean: workdir ?"),
        ("--config=configs/none.py", "--config configs/none.py: no such file; name a .py file"),
        ("--config.benchmark.data_dir=nowhere", "python -m experiments.prepare"),
        ("--config.objective.name=npp", "'npp'; did you mean 'npo'?"),
    ],
)
def test_mistakes_are_reported_in_a_line(commands, micro, tmp_path, flag, message):
    found = commands.refused("unlearn", *micro, "--workdir", tmp_path / "npo", flag)
    assert message in found
    assert len(found.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_run_that_is_not_finished_is_not_evaluated(commands, micro, tmp_path):
    write_json(tmp_path / "run.json", {"method": "npo", "status": "running"})
    message = commands.refused("evaluate", *micro, "--checkpoint", tmp_path)
    assert "run.json: status is 'running', not 'finished'" in message


def test_a_second_command_in_a_folder_is_refused(commands, micro, tmp_path):
    with hold(tmp_path / "study"):
        message = commands.refused("finetune", *micro, "--workdir", tmp_path / "study")
    assert f"error: {tmp_path / 'study'}: in use by `" in message
    assert f"process {os.getpid()} on {os.uname().nodename}, since 2" in message
    assert not list(tmp_path.iterdir())


@pytest.fixture
def config(data_dir):
    from configs.mllmu import tiny

    config = tiny.get_config()
    config.benchmark.data_dir = str(data_dir)
    return config


@pytest.mark.parametrize("forget", [5, 15])
def test_tuning_forgets_and_asks_no_reported_profile(config, data_dir, forget):
    benchmark = Benchmark.open(data_dir, "small")
    config.tuning, config.benchmark.forget = True, forget
    validation = set(benchmark.ids("validation"))
    assert {p.id for p in chosen_profiles(config, benchmark, "forget")} == validation
    sets = evaluation_sets(config, benchmark)
    assert set(sets) == {"forget", "retain", "celebrity"}
    assert {p.id for p in sets["forget"]} == validation
    assert not validation & {p.id for p in sets["retain"]}


def test_reported_sets_are_the_splits_of_the_ratio(config, data_dir):
    benchmark = Benchmark.open(data_dir, "small")
    for forget in (5, 10, 15):
        config.benchmark.forget = forget
        sets = evaluation_sets(config, benchmark)
        ids = {name: {p.id for p in profiles} for name, profiles in sets.items()}
        assert ids["forget"] == ids["test"] == set(benchmark.ids(f"forget_{forget}"))
        assert ids["retain"] == set(benchmark.ids(f"retain_{100 - forget}"))
        assert ids["celebrity"] == set(benchmark.ids("celebrity"))
    config.benchmark.limit.update(forget=2, retain=3, celebrity=1)
    sets = evaluation_sets(config, benchmark)
    assert {name: len(profiles) for name, profiles in sets.items()} == {
        "forget": 2,
        "test": 2,
        "retain": 3,
        "celebrity": 1,
    }
