"""A run's folder says what it holds, and is never taken for another run."""

import sys

import pytest
from ml_collections import ConfigDict

from mllm.files import read_json, read_run, write_json
from mllm.studies.identity import identity, value_of
from mllm.studies.run import Run, open_run
from mllm.studies.stage import Stage

ONE = {"stage": "npo", "config": {"rate": 1e-3, "rows": {"tokens": 24}}, "data": "data"}
ONE["parents"] = {"base": "a" * 64}
OTHERS = {  # key by key, and what goes on with the run that is there
    "rate": ({"config": {"rate": 2e-3, "rows": {"tokens": 24}}}, "--config.rate=0.001"),
    "rows.tokens": ({"config": {"rate": 1e-3, "rows": {"tokens": 9}}}, "--config.rows.tokens=24"),
    "data": ({"data": "other"}, "on the data set that it was trained on"),
    "weights of base": ({"parents": {"base": "b" * 64}}, "from the same weights of base"),
    "stage": ({"stage": "ga"}, "as another stage of the study"),
}


@pytest.fixture
def run(tmp_path):
    config = ConfigDict({"seed": 3, "evaluation": {"protocol": "short"}})
    return Run(tmp_path / "npo_5", "npo", config, {"part": 5})


def test_a_record_keeps_its_labels_and_how_it_was_made(run, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["a command", "--workdir", "a folder"])
    assert run.record() == {} and not run.finished(ONE)
    run.begin(ONE)
    run.write("finished", checkpoint_digest="abc")
    record = read_run(run.folder / "run.json")
    assert record == run.record() and record["files"] == {}
    assert (record["method"], record["seed"], record["part"]) == ("npo", 3, 5)
    assert (record["protocol"], record["status"]) == ("short", "finished")
    assert record["identity"] == identity(ONE) and record["made_from"] == ONE
    assert record["checkpoint_digest"] == "abc"
    assert record["config"] == run.config.to_dict()
    assert record["command"].endswith(" --workdir 'a folder'")
    assert {"jax", "python", "backend", "git"} <= set(record["environment"])


def test_only_a_finished_run_of_the_same_identity_is_taken(run):
    run.begin(ONE)
    assert not run.finished(ONE)
    run.write("finished", checkpoint_digest="abc")
    assert run.finished(ONE)


def holds(run, what: str) -> None:
    """Put into a run's folder what its record alone does not claim."""
    if what == "weights of another run":
        child = Run(run.folder.parent / "child", "child", run.config)
        child.begin({**ONE, "stage": "child", "parents": {run.method: "abc"}})
        holds(child, "a checkpoint")
        return
    places = {"a checkpoint": "checkpoints/5", "replies": "eval/short/part"}
    place = run.folder / places[what]
    place.mkdir(parents=True)
    (place / "replies.jsonl").write_text("{}\n")


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("what", ["a checkpoint", "replies", "weights of another run"])
def test_a_run_that_holds_work_is_refused_key_by_key(run, other, what):
    run.begin(ONE)
    run.write("finished", checkpoint_digest="abc")
    holds(run, what)
    changed, goes_on = OTHERS[other]
    with pytest.raises(ValueError) as refused:
        run.finished({**ONE, **changed})
    first, *differing, last = str(refused.value).splitlines()
    assert first.startswith(f"{run.folder}: holds a run of method 'npo'")
    assert [line.strip().partition(":")[0] for line in differing] == [other]
    assert goes_on in last and "choose another --workdir, or delete this folder" in last
    assert run.record()["made_from"] == ONE


def test_a_record_of_before_is_compared_by_its_configuration(run):
    run.begin(ONE)
    record = run.record()
    del record["made_from"]
    write_json(run.folder / "run.json", {**record, "config": {"rate": 3e-3}})
    holds(run, "a checkpoint")
    with pytest.raises(ValueError, match=r"rate: 0\.003 there, 0\.001 asked for"):
        run.finished({**ONE, "config": {"rate": 1e-3}})


