"""The tables: their numbers, and the marks for best and for not distinguishable."""

import csv
import io
import json
import re
import zlib

import numpy as np
import pytest

from mllm.benchmarks.mllmu.report import REPORT
from mllm.benchmarks.mllmu.report.finding import finding, headline_reason
from mllm.benchmarks.mllmu.report.marks import best
from mllm.benchmarks.mllmu.report.tradeoff import tradeoff_points
from mllm.benchmarks.mllmu.scores import SETS, Place, score_replies
from mllm.evaluation.crossed import crossed_means
from mllm.evaluation.statistics import central_interval
from mllm.files import read_jsonl
from mllm.reporting import collect, paired, terminal_table
from mllm.reporting.tables import all_tables, headline_tables
from tests.sealing import seal_results

CELL = ("forget", "classification", "text", "accuracy_text")
COLUMNS = [(name, modality) for name in SETS for modality in ("image_text", "text")]
LAYOUT = REPORT.layout
KEPT = ("retain", "classification", "text", "accuracy_text")


def comparison_of(folder):
    (comparison,) = runs_of(folder).comparisons
    return comparison


def runs_of(folder):
    return collect(folder, REPORT.layout)


def like_vanilla(comparison, method, cell):
    return comparison.alike((method, ""), ("vanilla", ""), cell)


def set_score(folder, cell, value, interval):
    """Rewrites one score of a run and drops its replies, so that only intervals remain."""
    path = folder / "eval/strict/results.json"
    results = json.loads(path.read_text())
    for score in results["runs"][0]["scores"]:
        if (score["set"], score["task"], score["modality"], score["metric"]) == cell:
            score.update(value=value, ci95=interval)
    path.write_text(json.dumps(results))
    for records in path.parent.glob("*/records.jsonl"):
        records.unlink()
    seal_results(path)


def test_tables_and_csv_hold_the_numbers_of_the_results(reported):
    workdir, paths = reported
    merged = json.loads(paths["results"].read_text())
    known = {
        (run["method"], score["set"], score["task"], score["modality"], score["metric"]): score
        for run in merged["runs"]
        for score in run["scores"]
    }
    comparison = comparison_of(workdir)
    assert [table.metric for table in headline_tables(comparison)] == [
        "accuracy_text", "exact", "rougeL",
    ]  # fmt: skip
    assert len(all_tables(comparison)) == 9
    task_of = {key[4]: key[2] for key in known}
    for table in all_tables(comparison):
        assert table.rows[0].kind == "chance"
        for row in table.rows[1:]:
            for (name, modality), entry in zip(COLUMNS, row.entries, strict=True):
                score = known[row.key[0], name, task_of[table.metric], modality, table.metric]
                assert entry.value == pytest.approx(score["value"])
                assert [entry.low, entry.high] == pytest.approx(score["ci95"])
    lines = list(csv.DictReader(io.StringIO(paths["csv"].read_text())))
    assert len(lines) == len(known)
    for line in lines:
        key = tuple(line[name] for name in ("method", "set", "task", "modality", "metric"))
        assert float(line["value"]) == known[key]["value"]


def test_chance_is_a_quarter_for_multiple_choice_only(reported):
    choice, cloze, _ = headline_tables(comparison_of(reported[0]))
    assert {entry.value for entry in choice.rows[0].entries} == {0.25}
    assert {entry.value for entry in cloze.rows[0].entries} == {None}


def test_replies_are_scored_as_in_the_results(reported):
    for run in runs_of(reported[0]).runs[:2]:
        answers = paired.read_answers(run, LAYOUT)
        metrics = {cell[3] for cell in answers}
        choice = {"accuracy_text", "accuracy_letter", "accuracy_parsed"}
        assert choice | {"exact", "substring"} <= metrics


def test_replies_that_disagree_with_the_results_are_not_paired(tmp_path, write, small_profiles):
    folder = write(tmp_path, "vanilla", profiles=small_profiles)
    path = folder / "eval/strict/forget_15/records.jsonl"
    path.write_text("\n".join(path.read_text().splitlines()[:-40]) + '\n{"cut')
    seal_results(folder / "eval/strict/results.json")
    (run,) = runs_of(tmp_path).runs
    answers = paired.read_answers(run, LAYOUT)
    assert CELL in answers
    assert ("celebrity", *CELL[1:]) not in answers


