"""Runs that were evaluated under other conditions never stand in one table."""

import dataclasses
import json
import shutil

import pytest

from mllm.reporting import collect, terminal_table, write_report
from tests.sealing import seal_results


@pytest.mark.parametrize(
    ("change", "reason", "own"),
    [
        ({"protocol": "paper"}, "protocol is 'paper', theirs is 'watch'", "paper"),
        (
            {"manifest": {"protocol": {"limit": 32}}},
            "manifest.protocol.limit is 32, theirs is 16",
            "watch@",
        ),
        ({"manifest": {"shots": 2}}, "manifest.shots is 2, theirs is 'nothing'", "watch@"),
        ({"manifest": {"scoring": {"rule": "last"}}}, "manifest.scoring.rule is 'last'", "watch@"),
        ({"data_fingerprint": "cd" * 32}, "data_fingerprint is 'cdcd", None),
    ],
)
def test_the_odd_run_is_left_out_by_name(tmp_path, write, report, change, reason, own):
    """Scores of the same data stand under a name of their own; those of other data nowhere."""
    for method in ("lookout", "small"):
        write(tmp_path, method)
    write(tmp_path, "large", **change)
    paths = write_report(tmp_path, report)
    sweep = collect(tmp_path, report.layout)
    assert [run.method for run in sweep.runs] == ["lookout", "small"]
    (problem,) = sweep.problems
    assert problem.name == "large-seed0" and reason in problem.reason
    merged = json.loads(paths["results"].read_text())
    rows, others = merged["runs"][:2], merged["runs"][2:]
    assert [(run["method"], run["protocol"]) for run in rows] == [
        ("lookout", "watch"),
        ("small", "watch"),
    ]
    assert [run["method"] for run in others] == ["large"] * (own is not None)
    assert all(run["protocol"].startswith(own) for run in others)
    assert all(run["conditions"] != rows[0]["conditions"] or own == "paper" for run in others)
    assert "large-seed0" not in paths["csv"].read_text()
    assert "Large" not in paths["latex"].read_text()
    for text in (paths["html"].read_text(), paths["markdown"].read_text().replace("\\", "")):
        assert "large-seed0" in text and "other conditions than lookout-seed0" in text
    assert "not in the tables: large-seed0" in terminal_table(tmp_path, report)


def test_equally_frequent_kinds_keep_the_one_that_leads_the_tables(tmp_path, write, report):
    write(tmp_path, "lookout")
    write(tmp_path, "large", manifest={"protocol": {"limit": 32}})
    sweep = collect(tmp_path, report.layout)
    assert [run.method for run in sweep.runs] == ["lookout"]
    assert [problem.name for problem in sweep.problems] == ["large-seed0"]


def test_what_belongs_to_the_model_may_differ(tmp_path, write, report):
    write(tmp_path, "lookout", manifest={"answerer": {"processor": "a"}})
    write(tmp_path, "large", manifest={"answerer": {"processor": "b"}})
    assert collect(tmp_path, report.layout).problems == ()


def test_a_run_without_its_manifest_is_left_out(tmp_path, write, report):
    write(tmp_path, "lookout")
    folder = write(tmp_path, "large")
    (folder / "eval/watch/port_north/manifest.json").unlink()
    sweep = collect(tmp_path, report.layout)
    assert [run.method for run in sweep.runs] == ["lookout"]
    assert "manifest.json: no such file" in sweep.problems[0].reason


def evaluated_again(folder, name: str, **conditions) -> None:
    """Add a second evaluation of a run, under other conditions and with other scores."""
    shutil.copytree(folder / "eval/watch", folder / "eval" / name)
    path = folder / "eval" / name / "results.json"
    results = json.loads(path.read_text())
    (entry,) = results["runs"]
    for score in entry["scores"]:
        score.update(value=0.125, ci95=[0.0, 0.25])
    entry["protocol"] = name
    path.write_text(json.dumps(results))
    manifest = path.parent / entry["made_from"]["part"] / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **conditions}))
    seal_results(path)


