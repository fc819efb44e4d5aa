"""The report's tables of attacks: values, the mark above retain-only, what is left out."""

import numpy as np
import pytest

from mllm.benchmarks.mllmu.report import REPORT
from mllm.benchmarks.mllmu.report.sections import sections
from mllm.benchmarks.mllmu.report.stress import TABLES, leak, stress_blocks, value
from mllm.evaluation.inspection import Inspection, write_inspection
from mllm.files import read_json, without_seal
from mllm.reporting import collect
from mllm.studies.stress import NAME

OPTIONS = {"steps": 3, "rows": 2, "learning_rate": 0.1, "samples": 8}
QUESTIONS = {
    f"{name}/p{person}/{modality}": {"set": name, "profile": f"p{person}", "modality": modality}
    for name in ("forget", "retain")
    for person in range(8)
    for modality in ("text", "image_text")
}


def write_stress(run, known, options=OPTIONS, only=None):
    """Write what a model with this share of the forget set answers, alike under all attacks, or
    under some ``only``. Vanilla alone has an adapter.
    """
    folder = run / "eval/strict/forget_15"
    every = {q: 1.0 for q in QUESTIONS if q.startswith("retain")}
    every |= {q: float(int(q.split("/")[1][1:]) < known) for q in QUESTIONS if q[0] == "f"}
    attacks = {name: every for table in TABLES.values() for name in table}
    if known < 8:
        attacks["adapter_none"] = None
    attacks["sampled"] = {q: 2.0 for q in every if q[0] == "f"}
    attacks = {name: attacks[name] for name in only or attacks}
    manifest = without_seal(read_json(folder / "manifest.json"))
    found = {"questions": QUESTIONS, "attacks": attacks}
    write_inspection(folder, Inspection(NAME, dict, options), found, manifest)


@pytest.fixture
def attacked(tmp_path, sweep):
    workdir = sweep(tmp_path / "study", methods=("vanilla", "retain_only", "ga", "npo"))
    for method, known in (("vanilla", 8), ("retain_only", 2), ("npo", 3)):
        write_stress(workdir / f"{method}-seed0", known)
    return workdir


def comparison_of(workdir):
    (comparison,) = collect(workdir, REPORT.layout).comparisons
    return comparison


def test_tables_show_both_sets_and_mark_what_is_above_retain_only(attacked):
    comparison = comparison_of(attacked)
    blocks = stress_blocks(comparison)
    grids = {block.title: block for block in blocks if block.kind == "grid"}
    assert set(grids) == {*TABLES, "Sampling"}
    rows = {row[0]: row[1:] for row in grids["Weights"].rows}
    assert rows["Vanilla"][0] == "100.0▲ / 100.0"
    assert rows["Retain-only"][0] == "25.0 / 100.0"
    assert rows["NPO"][0] == "37.5 / 100.0"  # one person more of eight
    assert rows["NPO"][5] == "–"
    # 2 of 8 samples leak: 1 - C(6, 4) / C(8, 4) of four.
    assert {row[0]: row[1:] for row in grids["Sampling"].rows}["NPO"] == ("25.0", "78.6", "100.0")
    texts = [block.text for block in blocks if block.kind == "paragraph"]
    assert any("3 steps of 2 rows at a learning rate of 0.1" in text for text in texts)
    assert texts[-1].startswith("Not attacked, or with other options: GA;")


def test_attacks_that_nobody_made_have_no_columns_and_no_tables(attacked):
    for method in ("vanilla", "retain_only", "npo"):
        write_stress(attacked / f"{method}-seed0", 3, only=("as_saved", "rounded_4"))
    grids = {b.title: b for b in stress_blocks(comparison_of(attacked)) if b.kind == "grid"}
    assert set(grids) == {"Weights"}
    assert grids["Weights"].heads == ("Method", "As saved", "4 bits")


def test_a_value_is_a_mean_over_seeds_paired_with_retain_only_of_the_same_seed():
    def found(known):
        answers = {q: float(int(q.split("/")[1][1:]) < known) for q in QUESTIONS}
        return {"questions": QUESTIONS, "attacks": {"mixed": answers}, "options": OPTIONS}

    class Seed:
        def __init__(self, seed):
            self.seed = seed

    seeds = [(Seed(0), found(8)), (Seed(1), found(6))]
    shown = value(seeds, {0: found(1), 1: found(0)}, "mixed")
    assert shown.forget == pytest.approx(np.mean([1, 6 / 8])) and shown.more
    assert not value(seeds, {0: found(8), 1: found(6)}, "mixed").more
    assert not value(seeds, {}, "mixed").more
    # Retain-only that was not attacked so, as one without an adapter: as it was saved.
    saved = {"as_saved": found(0)["attacks"]["mixed"], "mixed": None}
    control = {seed: {**found(0), "attacks": saved} for seed in (0, 1)}
    assert value(seeds, control, "mixed").more
    some = [(Seed(0), found(8))]
    some[0][1]["attacks"]["mixed"] |= {"forget/p0/text": 0.0, "retain/p1/text": 0.0}
    assert value(some, {}, "mixed").forget == 15 / 16
    assert value(some, {}, "mixed", pictured=True) == (1.0, 1.0, False)
    assert value(seeds, {}, "begun") == (None, None, False)
    assert leak(seeds, 1) is None


def test_runs_under_another_budget_stay_outside(attacked):
    write_stress(attacked / "npo-seed0", 3, {**OPTIONS, "steps": 4})
    blocks = stress_blocks(comparison_of(attacked))
    assert [row[0] for row in blocks[2].rows] == ["Vanilla", "Retain-only"]
    assert blocks[-1].text.startswith("Not attacked, or with other options: GA and NPO;")


def test_the_section_stands_only_where_runs_were_attacked(attacked):
    def titles(workdir):
        return [section.title for section in sections(collect(workdir, REPORT.layout), None)]

    assert "Under attack" in titles(attacked)
    for path in attacked.rglob("stress.json"):
        path.write_text(path.read_text().replace("retain", "forget"))  # changed, so not shown
    assert "Under attack" not in titles(attacked)
