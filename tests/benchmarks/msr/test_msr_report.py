"""The report, on invented answers by the real protocol and the real scores."""

import dataclasses
import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mllm.benchmarks.msr import brackets
from mllm.benchmarks.msr.report import REPORT
from mllm.benchmarks.msr.report.ablations import ablation_section, changes
from mllm.benchmarks.msr.report.blocks import block_drawing, by_size
from mllm.benchmarks.msr.report.chance import guessing, guessing_errors
from mllm.benchmarks.msr.report.contrasts import contrast_section
from mllm.benchmarks.msr.report.costs import cost_section, parts
from mllm.benchmarks.msr.report.finding import finding
from mllm.benchmarks.msr.report.gallery import FIRST, gallery_section, picked, probability, rank
from mllm.benchmarks.msr.report.history import history_section, lines
from mllm.benchmarks.msr.report.ranking import SHOWN, ranking_table
from mllm.benchmarks.msr.report.sections import sections
from mllm.benchmarks.msr.report.study import Study
from mllm.benchmarks.msr.report.trust import check_all, leaks, verdict
from mllm.benchmarks.msr.report.tuning import tuning_section
from mllm.benchmarks.msr.scores import ALL, length_group
from mllm.reporting import collect, write_report
from mllm.reporting.figures import LIGHT
from mllm.reporting.section import Gallery, Grid, Paragraph, every
from tests.benchmarks.msr import msr_invented as invented

VARIANTS = {"bare": invented.BARE, "blocks": invented.BLOCKS, "direct": invented.DIRECT}


@pytest.fixture(scope="module")
def made(tmp_path_factory, msr_micro):
    """The folder of a study, and the records of its runs by method."""
    workdir, records = tmp_path_factory.mktemp("msr") / "study", {}
    for method in (*invented.BRACKETS, *invented.METHODS):
        records[method] = invented.write_run(workdir, method, msr_micro)
    worse = invented.Invented(msr_micro, (3.0, 3.0), 1, str)
    for variant, reading in VARIANTS.items():
        options = {"reading": reading, "variant": variant, "asks": worse}
        records[variant] = invented.write_run(workdir, "recommender", msr_micro, **options)
    invented.write_trials(workdir)
    return workdir, records


def study_of(workdir, benchmark=None) -> Study:
    return Study(collect(workdir, REPORT.layout).comparisons[0], benchmark)


@pytest.fixture(scope="module")
def study(made, msr_micro):
    return study_of(made[0], msr_micro)


def texts(section) -> str:
    return " ".join(block.text for block in every(section.blocks, Paragraph))


def rows_of(table) -> dict[str, dict[str, float | None]]:
    names = [column.labels[0] for column in table.columns]
    return {
        row.label: dict(zip(names, (e.value for e in row.entries), strict=True))
        for row in table.rows
    }


def auc_of(records) -> float:
    return roc_auc_score([r["label"] == "1" for r in records], [r["score"] for r in records])


def hits_of(records, k=5) -> np.ndarray:
    """Whether each user's target is among the first k; scores are all different."""
    scores, _ = invented.scores_by_hand(records)
    return (scores[:, 1:] > scores[:, :1]).sum(1) < k


def test_brackets_hold_and_stand_before_any_method(made, msr_micro, study):
    checks = check_all(study)
    assert [check.subject.label for check in checks] == ["Oracle", "Random", "Constant"]
    assert all(check.holds for check in checks)
    assert verdict(study, checks) == "Every bracket that was run scores what it must."
    found = sections(collect(made[0], REPORT.layout), msr_micro)
    assert [one.id for one in found] == [
        "trust", "ranking", "differences", "ablations", "history", "gallery", "cost", "tuning",
        "curves",
    ]  # fmt: skip


def test_what_was_looked_for_as_a_leak_is_not_there(study):
    found = leaks(study)
    assert len(found) == 7 and all(text.startswith(("none of", "all")) for text in found.values())


def test_chance_is_that_of_random_orders():
    known = guessing(21)
    assert known["hr@5"] == pytest.approx(5 / 21) and known["auc_user"] == 0.5
    assert known["mrr@5"] == pytest.approx(0.1087, abs=5e-5)
    places = np.random.default_rng(0).integers(1, 22, size=200_000)
    gains = {
        "hr@3": places <= 3,
        "mrr@10": (places <= 10) / places,
        "ndcg@5": (places <= 5) / np.log2(1 + places),
        "auc_user": (21 - places) / 20,
    }
    errors = guessing_errors(21, 50)
    for metric, values in gains.items():
        assert known[metric] == pytest.approx(values.mean(), abs=0.005)
        assert errors[metric] == pytest.approx(values.std() / 50**0.5, rel=0.02)


