"""A whole study of tiny models: what is taught, asked and scored, and begun again after a stop."""

import shutil

import pytest
from photo_micro_study import make_config

from mllm.benchmarks.photo import study
from mllm.evaluation.looks import read_looks
from mllm.files import read_json
from mllm.studies.evaluate import evaluate
from mllm.studies.run import Run
from mllm.studies.train import ensure

pytestmark = pytest.mark.slow

PART = "eval/four_options/test"
SINGLE = "colour"  # one of the encoders


@pytest.fixture(scope="module")
def made(photo_micro_dir, photo_micro, tmp_path_factory):
    """The folder of a study whose fused model was taught and asked; config, benchmark."""
    config = make_config(photo_micro_dir)
    workdir = tmp_path_factory.mktemp("photo") / "study"
    run = ensure("fused", config, workdir, study, photo_micro)
    evaluate(run, config, study, photo_micro)
    return workdir, config, photo_micro


def asked(name, made):
    workdir, config, benchmark = made
    run = ensure(name, config, workdir, study, benchmark)
    return evaluate(run, config, study, benchmark)


def values(one):
    keys = ("topic", "subtopic", "reading", "metric")
    return {tuple(score[key] for key in keys): score for score in one.entry["scores"]}


def test_a_stage_starts_from_the_one_before_it_and_trains_its_parts_alone(made):
    workdir, _, _ = made
    digests = {
        name: read_json(workdir / name / "run.json")["checkpoint_digest"]
        for name in ("encoders", "align", "fused")
    }
    assert len(set(digests.values())) == 3
    parents = {
        name: read_json(workdir / name / "run.json")["made_from"]["parents"] for name in digests
    }
    assert parents["align"] == {"encoders": digests["encoders"]}
    assert parents["fused"] == {"align": digests["align"]}
    gates = {
        name: read_json(workdir / name / "model.json")["model"]["fusion"]["gate"]
        for name in digests
    }
    assert gates == {"encoders": "uniform", "align": "uniform", "fused": "text+vision"}


def test_all_methods_and_controls_are_asked_the_same_questions(made):
    workdir = made[0]
    questions = read_json(workdir / "fused" / PART / "manifest.json")["questions"]
    for name in (SINGLE, "unguided", "blind", "blank", "wrong_photo", "oracle", "random"):
        found = asked(name, made)
        assert read_json(found.folder / "manifest.json")["questions"] == questions
        scores = values(found)
        for (topic, subtopic, reading, metric), score in scores.items():
            if reading == "rotation":
                plain = scores[topic, subtopic, "letter", metric]
                assert score["value"] <= plain["value"] and score["n"] == plain["n"]
        if name == "oracle":
            for (*_, metric), score in scores.items():
                assert metric.endswith("_wrong") or score["value"] == pytest.approx(1)


def test_the_gate_of_a_single_encoder_is_one_and_that_of_an_unguided_model_knows_no_question(made):
    gates = {}
    for name in ("fused", SINGLE, "unguided"):
        looks = read_looks(asked(name, made).folder)
        gates[name] = looks.gates
        assert looks.gates.sum(-1) == pytest.approx(1)
        if name == "unguided":
            assert looks.bank == pytest.approx(1 / looks.bank.shape[1])
        if name == SINGLE:
            assert (looks.gates[..., list(looks.encoders).index(SINGLE)] == 1).all()
    assert gates["fused"].shape == gates["unguided"].shape


def test_a_stopped_study_ends_as_an_undisturbed_one(made, tmp_path):
    workdir, config, benchmark = made
    again = tmp_path / "again"
    shutil.copytree(workdir, again)
    folder = again / "fused"
    results = folder / "eval" / "four_options" / "results.json"
    before, replies = results.read_bytes(), folder / PART / "replies.jsonl"
    lines = replies.read_text().splitlines(keepends=True)
    replies.write_text("".join(lines[: len(lines) // 3]) + lines[-1][:40])
    results.unlink()
    (folder / PART / "scores.json").unlink()
    shutil.rmtree(again / "features")
    evaluate(Run(folder, "fused", config), config, study, benchmark)
    assert results.read_bytes() == before