def test_every_metric_pairs_where_the_results_come_from_the_replies(tmp_path, write):
    profiles = {"forget": 6, "retain": 6, "celebrity": 6}
    for method in ("vanilla", "npo"):
        path = write(tmp_path, method, profiles=profiles) / "eval/strict/results.json"
        results = json.loads(path.read_text())
        results["runs"][0]["scores"] = score_replies(
            read_jsonl(path.parent / "forget_15" / "records.jsonl")
        )
        path.write_text(json.dumps(results))
        seal_results(path)
    comparison = comparison_of(tmp_path)
    rows = [("npo", ""), ("vanilla", "")]
    cells = [LAYOUT.cell(score) for score in comparison.runs[rows[0]][0].scores]
    assert len(cells) == 4 * 2 * 9
    assert all(comparison.paired(rows, cell) for cell in cells)


def test_replies_that_cannot_be_scored_are_not_paired(tmp_path, write, small_profiles):
    folder = write(tmp_path, "vanilla", profiles=small_profiles)
    path = folder / "eval/strict/forget_15/records.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps({**row, "state": "lost"}) + "\n" for row in rows))
    seal_results(folder / "eval/strict/results.json")
    (run,) = runs_of(tmp_path).runs
    assert paired.read_answers(run, LAYOUT) == {}
    path.write_text('{"cut"\n')
    with pytest.raises(ValueError, match=r"records\.jsonl, line 1: not JSON"):
        paired.read_answers(run, LAYOUT)


def test_bootstrap_is_paired_by_profile():
    people = [Place(f"p{number}", 0, "Where?") for number in range(40)]
    ability = np.random.default_rng(1).random(40)
    first = dict(zip(people, ability.tolist(), strict=True))
    second = {place: value - 0.01 for place, value in first.items()}
    # Each score is uncertain, their difference is not.
    low, high = central_interval(paired.resample(first))
    standard_error = ability.std() / np.sqrt(40)
    assert high - low == pytest.approx(2 * 1.96 * standard_error, rel=0.1)
    draws = paired.resample(first) - paired.resample(second)
    assert central_interval(draws) == pytest.approx((0.01, 0.01))
    backwards = dict(reversed(second.items()))
    assert paired.difference(first, backwards)[:3] == pytest.approx((0.01, 0.01, 0.01))


def test_a_difference_has_the_interval_of_the_subtracted_draws():
    people = [Place(f"p{number % 9}", number, "Where?") for number in range(27)]
    draw = np.random.default_rng(2).random
    first, second = (dict(zip(people, draw(27).tolist(), strict=True)) for _ in range(2))
    interval = central_interval(paired.resample(first) - paired.resample(second))
    assert paired.difference(first, second)[1:3] == pytest.approx(interval)


def test_few_profiles_allow_no_claim():
    answers = {Place(f"p{number}", 0, "Where?"): 1.0 for number in range(6)}
    assert paired.resample(answers) is not None
    del answers[Place("p0", 0, "Where?")]
    assert paired.resample(answers) is None and not paired.enough(answers)


def test_equal_runs_are_like_vanilla_and_none_is_best(tmp_path, write, small_profiles):
    for method in ("vanilla", "retain_only", "ga", "npo"):
        folder = write(tmp_path, method, profiles=small_profiles)
        set_score(folder, CELL, 0.5, [0.4, 0.6])
    comparison = comparison_of(tmp_path)
    assert best(comparison, CELL) is None
    assert like_vanilla(comparison, "npo", CELL)


def test_best_is_nearest_to_retain_only_and_distinguishable_from_every_other(
    tmp_path, write, small_profiles
):
    values = {
        "vanilla": (0.97, [0.96, 0.98]),
        "retain_only": (0.26, [0.25, 0.27]),
        "ga": (0.02, [0.01, 0.03]),
        "npo": (0.28, [0.27, 0.29]),
        "kl_min": (0.60, [0.58, 0.62]),
    }
    for method, (value, interval) in values.items():
        set_score(write(tmp_path, method, profiles=small_profiles), CELL, value, interval)
    comparison = comparison_of(tmp_path)
    # GA is lower, but it answers below chance: further from a model that never saw the people.
    assert best(comparison, CELL) == ("npo", "")
    set_score(tmp_path / "npo-seed0", CELL, 0.28, [0.05, 0.51])
    assert best(comparison_of(tmp_path), CELL) is None


