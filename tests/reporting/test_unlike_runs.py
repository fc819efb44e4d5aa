"""Runs that were evaluated under other conditions never stand in one table."""

import json

import pytest

from mllm.reporting import collect, terminal_table, write_report


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"protocol": "paper"}, "protocol is 'paper', theirs is 'watch'"),
        ({"manifest": {"protocol": {"limit": 32}}}, "manifest.protocol.limit is 32, theirs is 16"),
        ({"manifest": {"shots": 2}}, "manifest.shots is 2, theirs is 'nothing'"),
        ({"data_fingerprint": "cd" * 32}, "data_fingerprint is 'cdcd"),
    ],
)
def test_the_odd_run_is_left_out_by_name(tmp_path, write, report, change, reason):
    for method in ("lookout", "small"):
        write(tmp_path, method)
    write(tmp_path, "large", **change)
    paths = write_report(tmp_path, report)
    sweep = collect(tmp_path, report.layout)
    assert [run.method for run in sweep.runs] == ["lookout", "small"]
    (problem,) = sweep.problems
    assert problem.name == "large-seed0" and reason in problem.reason
    merged = json.loads(paths["results"].read_text())
    assert [run["method"] for run in merged["runs"]] == ["lookout", "small"]
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


def test_a_run_without_a_manifest_does_not_stand_with_those_that_have_one(tmp_path, write, report):
    write(tmp_path, "lookout")
    folder = write(tmp_path, "large")
    (folder / "eval/watch/manifest.json").unlink()
    sweep = collect(tmp_path, report.layout)
    assert [run.method for run in sweep.runs] == ["lookout"]
    assert "manifest.protocol.limit is 'nothing', theirs is 16" in sweep.problems[0].reason


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
