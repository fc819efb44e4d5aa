"""A run's folder says what it holds, and is never taken for another run."""

import sys

import pytest
from ml_collections import ConfigDict

from mllm.files import read_json
from mllm.studies.run import Run, open_run


@pytest.fixture
def run(tmp_path):
    config = ConfigDict({"seed": 3, "evaluation": {"protocol": "short"}})
    return Run(tmp_path / "npo_5", "npo", config, {"part": 5})


def test_a_record_keeps_its_labels_and_how_it_was_made(run, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["a command", "--workdir", "a folder"])
    assert run.record() == {} and not run.finished("one")
    run.write("running", identity="one", data_fingerprint="data")
    run.write("finished", checkpoint_digest="abc")
    record = read_json(run.folder / "run.json")
    assert record == run.record()
    assert (record["method"], record["seed"], record["part"]) == ("npo", 3, 5)
    assert (record["protocol"], record["status"]) == ("short", "finished")
    assert record["identity"] == "one" and record["checkpoint_digest"] == "abc"
    assert record["config"] == run.config.to_dict()
    assert record["command"].endswith(" --workdir 'a folder'")
    assert {"jax", "python", "backend", "git"} <= set(record["environment"])


def test_only_a_finished_run_of_the_same_identity_is_taken(run):
    run.write("running", identity="one", data_fingerprint="data")
    assert not run.finished("one")
    run.write("finished")
    assert run.finished("one")
    with pytest.raises(ValueError, match=r"npo_5: holds a run of method 'npo' with identity one"):
        run.finished("two")


def test_a_run_is_opened_for_its_own_data_once_it_is_finished(run):
    run.write("running", identity="one", data_fingerprint="data")
    with pytest.raises(ValueError, match="status is 'running', not 'finished'"):
        open_run(run.folder, run.config, "data")
    run.write("finished")
    with pytest.raises(ValueError, match="trained on data data, the config's benchmark is other"):
        open_run(run.folder, run.config, "other")
    assert open_run(run.folder, run.config, "data").method == "npo"
    with pytest.raises(FileNotFoundError, match=r"nowhere.run\.json"):
        open_run(run.folder / "nowhere", run.config, "data")
