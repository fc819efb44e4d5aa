"""The report of an invented benchmark: two axes, three brackets, an anchor, two models."""

import csv
import io
import json
import re

import pytest

from mllm.reporting import Layout, Report, collect, terminal_table, write_report
from mllm.reporting.tables import all_tables, headline_tables, table

ORDER = ["Oracle", "Random", "Blind", "Human lookout", "Small", "Large"]


def comparison_of(reported, report):
    (comparison,) = collect(reported[0], report.layout).comparisons
    return comparison


def test_results_name_the_axes_and_hold_every_score(reported):
    workdir, paths = reported
    merged = json.loads(paths["results"].read_text())
    assert list(merged) == ["schema", "benchmark", "axes", "runs", "environment"]
    assert merged["axes"] == ["signal", "weather"] and merged["benchmark"] == "signals"
    assert [run["method"] for run in merged["runs"]] == [
        "oracle", "random", "blind", "lookout", "small", "large",
    ]  # fmt: skip
    for run in merged["runs"]:
        own = json.loads(
            (workdir / f"{run['method']}-seed0/eval/watch/results.json").read_text()
        )  # fmt: skip
        assert run["scores"] == own["runs"][0]["scores"]
        assert run["port"] == "north"


def test_methods_make_rows_and_weathers_columns(reported, report):
    flags, lamps, horns = headline_tables(comparison_of(reported, report))
    assert [one.title for one in (flags, lamps, horns)] == [
        "Flags: signals read", "Lamps: signals read", "Horns: signals read",
    ]  # fmt: skip
    assert [column.labels for column in flags.columns] == [("Clear air",), ("Fog",)]
    assert [row.label for row in flags.rows] == ["Chance", *ORDER]
    kinds = ["chance", "bracket", "bracket", "bracket", "anchor", "method", "method"]
    assert [row.kind for row in flags.rows] == kinds
    assert [entry.value for entry in flags.rows[0].entries] == [0.5, 0.5]
    assert [entry.value for entry in flags.rows[1].entries] == [1.0, 1.0]


def test_cells_hold_the_scores_of_the_files(reported, report):
    known = {
        (run["method"], score["signal"], score["weather"]): score
        for run in json.loads(reported[1]["results"].read_text())["runs"]
        for score in run["scores"]
    }
    tables = all_tables(comparison_of(reported, report))
    assert len(tables) == 3
    for one, signal in zip(tables, ("flags", "lamps", "horns"), strict=True):
        for row in one.rows[1:]:
            for entry, weather in zip(row.entries, ("clear", "fog"), strict=True):
                score = known[row.key[0], signal, weather]
                assert entry.value == score["value"] and entry.n == score["n"]
                assert [entry.low, entry.high] == pytest.approx(score["ci95"])


def test_an_axis_makes_rows_and_methods_make_columns(reported, report):
    comparison = comparison_of(reported, report)
    grid = table(comparison, "read", {"weather": "fog"}, rows="signal", columns=("method",))
    assert [row.label for row in grid.rows] == ["Flags", "Lamps", "Horns"]
    assert [column.labels for column in grid.columns] == [(label,) for label in ORDER]
    across = table(comparison, "read", {}, rows="signal", columns=("weather", "method"))
    assert across.columns[7].labels == ("Fog", "Random")
    for row, other in zip(grid.rows, across.rows, strict=True):
        assert row.entries == other.entries[6:]
    with pytest.raises(ValueError, match="each of"):
        table(comparison, "read", {"weather": "fog"}, columns=("weather",))


def test_the_benchmark_supplies_the_marks(reported, report):
    comparison = comparison_of(reported, report)
    flags = headline_tables(comparison)[0]
    small, large = flags.rows[-2:]
    # Both differ by far more than their uncertainty on the same 30 questions of 10 ships.
    assert [entry.strong for entry in large.entries] == [True, True]
    assert not any(entry.strong for row in flags.rows[:-1] for entry in row.entries)
    assert small.entries[1].sign == ""
    for row in flags.rows[1:]:
        for entry, weather in zip(row.entries, ("clear", "fog"), strict=True):
            cell = ("flags", weather, "read")
            if row.key[0] == "lookout":
                assert entry.sign == ""
                continue
            _, low, high, paired = comparison.difference(row.key, ("lookout", ""), cell)
            assert paired and (entry.sign == "=") == (low <= 0 <= high)


def test_every_export_holds_the_tables(reported, report):
    workdir, paths = reported
    oracle = "100.0"
    terminal = terminal_table(workdir, report, width=100)
    assert "Port of north" in terminal and "Human lookout" in terminal and oracle in terminal
    assert "2 models were compared." in terminal and "= like the lookout." in terminal
    markdown = paths["markdown"].read_text()
    assert "| Method | Clear | Fog |" in markdown and "## Scores: port of north" in markdown
    latex = paths["latex"].read_text()
    assert latex.count(r"\begin{tabular}{lrr}") == 3 and "multicolumn" not in latex
    lines = list(csv.DictReader(io.StringIO(paths["csv"].read_text())))
    assert list(lines[0])[4:9] == ["port", "protocol", "signal", "weather", "metric"]
    assert len(lines) == 6 * 3 * 2
    page = paths["html"].read_text()
    assert "<title>Signals: watch</title>" in page and "Counted, not judged." in page
    assert page.count('<table class="scores">') == 6
    assert "<script" not in page and not re.search(r"https?:", page)


def test_axes_come_from_the_files_where_the_layout_has_none(reported):
    sweep = collect(reported[0])
    assert sweep.layout.axis_names == ("signal", "weather")
    (comparison,) = sweep.comparisons
    tables = headline_tables(comparison)
    assert [one.title for one in tables] == ["flags: read", "lamps: read", "horns: read"]
    assert [row.kind for row in tables[0].rows].count("bracket") == 3
    page = write_report(reported[0].parent / "watch", Report(Layout()))
    assert "flags: read" in page["html"].read_text()


def test_a_file_without_axes_needs_a_layout(tmp_path, write, report):
    write(tmp_path, "small", axes=None)
    assert len(collect(tmp_path, report.layout).runs) == 1
    (problem,) = collect(tmp_path).problems
    assert "'axes' is missing" in problem.reason
    write(tmp_path, "large", axes=("signal", "hour"))
    (problem,) = collect(tmp_path, report.layout).problems
    assert "['signal', 'hour']" in problem.reason and "['signal', 'weather']" in problem.reason
