"""Reading run folders: what is merged, what is listed as missing, what is refused."""

import dataclasses
import json
import shutil

import pytest

from mllm.reporting import benchmark_name, collect, write_report
from mllm.reporting.charts import Curve
from mllm.reporting.runs import read_metrics
from mllm.reporting.section import Drawing, Paragraph, every
from mllm.reporting.standard import curves_section
from tests.sealing import seal_results


def test_results_hold_a_run_under_each_protocol(tmp_path, write, report):
    folder = write(tmp_path, "lookout")
    results = json.loads((folder / "eval/watch/results.json").read_text())
    (entry,) = results["runs"]
    scores = entry["scores"][:2]
    results["runs"] = [{**entry, "protocol": "paper", "scores": scores}]
    shutil.copytree(folder / "eval/watch", folder / "eval/paper")
    (folder / "eval/paper/results.json").write_text(json.dumps(results))
    seal_results(folder / "eval/paper/results.json")
    paths = write_report(tmp_path, report)
    watch, paper = json.loads(paths["results"].read_text())["runs"]
    assert (watch["protocol"], paper["protocol"]) == ("watch", "paper")
    assert watch["scores"] == entry["scores"] and paper["scores"] == scores
    assert [run.protocol for run in collect(tmp_path, report.layout).runs] == ["watch"]


def test_missing_runs_are_listed_with_their_reason(tmp_path, write, report):
    write(tmp_path, "lookout")
    write(tmp_path, "small", status="running")
    broken = write(tmp_path, "large")
    (broken / "run.json").write_text('{"schema": 1, "method"')
    unevaluated = write(tmp_path, "coastguard")
    (unevaluated / "eval/watch/results.json").unlink()
    lost = write(tmp_path, "random")
    (lost / "run.json").unlink()
    stale = write(tmp_path, "pilot")
    record = json.loads((stale / "run.json").read_text())
    (stale / "run.json").write_text(json.dumps({**record, "checkpoint_digest": "00"}))
    paths = write_report(tmp_path, report)
    merged = json.loads(paths["results"].read_text())
    assert [run["method"] for run in merged["runs"]] == ["lookout"]
    reasons = {
        problem.name: problem.reason for problem in collect(tmp_path, report.layout).problems
    }
    assert "'running'" in reasons["small-seed0"]
    assert "not JSON" in reasons["large-seed0"]
    assert "experiments.evaluate" in reasons["coastguard-seed0"]
    assert "another checkpoint" in reasons["pilot-seed0"]
    assert reasons["random-seed0"] == f"{lost / 'run.json'}: no such file"
    for kind in ("html", "markdown"):
        text = paths[kind].read_text().replace("\\", "")
        assert all(name in text for name in reasons)


def test_a_score_that_is_not_a_number_makes_the_run_unreadable(tmp_path, write, report):
    folder = write(tmp_path, "lookout")
    path = folder / "eval/watch/results.json"
    results = json.loads(path.read_text())
    results["runs"][0]["scores"][3]["value"] = float("nan")
    path.write_text(json.dumps(results))
    (problem,) = collect(tmp_path, report.layout).problems
    assert "score 3" in problem.reason and "finite" in problem.reason


def test_a_score_without_value_or_interval_is_shown_as_a_dash(tmp_path, write, report):
    for method in ("lookout", "large", "small"):
        folder = write(tmp_path, method, replies=False)
        path = folder / "eval/watch/results.json"
        results = json.loads(path.read_text())
        for score in results["runs"][0]["scores"]:
            score["ci95"] = [None, None]
            if score["signal"] == "flags" or score["weather"] == "fog":
                score["value"] = None
        path.write_text(json.dumps(results))
        seal_results(path)
    paths = write_report(tmp_path, report)
    assert collect(tmp_path, report.layout).problems == ()
    assert "nan" not in paths["markdown"].read_text()
    assert paths["csv"].read_text().count(",,,") > 0


def test_a_run_is_evaluated_for_several_groups_from_one_folder(tmp_path, write, report):
    folder = write(tmp_path, "oracle")
    path = folder / "eval/watch/results.json"
    results = json.loads(path.read_text())
    (entry,) = results["runs"]
    results["runs"] = [
        {**entry, "port": port, "made_from": {"part": f"port_{port}"}}
        for port in ("north", "south")
    ]
    path.write_text(json.dumps(results))
    shutil.copytree(path.parent / "port_north", path.parent / "port_south")
    (path.parent / "port_north" / "records.jsonl").unlink()
    seal_results(path)
    first, second = collect(tmp_path, report.layout).runs
    assert (first.group, second.group) == ("north", "south")
    assert not first.records_path.exists() and second.records_path.exists()
    page = write_report(tmp_path, report)["html"].read_text()
    assert page.count('id="run-oracle-seed0"') == 1 and "north, south" in page


def test_a_folder_without_finished_runs_still_gets_a_report(tmp_path, write, report):
    write(tmp_path, "small", status="running")
    paths = write_report(tmp_path, report)
    assert json.loads(paths["results"].read_text())["runs"] == []
    assert "small-seed0" in paths["html"].read_text()
    with pytest.raises(FileNotFoundError, match=r"run\.json"):
        write_report(tmp_path / "figures", report)


def test_runs_of_one_method_and_seed_are_distinguished_or_refused(tmp_path, write, report):
    write(tmp_path, "large", name="a", config={"objective": {"beta": 0.1}})
    write(tmp_path, "large", name="b", config={"objective": {"beta": 0.4}})
    assert [run.variant for run in collect(tmp_path, report.layout).runs] == [
        "beta=0.1",
        "beta=0.4",
    ]
    write(tmp_path, "large", name="c", config={"objective": {"beta": 0.4}})
    with pytest.raises(ValueError, match="b and c"):
        collect(tmp_path, report.layout)