def test_a_method_that_does_not_forget_does_not_win_utility(tmp_path, write, small_profiles):
    values = {
        "vanilla": (0.97, 0.97), "prompting": (0.97, 0.97), "npo": (0.3, 0.9), "ga": (0.3, 0.5),
    }  # fmt: skip
    for method, (forget, retain) in values.items():
        folder = write(tmp_path, method, profiles=small_profiles)
        set_score(folder, CELL, forget, [forget - 0.01, forget + 0.01])
        set_score(folder, KEPT, retain, [retain - 0.01, retain + 0.01])
    assert best(comparison_of(tmp_path), KEPT) == ("npo", "")


def test_paired_marks_of_the_synthetic_sweep(reported):
    comparison = comparison_of(reported[0])
    assert comparison.paired([("npo", ""), ("vanilla", "")], CELL)
    assert not like_vanilla(comparison, "npo", CELL)
    assert like_vanilla(comparison, "prompting", CELL)
    value, low, high, is_paired = comparison.difference(("npo", ""), ("vanilla", ""), CELL)
    assert is_paired and low < value < high < 0


def test_seeds_are_averaged_and_each_is_a_point(tmp_path, write, small_profiles):
    for seed in (0, 1):
        for method in ("vanilla", "npo"):
            write(tmp_path, method, seed=seed, profiles=small_profiles)
    comparison = comparison_of(tmp_path)
    both = [
        score
        for run in runs_of(tmp_path).runs
        if run.method == "npo"
        for score in run.scores
        if (score["set"], score["task"], score["modality"], score["metric"]) == CELL
    ]
    entry = comparison.entry(("npo", ""), CELL)
    assert entry.value == pytest.approx((both[0]["value"] + both[1]["value"]) / 2)
    answers = [paired.read_answers(run, LAYOUT)[CELL] for run in comparison.runs["npo", ""]]
    asked = [*answers[0]]
    values = [[one[place] for place in asked] for one in answers]
    seed = zlib.crc32("\n".join(sorted({place.profile for place in asked})).encode())
    draws = crossed_means(values, [place.profile for place in asked], [0, 1], seed=seed)
    assert (entry.low, entry.high) == pytest.approx(central_interval(draws))
    points = tradeoff_points(comparison)
    assert len([p for p in points if p.method == "npo" and p.modality == "text"]) == 2


def test_forget_splits_stand_in_tables_of_their_own(tmp_path, write, small_profiles):
    for split in (5, 15):
        write(tmp_path, "npo", profiles=small_profiles, name=f"npo-{split}", forget=split)
    assert [comparison.group for comparison in runs_of(tmp_path).comparisons] == [5, 15]


def test_finding_names_the_best_and_those_that_do_not_forget(reported):
    comparison = comparison_of(reported[0])
    sentence = finding(comparison)
    assert re.match(r"Of the 5 unlearning methods, (NPO|GradDiff) has the best trade-off", sentence)
    assert "Prompting does not forget." in sentence
    assert "By letter vanilla is near chance" in headline_reason(comparison)


def test_finding_is_silent_without_vanilla(tmp_path, write, small_profiles):
    write(tmp_path, "npo", profiles=small_profiles)
    assert finding(comparison_of(tmp_path)).startswith("There is no finding yet")


def test_terminal_table_is_plain_text_of_the_asked_width(reported):
    text = terminal_table(reported[0], REPORT, width=130)
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 130
    entry = comparison_of(reported[0]).entry(("ga", ""), CELL)
    assert f"{100 * entry.value:.1f}" in text
    assert "Retain-only" in terminal_table(reported[0], REPORT, width=90)


def test_the_headlines_are_those_of_the_protocol(tmp_path, write, small_profiles):
    write(tmp_path, "vanilla", profiles=small_profiles, protocol="paper")
    comparison = comparison_of(tmp_path)
    assert [table.metric for table in headline_tables(comparison)] == [
        "accuracy_parsed",
        "substring",
        "rougeL",
    ]
    assert "first character" in headline_reason(comparison)