def test_a_bracket_that_fails_is_named_before_any_method(tmp_path, msr_micro):
    invented.write_run(tmp_path, "oracle", msr_micro, asks=brackets.guessing(0))
    invented.write_run(tmp_path, "recommender", msr_micro)
    study = study_of(tmp_path)
    said = verdict(study, check_all(study))
    assert said.startswith("Do not trust the scores of this report yet: Oracle does not score")
    assert "Not run: Random and Constant." in said
    assert finding(study.comparison).startswith("Brackets that do not score what they must: Oracle")


def test_a_method_above_the_ceiling_points_to_a_leak(tmp_path, msr_micro):
    invented.write_run(tmp_path, "bayes", msr_micro)
    invented.write_run(tmp_path, "recommender", msr_micro, asks=brackets.oracle())
    said = finding(study_of(tmp_path).comparison)
    assert "Above the Bayes ceiling, which points to a leak: MLLM-MSR." in said


def test_the_main_tables_are_those_of_scikit_learn_and_of_counting(made, study):
    _, records = made
    for target in (ALL, "warm", "cold"):
        rows = rows_of(ranking_table(study, target, SHOWN))
        for method, label in (("recommender", "MLLM-MSR"), ("zero_shot", "Zero-shot model")):
            mine = [r for r in records[method] if target in (ALL, r["cold"])]
            assert rows[label]["AUC"] == pytest.approx(auc_of(mine))
            assert rows[label]["HR@5"] == pytest.approx(hits_of(mine).mean())
        assert rows["Constant"] == pytest.approx(rows["Chance"])


def test_published_rows_are_marked_and_stand_beside_as_many_candidates_alone(study):
    table = ranking_table(study, ALL, SHOWN, published=True)
    rows = rows_of(table)
    assert rows["MLLM-MSR, published, MicroLens"]["AUC"] == 0.8317
    assert rows["TALLRec, published, Baby"]["MRR@5"] == 0.6015
    assert rows["MLLM-MSR, published, MicroLens"]["NDCG@5"] is None
    kinds = {row.kind for row in table.rows if "published" in row.label}
    assert kinds == {"reference"} and sum("published" in row.label for row in table.rows) == 9
    fewer = study_of(study.recommender.run.folder.parents[1])
    fewer.candidates = 11
    table = ranking_table(fewer, ALL, SHOWN, published=True)
    assert not any("published" in row.label for row in table.rows)
    assert rows_of(table)["Chance"]["HR@5"] == pytest.approx(5 / 11)


def test_differences_are_paired_by_user(made, study):
    _, records = made
    other = study.subject("zero_shot")
    found = study.compare(study.recommender, other, "hr@5")
    expected = hits_of(records["recommender"]).mean() - hits_of(records["zero_shot"]).mean()
    assert found.difference == pytest.approx(expected) and found.low <= expected <= found.high
    auc, _ = every(contrast_section(study).blocks, Grid)
    row = next(r for r in auc.rows if r[:2] == ("SASRec", "Cold targets"))
    cold = [[r for r in records[m] if r["cold"] == "cold"] for m in ("recommender", "sasrec")]
    assert row[2:4] == tuple(f"{100 * auc_of(one):.1f}" for one in cold)
    assert row[-1] == "better"


def test_the_finding_says_where_it_is_better_and_where_not(study):
    said = finding(study.comparison)
    cold = said[said.index("On cold targets") :]
    assert f"over {len(study.recommender.users)} users" in said and "Bayes ceiling" in said
    assert cold.startswith("On cold targets it is better than") and "SASRec (+" in cold


def test_ablations_are_named_by_what_they_change(made, study):
    _, records = made
    assert study.recommender.label == "MLLM-MSR"
    words = [changes(one, study.recommender) for one in study.ablations]
    assert words == [
        "No summaries of the history", "Blocks of 1", "All items at once, no recurrence",
    ]  # fmt: skip
    (grid,) = every(ablation_section(study).blocks, Grid)
    expected = 100 * (auc_of(records["direct"]) - auc_of(records["recommender"]))
    row = next(r for r in grid.rows if r[0] == words[2])
    assert float(row[3].replace("−", "-")) == pytest.approx(expected, abs=0.06)


def test_sizes_of_blocks_are_compared_where_nothing_else_changes(made, study):
    found = by_size(study)
    assert list(found) == [1, 3] and found[3] == study.recommender
    expected = auc_of(made[1]["blocks"])
    assert study.entry(found[1]).value == pytest.approx(expected)
    block_drawing(study).panels[0].draw(LIGHT)


def test_the_curve_is_the_auc_of_users_with_so_many_items(made, study):
    _, records = made
    (line,) = (one for one in lines(study) if one.label == "MLLM-MSR")
    for name, span in zip(study.histories, line.spans, strict=True):
        mine = [r for r in records["recommender"] if length_group(r["history"]) == name]
        assert span[0] == pytest.approx(100 * auc_of(mine))
    grid = every(history_section(study).blocks, Grid)[0]
    assert sum(int(row[1]) for row in grid.rows) == len(study.recommender.users)


