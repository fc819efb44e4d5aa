"""The report, on invented answers by the real protocol and the real scores."""

import json
from collections import defaultdict

import numpy as np
import pytest

from mllm.benchmarks.photo.report import REPORT
from mllm.benchmarks.photo.report.ablations import ablation_section, ablations, changed
from mllm.benchmarks.photo.report.contrasts import budget, contrast_section, rivals
from mllm.benchmarks.photo.report.critiques import critique_section, critique_table, gain
from mllm.benchmarks.photo.report.dependence import dependence_section, level
from mllm.benchmarks.photo.report.finding import finding
from mllm.benchmarks.photo.report.readings import order_grid, reading_table
from mllm.benchmarks.photo.report.sections import sections
from mllm.benchmarks.photo.report.study import Study
from mllm.benchmarks.photo.report.topics import attribute_grid, topic_section, topic_table, unasked
from mllm.benchmarks.photo.report.trust import check_all, told
from mllm.benchmarks.photo.taxonomy import TOPICS
from mllm.evaluation.statistics import paired_difference
from mllm.reporting import collect
from mllm.reporting.section import Grid, every
from tests.benchmarks.photo import photo_invented as invented

SEEDS = (0, 1)


@pytest.fixture(scope="module")
def made(tmp_path_factory, photo_micro):
    """The folder of a study, and the records of its runs by method and seed."""
    workdir, records = tmp_path_factory.mktemp("photo") / "study", {}
    for method in (*invented.METHODS, *invented.CONTROLS, *invented.BRACKETS):
        for seed in SEEDS if method in invented.METHODS else SEEDS[:1]:
            records[method, seed] = invented.write_run(workdir, method, photo_micro, seed=seed)
    records["no_edges", 0] = invented.write_run(
        workdir, "fused", photo_micro, variant="no_edges", chance=0.5
    )
    return workdir, records


def study_of(workdir, benchmark=None) -> Study:
    return Study(collect(workdir, REPORT.layout).comparisons[0], benchmark)


@pytest.fixture(scope="module")
def study(made, photo_micro):
    return study_of(made[0], photo_micro)


def rows_of(table) -> dict[str, dict[str, float | None]]:
    names = [" ".join(column.labels) for column in table.columns]
    return {
        row.label: dict(zip(names, (entry.value for entry in row.entries), strict=True))
        for row in table.rows
    }


def right_of(records, reading="text", **chosen) -> np.ndarray:
    """Whether each question was answered right, counted without the package's scores."""
    asked = [r for r in records if r["reading"] == reading]
    asked = [r for r in asked if all(r[name] == value for name, value in chosen.items())]
    return np.array([float(r["chosen"] == r["right"]) for r in asked])


def number(text: str) -> float:
    return float(text.replace("−", "-"))


def test_the_order_of_the_page_and_brackets_before_any_model(made, photo_micro, study):
    checks = check_all(study)
    assert {(c.subject.label, c.place) for c in checks} >= {
        ("Oracle", "rotation"), ("Random", "text"), ("Blind", "text"), ("Wrong photo", "text")
    }  # fmt: skip
    assert all(check.holds for check in checks if check.subject.label == "Oracle")
    found = sections(collect(made[0], REPORT.layout), photo_micro)
    assert [one.id for one in found] == [
        "trust", "topics", "fusion", "gates", "ablations", "dependence", "readings", "critiques",
        "gallery", "curves",
    ]  # fmt: skip


def test_topics_are_counts_over_records(made, study):
    _, records = made
    rows = rows_of(topic_table(study, study.models))
    labels = {"fused": "Fused", "joint": "Concatenation", "colour": "Colour alone"}
    for topic in study.topics:
        for method, label in labels.items():
            found = [right_of(records[method, seed], topic=topic).mean() for seed in SEEDS]
            assert rows[topic][label] == pytest.approx(np.mean(found))
    assert "Fused (" not in " ".join(rows["All topics"])  # ablations stand in a table of their own
    asked = len(right_of(records["fused", 0]))
    assert topic_table(study, study.models).rows[0].note == f"{asked} questions"


