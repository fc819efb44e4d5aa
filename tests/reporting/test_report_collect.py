"""Reading run folders: what is merged, what is listed as missing, what is refused."""

import json

import pytest

from mllm.reporting import collect, write_report
from mllm.reporting.collect import read_metrics


def test_results_hold_every_score_unchanged(reported):
    workdir, paths = reported
    merged = json.loads(paths["results"].read_text())
    assert set(merged) == {"schema", "benchmark", "runs", "environment"}
    assert merged["schema"] == 1 and merged["benchmark"] == "mllmu"
    assert merged["environment"]["jax"] == "0.10.2"
    for run in merged["runs"]:
        folder = workdir / f"{run['method']}-seed{run['seed']}"
        own = json.loads((folder / "eval/strict/results.json").read_text())["runs"][0]
        assert run["scores"] == own["scores"]
        assert run["checkpoint_digest"] == own["checkpoint_digest"]
    assert [run["method"] for run in merged["runs"][:3]] == ["base", "vanilla", "retain_only"]


def test_results_hold_a_run_under_each_protocol(tmp_path, write, small_profiles):
    folder = write(tmp_path, "vanilla", profiles=small_profiles)
    results = json.loads((folder / "eval/strict/results.json").read_text())
    (entry,) = results["runs"]
    scores = [score for score in entry["scores"] if score["metric"] == "accuracy_parsed"]
    results["runs"] = [{**entry, "protocol": "paper", "scores": scores}]
    (folder / "eval/paper").mkdir()
    (folder / "eval/paper/results.json").write_text(json.dumps(results))
    paths = write_report(tmp_path, portraits={})
    strict, paper = json.loads(paths["results"].read_text())["runs"]
    assert (strict["protocol"], paper["protocol"]) == ("strict", "paper")
    assert strict["scores"] == entry["scores"] and paper["scores"] == scores
    assert [run.protocol for run in collect(tmp_path).runs] == ["strict"]


@pytest.mark.parametrize(
    ("change", "message"),
    [({"data_fingerprint": "cd" * 32}, "data_fingerprint"), ({"protocol": "paper"}, "protocol")],
)
def test_unlike_runs_are_refused_by_name(tmp_path, write, small_profiles, change, message):
    write(tmp_path, "vanilla", profiles=small_profiles)
    write(tmp_path, "npo", profiles=small_profiles, **change)
    with pytest.raises(ValueError, match=message) as error:
        write_report(tmp_path, portraits={})
    assert "vanilla-seed0" in str(error.value) and "npo-seed0" in str(error.value)
    assert not (tmp_path / "results.json").exists()


def test_missing_runs_are_listed_with_their_reason(tmp_path, write, small_profiles):
    write(tmp_path, "vanilla", profiles=small_profiles)
    write(tmp_path, "ga", profiles=small_profiles, status="running")
    broken = write(tmp_path, "npo", profiles=small_profiles)
    (broken / "run.json").write_text('{"schema": 1, "method"')
    unevaluated = write(tmp_path, "kl_min", profiles=small_profiles)
    (unevaluated / "eval/strict/results.json").unlink()
    stale = write(tmp_path, "grad_diff", profiles=small_profiles)
    record = json.loads((stale / "run.json").read_text())
    (stale / "run.json").write_text(json.dumps({**record, "checkpoint_digest": "00"}))
    paths = write_report(tmp_path, portraits={})
    merged = json.loads(paths["results"].read_text())
    assert [run["method"] for run in merged["runs"]] == ["vanilla"]
    reasons = {problem.name: problem.reason for problem in collect(tmp_path).problems}
    assert "'running'" in reasons["ga-seed0"]
    assert "not JSON" in reasons["npo-seed0"]
    assert "experiments.evaluate" in reasons["kl_min-seed0"]
    assert "another checkpoint" in reasons["grad_diff-seed0"]
    for kind in ("html", "markdown"):
        text = paths[kind].read_text().replace("\\", "")
        assert all(name in text for name in reasons)


def test_a_score_that_is_no_number_makes_the_run_unreadable(tmp_path, write, small_profiles):
    folder = write(tmp_path, "vanilla", profiles=small_profiles)
    path = folder / "eval/strict/results.json"
    results = json.loads(path.read_text())
    results["runs"][0]["scores"][3]["value"] = float("nan")
    path.write_text(json.dumps(results))
    (problem,) = collect(tmp_path).problems
    assert "score 3" in problem.reason and "finite" in problem.reason