def test_runs_that_the_configuration_names_keep_their_names(tmp_path, write, report):
    for seed in (0, 1):
        for variant in ("", "text"):
            config = {"objective": {"variant": variant}, "modality": variant or "both"}
            write(tmp_path, "large", name=f"{variant}{seed}", seed=seed, config=config)
    found = [(run.variant, run.seed) for run in collect(tmp_path, report.layout).runs]
    assert sorted(found) == [("", 0), ("", 1), ("text", 0), ("text", 1)]


def test_weights_without_scores_stand_among_the_runs_and_in_no_table(tmp_path, write, report):
    write(tmp_path, "lookout")
    name, command = "charts-seed0", "python -m experiments.sweep --config weights.py"
    folder = write(tmp_path, "lookout", name=name, command=command)
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**record, "method": "charts"}))
    (folder / "eval/watch/results.json").unlink()
    sweep = collect(tmp_path, report.layout)
    assert sweep.problems == () and [run.method for run in sweep.runs] == ["lookout"]
    assert [run.method for run in sweep.weights] == ["charts"]
    paths = write_report(tmp_path, report)
    assert [run["method"] for run in json.loads(paths["results"].read_text())["runs"]] == [
        "lookout"
    ]
    page = paths["html"].read_text()
    assert page.count(">charts<") == 1 and command in page
    assert name in paths["markdown"].read_text().replace("\\", "")


def test_metrics_of_a_resumed_run_count_once(tmp_path, write, report):
    folder = write(tmp_path, "large")
    lines = [
        {"step": 1, "time": 0.1, "loss": 5.0},
        {"step": 2, "time": 0.2, "loss": 9.0},
        {"step": 2, "time": 0.4, "loss": 4.0, "kl": float("inf")},
    ]
    text = "\n".join(json.dumps(line) for line in lines) + '\n{"step": 3, "lo'
    (folder / "metrics.jsonl").write_text(text)
    (run,) = collect(tmp_path, report.layout).runs
    assert read_metrics(run) == {"loss": ([1.0, 2.0], [5.0, 4.0])}


def test_the_runs_name_their_benchmark(tmp_path, write):
    broken = write(tmp_path, "large", name="a", config={})
    with pytest.raises(ValueError, match=r"a/run\.json: key config\.benchmark\.name is missing"):
        benchmark_name(tmp_path)
    write(tmp_path, "large", name="b")
    assert benchmark_name(tmp_path) == "signals"
    (broken / "run.json").write_text("{")
    assert benchmark_name(tmp_path) == "signals"


def test_damaged_metrics_are_named_and_the_report_is_written(tmp_path, write, report):
    for method in ("lookout", "small", "large"):
        folder = write(tmp_path, method)
        lines = [json.dumps({"step": step, "loss": 1 / step}) for step in (1, 2)]
        tails = {"small": "\n{}\0\0\n" + lines[0], "large": '\n{"step": NaN, "loss": NaN}\n{"st'}
        (folder / "metrics.jsonl").write_text("\n".join(lines) + tails.get(method, "\n"))
    sweep = collect(tmp_path, report.layout)
    section = curves_section(sweep, {"loss": Curve("loss")}, "")
    (drawing,) = every(section.blocks, Drawing)
    assert [panel.text for panel in drawing.panels] == [
        "Training curves of Human lookout, seed 0",
        "Training curves of Large, seed 0",
    ]
    (note,) = every(section.blocks, Paragraph)
    assert "small-seed0" in note.text and "metrics.jsonl, line 3: not JSON" in note.text
    assert str(tmp_path) not in note.text


def test_a_data_set_that_cannot_be_opened_is_named(tmp_path, write, report):
    write(tmp_path, "lookout")

    def damaged(section):
        raise ValueError("signals/train.array_record: was changed after it was written")

    broken = dataclasses.replace(report, open_benchmark=damaged)
    page = write_report(tmp_path, broken)["html"].read_text()
    assert "cannot be opened" in page and "train.array_record: was changed" in page


def test_linked_runs_are_found_and_each_one_once(tmp_path, write, report):
    """Links to runs, to studies, to the workdir itself, to a run of it, and in a circle."""
    elsewhere, workdir = tmp_path / "scratch", tmp_path / "work"
    write(workdir, "lookout")
    moved = write(elsewhere, "small", name="moved")
    write(elsewhere / "study", "large", name="seed0/large")
    (workdir / "linked_run").symlink_to(moved)
    (workdir / "linked_study").symlink_to(elsewhere / "study", target_is_directory=True)
    (workdir / "again").symlink_to(workdir / "lookout-seed0")
    (workdir / "circle").symlink_to(workdir)
    (elsewhere / "study" / "back").symlink_to(elsewhere)
    (workdir / "nowhere").symlink_to(tmp_path / "nowhere")
    linked = tmp_path / "runs"
    linked.symlink_to(workdir)
    for place in (workdir, linked):
        runs = {run.method: run.name for run in collect(place, report.layout).runs}
        assert runs == {
            "lookout": "lookout-seed0",
            "small": "linked_run",
            "large": "linked_study/seed0/large",
        }
        merged = json.loads(write_report(place, report)["results"].read_text())
        assert [run["method"] for run in merged["runs"]] == ["lookout", "small", "large"]