def test_sub_topics_and_attributes_are_folded_below(made, study):
    (grid,) = every(topic_section(study).blocks, Grid)
    asked = defaultdict(list)
    for seed in SEEDS:
        for record in made[1]["fused", seed]:
            if record["reading"] == "text":
                asked[record["attribute"]].append(record["chosen"] == record["right"])
    for row in grid.rows:
        found = asked[row[0].replace(" ", "_")]
        assert row[1:3] == (f"{len(found)}", f"{100 * np.mean(found):.1f}")
    assert grid == attribute_grid(study, study.models)
    named = {place for place, _ in unasked(study)}
    keyed = {(r["topic"], r["subtopic"]) for r in made[1]["fused", 0] if r["reading"] == "text"}
    assert len(named) == sum(map(len, TOPICS.values())) - len(keyed)
    assert dict(unasked(study))["Storytelling: Emotion"].startswith("what viewers feel")


def test_numbers_are_those_of_results_json(made, study):
    workdir, _ = made
    rows = rows_of(topic_table(study, [study.subject("unguided")]))
    found = defaultdict(list)
    for seed in SEEDS:
        path = workdir / f"seed{seed}/unguided/eval/four_options/results.json"
        for score in json.loads(path.read_text())["runs"][0]["scores"]:
            if (score["subtopic"], score["reading"], score["metric"]) == (
                "all",
                "text",
                "accuracy",
            ):
                found[score["topic"]].append(score["value"])
    shown = {topic: rows[topic]["No language"] for topic in rows}
    expected = {("All topics" if t == "all" else t): np.mean(v) for t, v in found.items()}
    assert shown == pytest.approx(expected)


def test_differences_are_paired_by_question_and_shown_by_seed(made, study):
    _, records = made
    others = rivals(study)
    assert [one.label for one in others] == [
        "Colour alone", "Edges alone", "Concatenation", "No language"
    ]  # fmt: skip
    values, clusters = {}, None
    for method in ("fused", "joint"):
        values[method] = np.mean([right_of(records[method, seed]) for seed in SEEDS], axis=0)
        clusters = [r["cluster"] for r in records[method, 0] if r["reading"] == "text"]
    truth = paired_difference(values["fused"], values["joint"], clusters)
    found = study.compare(study.fused, study.subject("joint"))
    assert found.difference == pytest.approx(truth.difference)
    assert (found.low, found.high) == pytest.approx((truth.low, truth.high), abs=0.02)
    each = [
        (right_of(records["fused", s]) - right_of(records["joint", s])).mean() for s in SEEDS
    ]  # fmt: skip
    assert [number(text) / 100 for text in found.seeds.split(", ")] == pytest.approx(each, abs=6e-4)
    grid = every(contrast_section(study).blocks, Grid)[0]
    assert next(row for row in grid.rows if row[0] == "Edges alone")[-1] == "better"


def test_equal_budgets_are_said_and_unequal_ones_too(tmp_path, photo_micro, study):
    assert budget([study.fused, *rivals(study)]) == (
        "Each of these models has 1,000,000 parameters, 800,000 trained parameters and 300 "
        "updates, from the same weights."
    )
    invented.write_run(tmp_path, "fused", photo_micro)
    invented.write_run(tmp_path, "joint", photo_micro, steps=450)
    other = study_of(tmp_path)
    said = budget([other.fused, other.subject("joint")])
    assert "They differ in updates (Fused 300, Concatenation 450)" in said


def test_the_finding_says_what_the_intervals_allow(tmp_path, photo_micro, study):
    said = finding(study.comparison)
    assert "It beats the best single encoder: Colour alone scores" in said
    assert "by seed +" in said and "chance is 25.0%" in said
    assert "without a photograph" in said and "with a wrong one" in said
    for name, chance, words in (
        ("even", 0.5, "Whether fusion beats the best single encoder is not decided"),
        ("worse", 0.05, "It does not beat the best single encoder"),
    ):
        invented.write_run(tmp_path / name, "fused", photo_micro, chance=chance)
        invented.write_run(tmp_path / name, "colour", photo_micro)
        assert words in finding(study_of(tmp_path / name).comparison)


def test_a_row_that_fails_is_named_first(tmp_path, photo_micro):
    invented.write_run(tmp_path, "blind", photo_micro, chance=0.9)
    invented.write_run(tmp_path, "fused", photo_micro)
    study = study_of(tmp_path)
    said = told(study, check_all(study))
    assert said.startswith("Read the scores with this in mind: Blind does not score")
    assert "Not run: Oracle, Random" in said
    assert finding(study.comparison).startswith("Rows that do not score what they must: Blind.")
    assert "Chance, 25.0%, lies outside the interval without a photograph" in level(
        study, [study.subject("blind")]
    )


