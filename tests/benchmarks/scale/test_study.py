"""A whole study of a toy model: brackets, repeated and stopped runs, and a service."""

import base64
import io
import json
import shutil

import pytest
from chat_server import completion, serving, text_of
from PIL import Image

from configs.scale import common, folders, tiny
from mllm.benchmarks import get_report
from mllm.benchmarks.scale import study
from mllm.benchmarks.scale.benchmark import prepare
from mllm.benchmarks.scale.generators import GENERATORS
from mllm.benchmarks.scale.protocol import Protocol, guesses, rounds
from mllm.benchmarks.scale.score import AXES, headline, records_of
from mllm.benchmarks.scale.scorers import chance
from mllm.evaluation.baselines import random_choice
from mllm.evaluation.runner import LocalModel
from mllm.files import read_json, read_jsonl
from mllm.reporting import write_report
from mllm.studies.sweep import run_all

pytestmark = pytest.mark.thorough

PART = "eval/zero_shot/test"
SEEDS = 40


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """All cells, three test items in each."""
    folder = tmp_path_factory.mktemp("scale_data")
    prepare(folder, "micro", seed=0)
    return folder


def make_config(data_dir):
    config = tiny.get_config()
    config.benchmark.update(config="micro", data_dir=str(data_dir))
    model = config.models.small.model
    model.decoder.update(width=16, layers=1, heads=2, kv_heads=1, head_dim=8, mlp_width=32)
    model.vision.update(width=16, layers=1, heads=2, mlp_width=32)
    model.projector.update(mlp_width=16, width=16)
    config.models.small.schedule.update(rows=32, warmup=2)
    config.compared = ("small",)
    config.evaluation.update(wordings=2, reply_tokens=5, efficiency=False)
    return config


def run(config, workdir):
    benchmark = study.open_benchmark(config)
    run_all(config, list(common.sweep(config)), workdir, study, benchmark, lambda line: None)
    write_report(workdir, get_report("scale"))


@pytest.fixture(scope="module")
def finished(data_dir, tmp_path_factory):
    """A study that nobody disturbed."""
    workdir = tmp_path_factory.mktemp("studies") / "whole"
    run(make_config(data_dir), workdir)
    return workdir


def cells_of(workdir, method, metric="score"):
    runs = read_json(workdir / "results.json")["runs"]
    scores = next(run["scores"] for run in runs if run["method"] == method)
    return {
        tuple(score[axis] for axis in AXES): score
        for score in scores
        if score["metric"] == metric and "all" not in [score[axis] for axis in AXES]
    }


@pytest.mark.slow
def test_results_hold_every_run_and_every_cell(finished):
    results = read_json(finished / "results.json")
    assert results["benchmark"] == "scale" and results["axes"] == list(AXES)
    methods = {run["method"] for run in results["runs"]}
    assert methods == {"small", "oracle", "random", "majority", "blind"}
    for method in methods:
        assert set(cells_of(finished, method)) == set(GENERATORS)


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["score", "parsed"])
def test_the_oracle_is_right_in_every_cell(finished, metric):
    for cell, score in cells_of(finished, "oracle", metric).items():
        assert score["value"] == 1.0 and score["valid"] == 1.0, cell


def test_guessing_is_at_the_analytic_chance_in_every_cell(data_dir):
    benchmark = study.open_benchmark(make_config(data_dir))
    items = benchmark.items("test")
    asked = [r for lot in rounds(items, Protocol(wordings=1)) for r in lot]
    found = {cell: [] for cell in GENERATORS}
    for seed in range(SEEDS):
        baseline = random_choice(guesses(benchmark.item), seed)
        replies = [reply for lot in baseline.answer(asked, set()) for reply in lot]
        pairs = list(zip(asked, replies, strict=True))
        for record in headline(records_of(pairs, benchmark.item)):
            found[tuple(record[axis] for axis in AXES)].append(record["value"])
    expected = {cell: [] for cell in GENERATORS}
    for item in items:
        expected[item.suite, item.format, item.capability].append(chance(item))
    for cell, values in found.items():
        mean = sum(expected[cell]) / len(expected[cell])
        error = (mean * (1 - mean) / len(values)) ** 0.5
        assert abs(sum(values) / len(values) - mean) < 4.5 * error, cell


@pytest.mark.slow
def test_a_second_run_asks_no_model_and_changes_no_byte(finished, data_dir, tmp_path, monkeypatch):
    shutil.copytree(finished, tmp_path / "again")
    before = (tmp_path / "again" / "results.json").read_bytes()

    def refuse(self, requests, done):
        raise AssertionError("a finished run was asked again")

    monkeypatch.setattr(LocalModel, "answer", refuse)
    run(make_config(data_dir), tmp_path / "again")
    assert (tmp_path / "again" / "results.json").read_bytes() == before


