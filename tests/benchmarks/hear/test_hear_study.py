"""A whole study of micro models: what is taught, asked and scored, and begun again after a stop."""

import itertools
import shutil

import numpy as np
import pytest
from hear_micro_study import make_config

from mllm.benchmarks.hear import study
from mllm.checkpoints.folder import load_model
from mllm.data.pipeline import Pipeline
from mllm.files import read_json
from mllm.studies.evaluate import evaluate
from mllm.studies.run import Run
from mllm.studies.train import ensure

pytestmark = pytest.mark.slow

PART = "eval/hear/test"
STOP = 5
CONTROLS = ("before", "blind", "oracle", "always_yes", "random", "prior")


@pytest.fixture(scope="module")
def made(hear_micro_dir, hear_micro, tmp_path_factory):
    """The folder of a study with both methods, taught and asked; config, benchmark."""
    config = make_config(hear_micro_dir)
    workdir = tmp_path_factory.mktemp("hear") / "study"
    for name in config.methods:
        run = ensure(name, config, workdir, study, hear_micro)
        evaluate(run, config, study, hear_micro)
    return workdir, config, hear_micro


def record(workdir, name):
    return read_json(workdir / name / "run.json")


def test_the_stages_follow_each_other_and_train_their_parts_alone(made):
    workdir, _, _ = made
    order = ("language", "project", "listen", "classify", "captions")
    for before, name in itertools.pairwise(order):
        digest = record(workdir, before)["checkpoint_digest"]
        assert record(workdir, name)["made_from"]["parents"] == {before: digest}
        same = record(workdir, name)["checkpoint_digest"] == digest
        assert same == (name == "classify")  # no epochs: it passes the weights on
    assert record(workdir, "facts")["made_from"]["parents"] == {"classify": digest}
    weights = {n: load_model(workdir / n).variables["params"] for n in ("language", "project")}
    for part in ("decoder", "audio", "audio_projector"):
        flat = [
            np.concatenate([np.ravel(x) for x in leaves(tree[part])]) for tree in weights.values()
        ]
        assert np.array_equal(*flat) == (part != "audio_projector"), part


def leaves(tree):
    return (
        [x for branch in tree.values() for x in leaves(branch)]
        if isinstance(tree, dict)
        else [tree]
    )


def test_all_methods_and_controls_are_asked_the_same_questions(made):
    workdir, config, benchmark = made
    # In the second round captions are read, which models write.
    first = read_json(workdir / "captions" / PART / "manifest.json")["questions"]
    for name in CONTROLS:
        run = ensure(name, config, workdir, study, benchmark)
        found = evaluate(run, config, study, benchmark)
        assert read_json(found.folder / "manifest.json")["questions"] == first
        scores = {
            (score["task"], score["relation"], score["condition"], score["metric"]): score["value"]
            for score in found.entry["scores"]
        }
        accuracy = {
            (relation, condition): value
            for (task, relation, condition, metric), value in scores.items()
            if task == "relations" and metric == "balanced_accuracy"
        }
        assert {condition for _, condition in accuracy} == {"T", "A", "AT", "C", "R"}
        expected = {"oracle": 1.0, "always_yes": 0.5}.get(name)
        if expected is not None:
            assert set(accuracy.values()) == {expected}, name


@pytest.mark.parametrize("name", ["before", "blind"])
def test_a_model_without_the_sound_says_the_same_of_every_clip(made, name):
    workdir, config, benchmark = made
    run = ensure(name, config, workdir, study, benchmark)
    found = evaluate(run, config, study, benchmark)
    values = [
        score["value"]
        for score in found.entry["scores"]
        if score["condition"] == "A"
        and score["metric"] == "accuracy"
        and score["task"] == "relations"
    ]
    assert values and set(values) == {0.5}


def test_a_stopped_study_ends_as_an_undisturbed_one(made, tmp_path, monkeypatch):
    """Replies cut in the middle of a line, and training stopped between two checkpoints."""
    workdir, config, benchmark = made
    again = tmp_path / "again"
    shutil.copytree(workdir, again)
    results = again / "facts" / "eval" / "hear" / "results.json"
    before, found = results.read_bytes(), without_cost(results)
    replies = again / "facts" / PART / "replies.jsonl"
    lines = replies.read_text().splitlines(keepends=True)
    replies.write_text("".join(lines[: len(lines) // 3]) + lines[-1][:40])
    results.unlink()
    (again / "facts" / PART / "scores.json").unlink()
    run = Run(again / "facts", "facts", config)
    evaluate(run, config, study, benchmark)
    assert results.read_bytes() == before
    shutil.rmtree(again / "facts")
    batch_at = Pipeline.batch_at

    def stopped(self, step):
        if step == STOP:
            raise KeyboardInterrupt
        return batch_at(self, step)

    monkeypatch.setattr(Pipeline, "batch_at", stopped)
    with pytest.raises(KeyboardInterrupt):
        ensure("facts", config, again, study, benchmark)
    saved = [int(path.name) for path in (again / "facts" / "checkpoints").iterdir()]
    assert max(saved) == STOP - 1  # the next step is lost
    monkeypatch.undo()
    ensure("facts", config, again, study, benchmark)
    evaluate(run, config, study, benchmark)
    assert without_cost(results) == found


def without_cost(path):
    """What results.json says, without the seconds that training took."""
    results = read_json(path)
    runs = [{k: v for k, v in run.items() if k not in ("cost", "seal")} for run in results["runs"]]
    assert runs and all(run["scores"] and run["checkpoint_digest"] for run in runs)
    return {**results, "runs": runs}