def test_a_score_without_value_or_interval_is_shown_as_a_dash(tmp_path, write, small_profiles):
    for method in ("vanilla", "retain_only", "npo", "ga"):
        folder = write(tmp_path, method, profiles=small_profiles, replies=False)
        path = folder / "eval/strict/results.json"
        results = json.loads(path.read_text())
        for score in results["runs"][0]["scores"]:
            score["ci95"] = [None, None]
            if score["modality"] == "text" or score["set"] == "celebrity":
                score["value"] = None
        path.write_text(json.dumps(results))
    paths = write_report(tmp_path, portraits={})
    assert collect(tmp_path).problems == ()
    assert "nan" not in paths["markdown"].read_text()
    assert paths["csv"].read_text().count(",,,") > 0


def test_base_is_evaluated_on_several_splits_from_one_folder(tmp_path, write, small_profiles):
    folder = write(tmp_path, "base", profiles=small_profiles)
    path = folder / "eval/strict/results.json"
    results = json.loads(path.read_text())
    (entry,) = results["runs"]
    results["runs"] = [{**entry, "forget": split} for split in (5, 15)]
    path.write_text(json.dumps(results))
    for split in (5, 15):
        (path.parent / f"forget_{split}").mkdir()
    replies = path.parent / "replies.jsonl"
    replies.rename(path.parent / "forget_15" / "replies.jsonl")
    first, second = collect(tmp_path).runs
    assert (first.forget, second.forget) == (5, 15)
    assert not first.replies_path.exists() and second.replies_path.exists()
    page = write_report(tmp_path, portraits={})["html"].read_text()
    assert page.count('id="run-base-seed0"') == 1 and "5%, 15%" in page


def test_a_folder_without_finished_runs_still_gets_a_report(tmp_path, write, small_profiles):
    write(tmp_path, "ga", profiles=small_profiles, status="running")
    paths = write_report(tmp_path)
    assert json.loads(paths["results"].read_text())["runs"] == []
    assert "ga-seed0" in paths["html"].read_text()
    with pytest.raises(FileNotFoundError, match=r"run\.json"):
        write_report(tmp_path / "figures")


def test_same_method_and_seed_are_told_apart_or_refused(tmp_path, write, small_profiles):
    write(tmp_path, "npo", profiles=small_profiles, name="a", config={"objective": {"beta": 0.1}})
    write(tmp_path, "npo", profiles=small_profiles, name="b", config={"objective": {"beta": 0.4}})
    assert [run.variant for run in collect(tmp_path).runs] == ["beta=0.1", "beta=0.4"]
    write(tmp_path, "npo", profiles=small_profiles, name="c", config={"objective": {"beta": 0.4}})
    with pytest.raises(ValueError, match="b and c"):
        collect(tmp_path)


def test_published_weights_stand_among_the_runs_and_in_no_table(tmp_path, write, small_profiles):
    write(tmp_path, "vanilla", profiles=small_profiles)
    name, command = "pretrained-seed0", "python -m experiments.sweep --config weights.py"
    folder = write(tmp_path, "vanilla", profiles=small_profiles, name=name, command=command)
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**record, "method": "pretrained"}))
    (folder / "eval/strict/results.json").unlink()
    sweep = collect(tmp_path)
    assert sweep.problems == () and [run.method for run in sweep.runs] == ["vanilla"]
    assert [run.method for run in sweep.weights] == ["pretrained"]
    paths = write_report(tmp_path, portraits={})
    assert [run["method"] for run in json.loads(paths["results"].read_text())["runs"]] == [
        "vanilla"
    ]
    page = paths["html"].read_text()
    assert page.count(">Pretrained<") == 1 and command in page
    assert name in paths["markdown"].read_text().replace("\\", "")


def test_metrics_of_a_resumed_run_count_once(tmp_path, write, small_profiles):
    folder = write(tmp_path, "npo", profiles=small_profiles)
    lines = [
        {"step": 1, "time": 0.1, "loss": 5.0},
        {"step": 2, "time": 0.2, "loss": 9.0},
        {"step": 2, "time": 0.4, "loss": 4.0, "kl": float("inf")},
    ]
    text = "\n".join(json.dumps(line) for line in lines) + '\n{"step": 3, "lo'
    (folder / "metrics.jsonl").write_text(text)
    (run,) = collect(tmp_path).runs
    assert read_metrics(run) == {"loss": ([1.0, 2.0], [5.0, 4.0])}