@pytest.mark.slow
def test_a_stopped_run_ends_as_an_undisturbed_one(finished, data_dir, tmp_path):
    workdir = tmp_path / "stopped"
    shutil.copytree(finished, workdir)
    before = (workdir / "results.json").read_bytes()
    shutil.rmtree(workdir / "seed0" / "oracle" / "eval")
    folder = workdir / "seed0" / "small" / PART
    lines = (folder / "replies.jsonl").read_bytes().splitlines(keepends=True)
    half = len(lines) // 2
    (folder / "replies.jsonl").write_bytes(b"".join(lines[:half]) + lines[half][:40])
    for written in ("records.jsonl", "scores.json"):
        (folder / written).unlink()
    (folder.parent / "results.json").unlink()
    run(make_config(data_dir), workdir)
    assert (workdir / "results.json").read_bytes() == before


def test_shown_other_pictures_the_answer_is_another_one(data_dir):
    items = study.open_benchmark(make_config(data_dir)).items("test")
    changed = [item.answers[0] != item.twin_answers[0] for item in items]
    assert sum(changed) >= 0.9 * len(changed)
    assert all(item.pictures != item.twin_pictures for item in items)


def test_a_model_that_compared_names_must_be_described(data_dir):
    config = make_config(data_dir)
    config.compared = ("small", "medium")
    with pytest.raises(ValueError, match=r"'medium', which is in none of config\.models"):
        study.stages(config)


@pytest.mark.slow
def test_a_failing_service_is_evaluated_to_the_end_and_replayed_without_it(
    data_dir, tmp_path, monkeypatch
):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    seen = []

    def behave(body, attempt):
        said = text_of(body)
        turn = len(said) % 20 if attempt == 1 else -1
        if turn == 0:
            return 429, {"Retry-After": "0"}, {"error": {"message": "slow down"}}
        if turn == 1:
            return 500, {}, b"oh"
        if turn == 2:
            return 200, {}, b'{"choices": [{"mess'
        if turn == 3:
            return lambda handler: handler.release.wait(20)  # longer than the client waits
        seen.append(said)
        return 200, {}, completion("A" if "A. " in said else "yes")

    config = make_config(data_dir)
    config.evaluation.update(wordings=1, logprobs=False)
    config.compared = ("service",)
    with serving(behave) as server:
        quick = dict(timeout=0.5, first_wait=0.01, longest_wait=0.02)
        config.endpoints.service = common.endpoint(server.url, "gpt", patience=quick)
        run(config, tmp_path)
        assert seen
    replies = read_jsonl(tmp_path / "seed0" / "service" / PART / "replies.jsonl")
    assert {reply["state"] for reply in replies} == {"valid"}
    before = json.loads((tmp_path / "results.json").read_text())
    shutil.rmtree(tmp_path / "seed0" / "service" / "eval")
    config.endpoints.service.replay = True  # answered from the answers on disk, with no server
    run_again = tmp_path / "seed0" / "service" / "run.json"
    record = read_json(run_again)
    assert "secret" not in json.dumps(record)
    run(config, tmp_path)
    after = json.loads((tmp_path / "results.json").read_text())
    assert scores_by_method(after) == scores_by_method(before)


def scores_by_method(results):
    return {run["method"]: run["scores"] for run in results["runs"]}


def test_a_file_that_somebody_has_is_asked_about(tmp_path):
    encoded = io.BytesIO()
    Image.new("RGB", (32, 32), "blue").save(encoded, "PNG")
    picture = base64.b64encode(encoded.getvalue()).decode()
    rows = [
        ("index", "image", "question", "A", "B", "answer", "category"),
        ("7", picture, "Which colour?", "red", "blue", "B", "colours"),
        ("9", "7", "How many?", "", "", "3", ""),
    ]
    file = tmp_path / "mine.tsv"
    file.write_text("".join("\t".join(row) + "\n" for row in rows))
    config = folders.get_config()
    config.benchmark.update(file=str(file), data_dir=str(tmp_path / "data"))
    study.prepare(config)
    run(config, tmp_path / "runs")
    for method, expected in (("oracle", 1.0), ("random", None)):
        found = cells_of(tmp_path / "runs", method)
        assert set(found) == {
            ("mine", "single", "colours"),
            ("mine", "single", "uncategorised"),
        }
        assert expected is None or {score["value"] for score in found.values()} == {expected}
    file.write_text(file.read_text().replace("How many?", "How many are there?"))
    with pytest.raises(FileNotFoundError, match=r"mine\.tsv: not imported yet, or changed since"):
        study.open_benchmark(config)