@pytest.mark.parametrize("status", ["running", "finished"])
@pytest.mark.parametrize("other", OTHERS)
def test_a_run_without_work_takes_the_new_configuration(run, other, status):
    run.begin(ONE)
    run.write(status, checkpoint_digest="abc", old=True)
    (run.folder / "checkpoints" / "5.orbax-checkpoint-tmp").mkdir(parents=True)
    (run.folder / "metrics.jsonl").write_text("{}\n")
    (run.folder / "mine.txt").write_text("kept")
    asked = {**ONE, **OTHERS[other][0]}
    assert not run.finished(asked)
    run.begin(asked)
    assert run.record()["made_from"] == asked and "old" not in run.record()
    assert {path.name for path in run.folder.iterdir()} == {"run.json", "mine.txt"}


def test_a_run_is_opened_for_its_own_data_once_it_is_finished(run):
    run.begin(ONE)
    with pytest.raises(ValueError, match="status is 'running', not 'finished'"):
        open_run(run.folder, run.config, "data")
    run.write("finished")
    with pytest.raises(ValueError, match="trained on data data, the config's benchmark is other"):
        open_run(run.folder, run.config, "other")
    assert open_run(run.folder, run.config, "data").method == "npo"
    with pytest.raises(FileNotFoundError, match=r"nowhere.run\.json"):
        open_run(run.folder / "nowhere", run.config, "data")


FLAGS = {"benchmark": {"forget": 15, "limit": {"forget": 2, "retain": 0}}, "tuning": False}
ASKED = Stage(
    "npo",
    ("benchmark",),
    asked_as=("tuning", "benchmark.forget"),
    asked_within=("benchmark.limit.forget", "benchmark.limit.retain"),
)


@pytest.mark.parametrize(
    "key, value, wrong",
    [
        ("tuning", True, True),
        ("benchmark.forget", 5, True),
        ("benchmark.limit.forget", 0, True),
        ("benchmark.limit.forget", 3, True),
        ("benchmark.limit.forget", 1, False),
        ("benchmark.limit.retain", 7, False),
        ("seed", 1, False),
    ],
)
def test_a_run_is_asked_about_what_it_was_made_for(run, key, value, wrong):
    run.config.update(FLAGS)
    run.begin(ONE)
    run.require_asked_as_made(ASKED)
    before = value_of(run.config, key)
    run.config.update_from_flattened_dict({key: value})
    if not wrong:
        run.require_asked_as_made(ASKED)
        return
    message = f"npo_5: .* was made with {key} {before}, not {value}, .*--config.{key}={before}"
    with pytest.raises(ValueError, match=message):
        run.require_asked_as_made(ASKED)


def test_a_finished_run_whose_files_are_gone_is_made_again(run, capsys):
    run.begin(ONE)
    write_json(run.folder / "model.json", {"schema": 1})
    run.write("finished", checkpoint_digest="abc")
    assert run.finished(ONE)
    (run.folder / "model.json").unlink()
    assert not run.finished(ONE)
    run.begin(ONE)
    assert f"{run.folder / 'model.json'}: is gone; npo is made again" in capsys.readouterr().err


def test_a_record_that_was_changed_is_refused_whatever_was_changed(run):
    run.begin(ONE)
    write_json(run.folder / "model.json", {"schema": 1})
    run.write("finished", checkpoint_digest="abc")
    path = run.folder / "run.json"
    whole = read_json(path)
    for key in whole:
        others = [{name: value for name, value in whole.items() if name != key}]
        others += [{**whole, key: [whole[key], "other"]}]
        for other in others:
            write_json(path, other)
            with pytest.raises(ValueError, match=r"run\.json: (was changed|has no key 'seal')"):
                run.finished(ONE)


def test_a_run_is_another_one_if_its_parents_read_otherwise(run):
    run.begin({**ONE, "processors": {"base": "b" * 64}})
    (run.folder / "checkpoints" / "3").mkdir(parents=True)
    run.write("finished", checkpoint_digest="abc")
    assert run.finished(ONE) and run.finished({**ONE, "processors": {"base": "b" * 64}})
    with pytest.raises(ValueError, match=r"processors\.base: b+ there, c+ asked for\n.*tokenizer"):
        run.finished({**ONE, "processors": {"base": "c" * 64}})