def test_dependence_stands_next_to_the_model(made, study):
    _, records = made
    section = dependence_section(study)
    grid = every(section.blocks, Grid)[0]
    mine = np.mean([right_of(records["fused", seed]) for seed in SEEDS], axis=0)
    expected = 100 * (mine - right_of(records["wrong_photo", 0])).mean()
    assert number(grid.rows[0][-1].split(" ")[0]) == pytest.approx(expected, abs=0.06)


def test_readings_side_by_side(made, study):
    _, records = made
    table = reading_table(study, ["text", "letter", "rotation", "generated"])
    count = len(right_of(records["fused", 0], "letter"))
    assert table.columns[1].labels == (f"Letter ({count})",)
    rows = rows_of(table)
    for reading, name in (("letter", f"Letter ({count})"), ("generated", None)):
        found = [right_of(records["fused", seed], reading).mean() for seed in SEEDS]
        name = name or f"Generated letter ({count})"
        assert rows["Fused"][name] == pytest.approx(np.mean(found))
    assert rows["Chance"][f"Letter, all four orders ({count})"] is None
    orders = {row[0]: row[1:] for row in order_grid(study).rows}
    same = [
        len(set(r["chosen"])) == 1
        for seed in SEEDS for r in records["joint", seed] if r["reading"] == "rotation"
    ]  # fmt: skip
    assert orders["Concatenation"][0] == f"{100 * np.mean(same):.1f}"
    assert sum(map(float, orders["Concatenation"][1:])) == pytest.approx(100, abs=0.3)


def test_critiques_stand_next_to_those_of_a_wrong_photograph(made, study):
    _, records = made
    rows = rows_of(critique_table(study))
    assert rows["Oracle"]["Topics covered own photo"] == 1
    asked = [r for r in records["fused", 0] if r["reading"] == "critique"]
    for metric, name in (("coverage", "Topics covered"), ("rouge_l", "ROUGE-L")):
        for suffix, words in (("", "own photo"), ("_wrong", "wrong photo")):
            values = [r["metrics"][f"{metric}{suffix}"] for r in asked]
            assert rows["Fused"][f"{name} {words}"] == pytest.approx(np.mean(values))
    gained = np.mean([r["metrics"]["coverage"] - r["metrics"]["coverage_wrong"] for r in asked])
    text = gain(study, study.fused, "coverage").split(" ")[0]
    assert number(text) / 100 == pytest.approx(gained, abs=6e-4)


def test_ablations_are_named_by_what_they_change(made, study):
    _, records = made
    (one,) = ablations(study)
    assert changed(one) == "Without edges"
    row = every(ablation_section(study).blocks, Grid)[0].rows[1]
    mine = np.mean([right_of(records["fused", seed]) for seed in SEEDS], axis=0)
    expected = 100 * (right_of(records["no_edges", 0]) - mine).mean()
    assert number(row[3]) == pytest.approx(expected, abs=0.06)
    assert row[-1] == "worse"


def test_gates_that_change_alone_are_ablations_too(tmp_path, photo_micro):
    invented.write_run(tmp_path, "fused", photo_micro)
    invented.write_run(tmp_path, "gate_text", photo_micro)
    invented.write_run(tmp_path, "fused", photo_micro, variant="bank_1")
    invented.write_run(tmp_path, "fused", photo_micro, variant="layers_3")
    assert [changed(one) for one in ablations(study_of(tmp_path))] == [
        "Gate by the question alone", "1 query set", "3 layers"
    ]  # fmt: skip


def test_an_encoder_of_any_name_stands_alone(tmp_path, photo_micro):
    for method in ("fused", "colour", "dinov2"):
        invented.write_run(tmp_path, method, photo_micro)
    study = study_of(tmp_path)
    assert [one.label for one in study.singles] == ["Colour alone", "dinov2 alone"]
    assert {one.encoder for one in study.singles} == {"colour", "dinov2"}


def test_nothing_but_brackets_and_no_critiques(tmp_path, photo_micro):
    protocol = invented.Protocol(letters=1, critiques=0)
    invented.write_run(tmp_path / "a", "random", photo_micro, protocol=protocol)
    study = study_of(tmp_path / "a")
    assert "The fused model was not evaluated yet." in finding(study.comparison)
    found = sections(collect(tmp_path / "a", REPORT.layout), None)
    assert [one.id for one in found] == ["trust", "topics", "readings", "curves"]
    assert critique_section(study) is None and contrast_section(study) is None
