"""A sweep with trials, through the entry point: what is chosen, and that nothing is lost or read
that must not be.
"""

import shutil

import numpy as np
import pytest

from mllm.files import read_json, read_sealed
from tests.experiments import micro_tuned

pytestmark = pytest.mark.slow

CONFIG = "tests/experiments/micro_tuned.py"


@pytest.fixture(scope="module")
def flags(data_dir):
    return ["--config", CONFIG, f"--config.benchmark.data_dir={data_dir}"]


@pytest.fixture(scope="module")
def finished(commands, flags, tmp_path_factory):
    """A tuned sweep; tests only read it."""
    workdir = tmp_path_factory.mktemp("tuned") / "whole"
    done = commands.run("sweep", *flags, "--workdir", workdir)
    assert done.returncode == 0, done.stderr
    return workdir


def accuracy(folder, sets: tuple[str, ...]) -> float:
    """The mean of multiple choice by option text over sets and modalities, from results.json."""
    (path,) = folder.glob("eval/*/results.json")
    (run,) = read_json(path)["runs"]
    return np.mean([s["value"] for s in run["scores"] if s["set"] in sets])


def distance(folder) -> tuple[float, float]:
    """What a trial is chosen by, computed from what the runs left."""
    study, useful = folder.parent, ("retain", "celebrity")
    lost = max(0.0, accuracy(study / "vanilla", useful) - accuracy(folder, useful))
    apart = accuracy(folder, ("forget",)) - accuracy(study / "retain_only_15", ("forget",))
    return round(abs(apart) + lost, 9), round(lost, 9)


def test_the_best_trial_is_chosen_and_its_values_are_those_of_the_runs(finished):
    ledger = read_sealed(finished / "tuning.json")
    assert set(ledger["methods"]) == set(micro_tuned.RATES)
    for name, rates in micro_tuned.RATES.items():
        trials = [finished / "tuning" / "seed0" / f"{name}_trial{n}_15" for n in (1, 2)]
        best = min(range(2), key=lambda number: distance(trials[number]))
        found = ledger["methods"][name]
        assert found["chosen"] == best
        for trial, folder in zip(found["trials"], trials, strict=True):
            assert trial["checkpoint_digest"] == read_json(folder / "run.json")["checkpoint_digest"]
            assert trial["measured"]["distance to retain-only"] == pytest.approx(
                distance(folder)[0]
            )
        record = read_json(finished / "seed0" / f"{name}_15" / "run.json")
        assert record["config"]["methods"][name]["learning_rate"] == rates[best]


def test_trials_ask_validation_people_and_stand_in_no_table(finished):
    results = read_json(finished / "results.json")
    assert [run["method"] for run in results["runs"]] == list(micro_tuned.RATES)
    for run in results["runs"]:
        assert run["conditions"]["tuning"] is False
    (path,) = (finished / "tuning").glob("seed0/ga_trial1_15/eval/*/results.json")
    scores = read_json(path)["runs"][0]["scores"]
    assert {score["set"] for score in scores} == {"forget", "retain", "celebrity"}
    assert {score["metric"] for score in scores} == {"accuracy_text"}
    page = (finished / "report.html").read_text()
    assert "How the methods were tuned" in page and "No answer of a run of the tables" in page


def test_an_interrupted_sweep_chooses_the_same(finished, commands, flags, tmp_path):
    """As a kill leaves it between two trials: a later trial and the ledger are not there."""
    workdir = tmp_path / "again"
    shutil.copytree(finished, workdir)
    shutil.rmtree(workdir / "tuning" / "seed0" / "npo_trial2_15")
    shutil.rmtree(workdir / "seed0" / "npo_15")
    (workdir / "tuning.json").unlink()
    done = commands.run("sweep", *flags, "--workdir", workdir)
    assert done.returncode == 0, done.stderr
    assert "1 of 7 runs are to be made" in done.stderr
    assert (workdir / "tuning.json").read_bytes() == (finished / "tuning.json").read_bytes()
    scores = [
        [run["scores"] for run in read_json(folder / "results.json")["runs"]]
        for folder in (finished, workdir)
    ]
    assert scores[0] == scores[1]


def test_a_plan_shows_trials_first_and_then_their_choice(finished, commands, flags, tmp_path):
    new = commands.run("sweep", *flags, "--workdir", tmp_path / "new", "--dry_run")
    assert new.returncode == 0 and not list(tmp_path.iterdir()), new.stderr
    assert new.stdout.index("npo_trial2_15: trains") < new.stdout.index("/new/seed0/ga_15: trains")
    assert "tuning.json; the runs below show the file's own" in new.stdout
    done = commands.run("sweep", *flags, "--workdir", finished, "--dry_run")
    assert done.stdout.count(": finished") == 7 + 4
    assert "holds their choice" in done.stdout and "ga: 2 trials, chosen is" in done.stdout


def test_tables_are_refused_while_tuning(finished, commands, flags, tmp_path):
    message = commands.refused("report", "--workdir", finished / "tuning")
    assert "all 7 finished runs below it were made with config.tuning" in message
    assert not (finished / "tuning" / "results.json").exists()
    message = commands.refused(
        "sweep", *flags, "--config.tuning=True", "--workdir", tmp_path / "new"
    )
    assert "config.tuning is True" in message and not (tmp_path / "new").exists()
    trial = finished / "tuning" / "seed0" / "ga_trial1_15"
    options = ("--config.evaluation.asks=options", "--checkpoint", trial)
    done = commands.run("evaluate", *flags, "--config.tuning=True", *options)
    assert done.returncode == 0, done.stderr
    assert "these are scores of validation data" in done.stdout
    message = commands.refused("evaluate", *flags, *options)
    assert "tuning" in message