def test_a_second_evaluation_stands_in_a_table_of_its_own(tmp_path, write, report):
    """Whatever differs, the rows of the first are unchanged and the second carries another name."""
    for method in ("lookout", "large"):
        folder = write(tmp_path, method)
    before = json.loads(write_report(tmp_path, report)["results"].read_text())["runs"]
    evaluated_again(folder, "watch@12345678", protocol={"limit": 32})
    evaluated_again(folder, "watch-int8")
    evaluated_again(folder, "paper", protocol={"limit": 32})
    paths = write_report(tmp_path, report)
    after = json.loads(paths["results"].read_text())["runs"]
    assert after[:2] == before and collect(tmp_path, report.layout).problems == ()
    others = {run["protocol"].partition("@")[0]: run for run in after[2:]}
    assert len(after) == 5 and set(others) == {"watch", "watch-int8", "paper"}
    assert len({run["protocol"] for run in after}) == 4
    assert others["watch"]["conditions"]["protocol"] == {"limit": 32}
    assert {score["value"] for run in after[2:] for score in run["scores"]} == {0.125}
    page = paths["html"].read_text()
    for run in after[2:]:
        assert f"Port of north, protocol {run['protocol']}" in page
    told = terminal_table(tmp_path, report, width=200)
    assert (
        f"in a table of its own: large-seed0, protocol {others['watch']['protocol']} "
        "(manifest.protocol.limit is 32, theirs is 16)"
    ) in told
    assert "large-seed0, protocol watch-int8\n" in told
    assert page.count("12.5") >= 3 * 6 and "12.5" not in terminal_table(tmp_path, report)


def test_the_options_of_most_runs_make_the_tables(tmp_path, write, report):
    """Also where a run was evaluated under other options first."""
    for method in ("lookout", "small"):
        write(tmp_path, method)
    folder = write(tmp_path, "large", manifest={"protocol": {"limit": 32}})
    evaluated_again(folder, "watch@12345678", protocol={"limit": 16})
    sweep = collect(tmp_path, report.layout)
    assert [run.method for run in sweep.runs] == ["lookout", "small", "large"]
    assert {run.protocol for run in sweep.runs} == {"watch"} and not sweep.problems
    assert sweep.runs[2].scores[0]["value"] == 0.125
    (other,) = sweep.others
    assert other.manifest["protocol"] == {"limit": 32} and other.protocol.startswith("watch@")


def test_equal_evaluations_of_a_run_count_once(tmp_path, write, report):
    for method in ("lookout", "large"):
        folder = write(tmp_path, method)
    evaluated_again(folder, "watch@12345678")
    sweep = collect(tmp_path, report.layout)
    assert [run.records_path.parts[-3] for run in sweep.runs] == ["watch", "watch"]
    assert not sweep.others and sweep.comparisons[0].seeds == 1


def test_a_second_evaluation_in_what_rows_may_differ_in_is_left_out_by_name(
    tmp_path, write, report
):
    layout = dataclasses.replace(report.layout, own_keys=(*report.layout.own_keys, "reading"))
    write(tmp_path, "lookout", manifest={"reading": "all"})
    folder = write(tmp_path, "large", manifest={"reading": "titles"})
    evaluated_again(folder, "watch@12345678", reading="pictures")
    sweep = collect(tmp_path, layout)
    assert [run.method for run in sweep.runs] == ["lookout", "large"] and not sweep.others
    assert sweep.runs[1].scores[0]["value"] != 0.125
    (problem,) = sweep.problems
    assert problem.name == "large-seed0" and "objective.variant" in problem.reason
    assert "manifest.reading is 'pictures', theirs is 'titles'" in problem.reason


@pytest.mark.parametrize("protocol", ["paper", "watch-int8", "watch@12345678"])
def test_a_study_evaluated_under_another_protocol_alone_has_tables(
    tmp_path, write, report, protocol
):
    for method in ("lookout", "large", "small"):
        folder = write(tmp_path, method)
        if method != "small":
            evaluated_again(folder, protocol)
        shutil.rmtree(folder / "eval/watch")
    sweep = collect(tmp_path, report.layout)
    shown = protocol.partition("@")[0]
    assert [(run.method, run.protocol) for run in sweep.runs] == [
        ("lookout", shown),
        ("large", shown),
    ]
    (problem,) = sweep.problems
    assert problem.name == "small-seed0" and f"eval/{shown}/results.json" in problem.reason
    (comparison,) = sweep.comparisons
    under = "" if shown == "watch" else f", protocol {shown}"
    assert comparison.heading == f"Port of north{under}"
    assert "12.5" in terminal_table(tmp_path, report)


def test_groups_may_be_evaluated_under_options_of_their_own(tmp_path, write, report):
    for port, shots in (("north", 1), ("south", 2)):
        for method in ("lookout", "large"):
            write(tmp_path, method, name=f"{method}-{port}", port=port, manifest={"shots": shots})
    write(tmp_path, "small", name="odd", port="south", manifest={"shots": 1})
    sweep = collect(tmp_path, report.layout)
    assert [one.group for one in sweep.comparisons] == ["north", "south"]
    assert [len(one.keys) for one in sweep.comparisons] == [2, 2]
    (problem,) = sweep.problems
    assert problem.name == "odd" and "manifest.shots is 1, theirs is 2" in problem.reason