def test_cost_counts_calls_and_tokens_of_a_user(msr_micro, study):
    users = list(msr_micro.users("test"))
    blocks = np.mean([-(-len(user.history) // 3) for user in users])
    found = parts(study.recommender)
    assert found["preference"].calls == pytest.approx(blocks)
    assert found["candidate"].calls == 21 and found["summary"].calls == 1
    section = cost_section(study)
    (grid,) = every(section.blocks, Grid)
    assert {row[0] for row in grid.rows} == {"MLLM-MSR", "Zero-shot model", "TALLRec-like"}
    assert f"costs {blocks:.1f} calls" in texts(section)


def test_gallery_shows_histories_preferences_and_candidates(study):
    users = study.recommender.users
    for title, user in picked(study):
        assert (rank(users[user]) <= FIRST) == title.endswith("found")
        assert title.lower().startswith(users[user][0]["cold"])
    (gallery,) = every(gallery_section(study).blocks, Gallery)
    assert len(gallery.cards) >= 2
    for card in gallery.cards:
        history, candidates = card.samples
        blocks = -(-len(history.pictures) // 3)
        assert [answer.text.startswith("Likes") for answer in history.answers] == [True] * blocks
        assert history.answers[0].label == "After items 1 to 3"
        assert len(candidates.pictures) == len(candidates.captions) in (8, 9)
        shares = [float(text.removesuffix(" ✓").split(": ")[-1]) for text in candidates.captions]
        assert shares == sorted(shares, reverse=True)
        (taken,) = (text for text in candidates.captions if text.endswith("✓"))
        said = next(a.text for a in candidates.answers if a.label == "MLLM-MSR")
        assert said.startswith(f"rank {taken.split('.')[0]} of 21")
        assert candidates.gold_picture.startswith("data:image/jpeg")


def test_rank_and_probability_of_a_candidate():
    rows = [{"score": score} for score in (1.0, 2.0, 1.0, 1.0, 0.0)]
    assert rank(rows) == 3  # 2, 3 or 4
    assert rank([*rows, {"score": None}]) is None
    assert probability(0.0) == "0.50" and probability(-800.0) == "0.00"
    assert probability(np.log(3)) == "0.75"


def test_the_ledger_lists_every_trial(study):
    section = tuning_section(study)
    assert "2 trials of each: SASRec." in texts(section)
    (grid,) = every(section.blocks, Grid)
    assert [row[-1] for row in grid.rows] == ["", "chosen"]
    assert grid.rows[1][2] == "learning_rate 0.003, dropout 0.1"


def test_several_seeds_share_a_row(tmp_path, msr_micro):
    records = {}
    for seed in range(3):
        for method in ("recommender", "zero_shot"):
            found = invented.write_run(tmp_path, method, msr_micro, seed=seed)
            records[method, seed] = found
    study = study_of(tmp_path)
    aucs = [auc_of(records["recommender", seed]) for seed in range(3)]
    assert study.entry(study.recommender).value == pytest.approx(np.mean(aucs))
    table = ranking_table(study, ALL, SHOWN)
    assert next(row for row in table.rows if row.label == "MLLM-MSR").note == "3 seeds"
    assert study.compare(study.recommender, study.subject("zero_shot")).low > 0


def test_without_data_ids_stand_for_items(made):
    (gallery,) = every(gallery_section(study_of(made[0])).blocks, Gallery)
    for card in gallery.cards:
        assert all(not sample.pictures and "item " in sample.question for sample in card.samples)


def test_nothing_but_brackets(tmp_path, msr_micro):
    invented.write_run(tmp_path, "constant", msr_micro)
    study = study_of(tmp_path)
    assert study.recommender is None and gallery_section(study) is None
    assert "The recommender was not evaluated yet." in finding(study.comparison)
    assert contrast_section(study) is None and cost_section(study) is None
    write_report(tmp_path, REPORT)


HOSTILE = '<script>alert(1)</script><img src="http://example.com/leak.png">\x1b[31m'


@pytest.mark.thorough
def test_what_a_model_says_is_shown_as_text_in_every_format(tmp_path, msr_micro):
    invented.write_run(tmp_path, "recommender", msr_micro, said=lambda text: HOSTILE + text)
    paths = write_report(tmp_path, REPORT)
    assert "&lt;script&gt;alert(1)" in paths["html"].read_text()
    for name in ("html", "markdown", "latex", "csv"):
        text = paths[name].read_text()
        assert "<script" not in text and "\x1b" not in text and '<img src="http' not in text


@pytest.mark.thorough
def test_exports_hold_the_numbers_of_the_page(made, study):
    paths = write_report(made[0], dataclasses.replace(REPORT, open_benchmark=None))
    value = f"{100 * study.entry(study.recommender).value:.1f}"
    for name in ("markdown", "latex"):
        text = paths[name].read_text()
        assert value in text and "MLLM-MSR, published, MicroLens" in text
    results = json.loads(paths["results"].read_text())
    assert {run["method"] for run in results["runs"]} == {*invented.BRACKETS, *invented.METHODS}
    assert results["axes"] == ["target", "history"]
