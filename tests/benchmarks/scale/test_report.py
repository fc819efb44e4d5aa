"""The report of large and small models, on invented answers whose numbers are counted by hand."""

import dataclasses
import io
import json

import pytest
from PIL import Image

from mllm.benchmarks.scale.item import Item
from mllm.benchmarks.scale.report import REPORT
from mllm.benchmarks.scale.report.brackets import SAMPLES, check_all, verdict
from mllm.benchmarks.scale.report.capabilities import capability_table
from mllm.benchmarks.scale.report.efficiency import dots, efficiency_section
from mllm.benchmarks.scale.report.failures import failure_section, tag_all
from mllm.benchmarks.scale.report.finding import finding, like_guessing
from mllm.benchmarks.scale.report.gallery import chosen, gallery_section
from mllm.benchmarks.scale.report.gaps import gap_section
from mllm.benchmarks.scale.report.sensitivity import sensitivity_section
from mllm.benchmarks.scale.report.study import Study
from mllm.benchmarks.scale.score import AXES, scores_of
from mllm.files import write_json
from mllm.reporting import collect, write_report
from mllm.reporting.section import Gallery, Grid, Paragraph, every
from tests.sealing import seal_results

FINGERPRINT = "5e" * 32
OPTIONS = ("bird", "cat", "dog", "fish")
ITEMS = 8  # of each capability
# Right (1) or wrong (0), item by item, in the default wording.
RIGHT = {
    "large": {"counting": "11111100", "recognition": "11111111", "signs": "00001111"},
    "small": {"counting": "10000001", "recognition": "11111110", "signs": "00000000"},
}
PARAMETERS = {"large": 9_000_000, "small": 1_000_000}


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), "navy").save(buffer, "PNG")
    return buffer.getvalue()


def make_item(capability: str, number: int) -> Item:
    choice = capability == "recognition"
    suite = "driving" if capability == "signs" else "general"
    return Item(
        id=f"test/{suite}/single/{capability}/{number:05d}",
        suite=suite,
        format="single",
        capability=capability,
        pictures=(png(),),
        layout=(0,),
        questions=("What is it?" if choice else "How many?",),
        kind="choice" if choice else "number",
        options=OPTIONS if choice else (),
        answers=("cat",) if choice else ("3",),
        candidates=OPTIONS if choice else ("1", "2", "3", "4", "5"),
        tag="F1" if choice else "F7",
    )


class Invented:
    """A benchmark in memory."""

    fingerprint = FINGERPRINT

    def __init__(self):
        self.info = {"licences": {"data": "CC0 1.0"}}
        names = ("counting", "recognition", "signs")
        made = [make_item(name, number) for name in names for number in range(ITEMS)]
        self.items = {item.id: item for item in made}

    def item(self, id: str) -> Item:
        return self.items[id]


BENCHMARK = Invented()


def record(item: Item, form: str, variant: int, right: bool, wrong: str = "") -> dict:
    choice = item.kind == "choice"
    said = item.answers[0] if right else wrong or ("dog" if choice else "5")
    letters = form == "letter"
    return {
        "key": f"{item.id}/{form}/{variant}",
        "suite": item.suite,
        "format": item.format,
        "capability": item.capability,
        "item": item.id,
        "form": form,
        "variant": variant,
        "kind": item.kind,
        "question": item.questions[0],
        "answers": ["B"] if letters else list(item.answers),
        "options": list(item.options),
        "reply": None if form == "options" else "ABCD"[OPTIONS.index(said)] if letters else said,
        "logprobs": None,
        "ended": True,
        "parsed": said,
        "state": "valid",
        "value": float(right),
        "plain": True,
        "metrics": {},
    }


def records_of_model(right: dict[str, str], wordings: int = 3) -> list[dict]:
    """Answer alike in every wording, except that the last one gets the first item wrong."""
    rows = []
    for item in BENCHMARK.items.values():
        number = int(item.id[-5:])
        for variant in range(wordings):
            good = right[item.capability][number] == "1" and not (variant == 2 and number == 0)
            forms = ("options", "letter") if item.kind == "choice" else ("reply",)
            rows += [record(item, form, variant, good) for form in forms]
    return rows


def records_of_bracket(name: str) -> list[dict]:
    """The oracle is right, others on every fourth item (chance is 1/4 or 1/5)."""
    right = "1" * ITEMS if name == "oracle" else "10001000"
    return records_of_model(dict.fromkeys(("counting", "recognition", "signs"), right), 1)


def write_run(workdir, method: str, rows: list[dict], **record) -> None:
    folder = workdir / method / "eval" / "zero_shot" / "test"
    folder.mkdir(parents=True)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "records.jsonl").write_text(lines, encoding="utf-8")
    cost = {}
    if method in PARAMETERS:
        cost = {"efficiency": {"parameters": PARAMETERS[method], "seconds": 12.0}}
    record = {
        "schema": 1,
        "method": method,
        "seed": 0,
        "status": "finished",
        "protocol": "zero_shot",
        "checkpoint_digest": f"digest of {method}",
        "data_fingerprint": FINGERPRINT,
        "config": {"benchmark": {"name": "scale", "data_dir": "nowhere", "config": "micro"}},
        "cost": cost,
        "environment": {},
    } | record
    write_json(workdir / method / "run.json", record)
    entry = {key: record[key] for key in ("method", "seed", "checkpoint_digest", "protocol")}
    results = {
        "schema": 1,
        "benchmark": "scale",
        "axes": list(AXES),
        "runs": [{**entry, "scores": scores_of(rows), "cost": cost}],
        "environment": {},
    }
    manifest = {key: record[key] for key in ("checkpoint_digest", "data_fingerprint")}
    write_json(folder / "manifest.json", manifest)
    write_json(folder.parent / "results.json", results)
    seal_results(folder.parent / "results.json", "test")


def write_runs(workdir) -> None:
    for name in ("oracle", "random", "blind"):
        write_run(workdir, name, records_of_bracket(name))
    for name, right in RIGHT.items():
        write_run(workdir, name, records_of_model(right))


def study_of(workdir, benchmark=BENCHMARK) -> Study:
    return Study(collect(workdir, REPORT.layout).comparisons[0], benchmark)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scale")
    write_runs(folder)
    return folder


@pytest.fixture(scope="module")
def study(workdir):
    return study_of(workdir)


def grids(section) -> dict[str, Grid]:
    return {grid.title: grid for grid in every(section.blocks, Grid)}


def texts(section) -> str:
    return " ".join(block.text for block in every(section.blocks, Paragraph))


def test_models_stand_in_the_order_of_their_size(study):
    assert [one.label for one in study.subjects] == ["Oracle", "Random", "Blind", "small", "large"]
    assert (study.large.label, study.small.label) == ("large", "small")


def test_models_of_unknown_size_are_not_paired(tmp_path):
    write_runs(tmp_path)
    write_run(tmp_path, "api", records_of_model(RIGHT["small"]))
    study = study_of(tmp_path)
    assert study.large is None and "needs two models of different size" in study.refusal


def test_capabilities_by_models(study):
    table = capability_table(study, "general")
    assert [row.label for row in table.rows] == ["Recognition", "Counting", "All capabilities"]
    found = {row.label: [entry.value for entry in row.entries] for row in table.rows}
    assert found["Counting"] == [1, 0.25, 0.25, 2 / 8, 6 / 8]
    assert found["All capabilities"][3:] == [9 / 16, 14 / 16]


def test_differences_by_hand(study):
    section = gap_section(study)
    rows = {row[0]: row[1:] for row in grids(section)["Difference by capability"].rows}
    assert list(rows) == ["All items", "Recognition", "Counting", "Driving: signs"]
    # All: 6 + 8 + 4 of 24 against 2 + 7 + 0. Of 11 items only one is right, twice by large alone
    # but for one of counting: p = 2 * (1 + 11) / 2**11.
    assert rows["All items"][:4] == ("24", "75.0", "37.5", "+37.5")
    assert float(rows["All items"][5]) == pytest.approx(2 * (1 + 11) / 2**11, abs=5e-4)
    # Counting: five items by large alone, one by small alone: p = 2 * (1 + 6) / 2**6.
    counting = rows["Counting"]
    assert counting[:4] == ("8", "75.0", "25.0", "+50.0")
    assert float(counting[5]) == pytest.approx(14 / 64, abs=5e-4)
    # Signs has the smallest p of three, 2 / 2**4, and is multiplied by 3.
    assert (rows["Driving: signs"][5], rows["Driving: signs"][6]) == ("0.125", "0.375")
    assert [row[-1] for row in rows.values()] == ["lagging"] + ["undecided"] * 3
    assert len(grids(section)["Difference by cell"].rows) == 3


def test_other_prompts_are_not_compared(tmp_path):
    write_runs(tmp_path)
    path = tmp_path / "small/eval/zero_shot/test/records.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[0]["key"] = "asked in another way"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    seal_results(path.parent.parent / "results.json")
    study = study_of(tmp_path)
    section = gap_section(study)
    assert "not compared: large and small" in texts(section) and "different prompts" in texts(
        section
    )
    assert not grids(section) and gallery_section(study, {}) is None
    assert "There is no finding yet: large and small" in finding(study.comparison)
    assert study.unlike() == ["large"]  # of two kinds that are as frequent the first stays
    row = grids(failure_section(study, tag_all(study, tmp_path)))["Agreement of errors"].rows[0]
    assert row[:2] == ("large, small", "not asked the same")


def test_other_items_are_not_compared(tmp_path):
    write_runs(tmp_path)
    path = tmp_path / "small/eval/zero_shot/test/records.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[3:]))
    seal_results(path.parent.parent / "results.json")
    assert "was not asked 1 of the 24 items of large" in texts(gap_section(study_of(tmp_path)))


def test_the_pair_can_be_named(tmp_path):
    write_runs(tmp_path)
    config = {"report": {"large": "api", "small": "large"}}
    rows = records_of_model(RIGHT["large"])
    write_run(tmp_path, "api", [row for row in rows if row["form"] != "options"], config=config)
    study = study_of(tmp_path)
    assert (study.large.label, study.small.label) == ("api", "large")
    # The service gives no log-probabilities, so that both are compared by their replies.
    assert study.by_reply and study.overall.difference == 0
    # Nobody knows the size of the service, and no configuration lists the models by size.
    assert [one.label for one in study.models] == ["api", "large", "small"]


def test_the_configuration_lists_models_of_unknown_size(tmp_path):
    write_runs(tmp_path)
    config = {"compared": ["small", "api", "large"]}
    write_run(tmp_path, "api", records_of_model(RIGHT["small"]), config=config)
    study = study_of(tmp_path)
    assert [one.label for one in study.models] == ["small", "api", "large"]
    assert (study.large.label, study.small.label) == ("large", "small")


def test_a_pair_needs_two_sizes(tmp_path):
    write_run(tmp_path, "large", records_of_model(RIGHT["large"]))
    assert "needs two models of different size" in texts(gap_section(study_of(tmp_path)))
    config = {"report": {"large": "absent", "small": "large"}}
    write_run(tmp_path, "small", records_of_model(RIGHT["small"]), config=config)
    assert "config.report.large is 'absent', expected one of the models" in texts(
        gap_section(study_of(tmp_path))
    )


def test_tags_sum_to_the_wrong_answers(study, workdir):
    found = grids(failure_section(study, tag_all(study, workdir)))
    rows = {row[0]: row[1:] for row in found["Failures by tag"].rows}
    # small: recognition 1 (F1), counting 6 (F2), signs 8 (F7).
    assert rows["F1 perception miss"] == ("1 (7%)", "0")
    assert rows["F2 counting"] == ("6 (40%)", "2 (33%)")
    assert rows["F7 wrong picture of several"] == ("8 (53%)", "4 (67%)")
    assert rows["All wrong answers"] == ("15", "6") and rows["Items"] == ("24", "24")
    # Both wrong: one of counting, four of signs. Independent: 6 / 24 * 15 / 24.
    agreement = found["Agreement of errors"].rows[0]
    assert agreement[:4] == ("large, small", "24", "20.8%", "15.6%")
    # Alike on 13: five that both get wrong and eight that both get right.
    observed, chance = 13 / 24, (6 * 15 + 18 * 9) / 24**2
    assert float(agreement[4]) == pytest.approx((observed - chance) / (1 - chance), abs=5e-3)
    assert agreement[5] == "100.0%"


def test_tags_by_hand_replace_those_of_rules(study, tmp_path):
    item = "test/driving/single/signs/00000"
    line = json.dumps({"item": item, "method": "small", "tag": "F10"})
    (tmp_path / "failure_tags.jsonl").write_text(line)
    tagged = tag_all(study, tmp_path)
    assert tagged["small"].wrong[item] == "F10" and tagged["large"].wrong[item] == "F7"


def test_spread_over_wordings(study):
    found = grids(sensitivity_section(study))
    rows = {row[0]: row[1:] for row in found["Spread over wordings"].rows}
    # large: 18, 18 and 16 of 24: mean 52 / 72, deviation of the sample 2 / 24 / sqrt(3).
    assert rows["large"][:2] == ("3", f"{100 * 52 / 72:.1f} ± {100 * 2 / 24 / 3**0.5:.1f}")
    # Two of its items (the first of counting and recognition) change with the wording.
    assert rows["large"][2:] == tuple(f"{100 * n / 24:.1f}" for n in (22, 16, 18))
    letters = {row[0]: row[1:] for row in found["Letters that models name"].rows}
    # 24 choices by letter: cat stands at B, dog at C; large errs once, small 3 + 1 times.
    assert letters["large"] == ("0.0", "95.8", "4.2", "0.0", "0.0")
    assert letters["small"] == ("0.0", "83.3", "16.7", "0.0", "0.0")
    assert letters["Right"] == ("0.0", "100.0", "0.0", "0.0", "–")


def test_baselines_that_hold(study):
    checks = {check.method: check for check in check_all(study)}
    assert [check.holds for check in checks.values()] == [True, True, True]
    assert checks["random"].chance == pytest.approx((8 / 4 + 16 / 5) / 24)
    assert checks["random"].value == 6 / 24
    text = verdict(list(checks.values()))
    assert text.startswith("Every baseline") and text.endswith("Not run: majority.")


def test_baselines_that_do_not_hold(tmp_path):
    for name, right in (("oracle", "11111110"), ("random", "11111111"), ("blind", "11111000")):
        rows = records_of_model(dict.fromkeys(("counting", "recognition", "signs"), right), 1)
        write_run(tmp_path, name, rows)
    checks = {check.method: check for check in check_all(study_of(tmp_path))}
    assert {name: check.holds for name, check in checks.items()} == dict.fromkeys(checks, False)
    assert len(checks["oracle"].cells) == 3
    assert checks["random"].p_value == 1 / (SAMPLES + 1)  # no simulated guesser is always right
    assert "Do not trust the scores" in verdict(list(checks.values()))
    comparison = collect(tmp_path, REPORT.layout).comparisons[0]
    assert finding(comparison).startswith("Do not trust the scores of this report yet: oracle does")


def test_cost(study):
    rows = grids(efficiency_section(study))["What each model costs"].rows
    assert rows == (
        ("small", "1 M", "37.5", "12", "0.75"),
        ("large", "9 M", "75.0", "12", "1.50"),
    )
    assert [(dot.label, dot.x[0], dot.y[0]) for dot in dots(study, "parameters")] == [
        ("small", 1e6, 37.5),
        ("large", 9e6, 75.0),
    ]
    assert dots(study, "prefill_ms") == []


def test_gallery_looks_at_right_and_wrong_alone(study, workdir):
    # Counting is the second of three: large is wrong on 6 and 7, small alone on 1 to 5.
    # 1.5 * 0.618 = 0.927: the last of two, and of five.
    found = chosen(study, ("general", "counting"), 1)
    assert [id[-1] for id in found.values()] == ["7", "5"]
    section = gallery_section(study, tag_all(study, workdir))
    cards = every(section.blocks, Gallery)[0].cards
    assert [len(card.samples) for card in cards] == [1, 2, 2]
    sample = cards[1].samples[0]
    assert sample.gold == "3" and sample.pictures[0].startswith("data:image/jpeg;base64,")
    assert [(a.label, a.text, a.state, a.right) for a in sample.answers] == [
        ("small", "3", "valid", True),
        ("large", "5", "F2 counting", False),
    ]
    assert cards[0].samples[0].question == "What is it? (bird / cat / dog / fish)"


def test_finding(study):
    text = finding(study.comparison)
    assert text.startswith("Over 24 items large scores 75.0% and small 37.5% (+37.5 points, ")
    assert "In none of 3 capabilities" in text
    assert "Both are wrong on 21% of the items (16% if errors were independent)" in text
    # Of eight right answers where two guesses are right, p = 2 / 2**6 * 3 > 0.05.
    assert like_guessing(study, study.large) == [
        ("general", "recognition"),
        ("general", "counting"),
        ("driving", "signs"),
    ]


def test_report_without_the_items(workdir):
    study = study_of(workdir, None)
    section = failure_section(study, {})
    assert "The items are not on this machine" in texts(section)
    assert [check.holds for check in check_all(study)] == [True, None, None]
    sample = every(gallery_section(study, {}).blocks, Gallery)[0].cards[1].samples[0]
    assert sample.pictures == () and sample.answers[1].right is False


def test_the_whole_report(tmp_path):
    write_runs(tmp_path)
    report = dataclasses.replace(REPORT, open_benchmark=lambda section: BENCHMARK)
    paths = write_report(tmp_path, report)
    page = paths["html"].read_text(encoding="utf-8")
    for name in ("capabilities", "gap", "failures", "sensitivity", "brackets", "efficiency"):
        assert f'<section id="{name}">' in page
    assert "small is wrong, large is right" in page
    saved = {path.stem for path in paths["figures"].iterdir()}
    assert {"gap", "gap_cells", "failures", "pareto_time", "cells_large"} <= saved
    results = json.loads(paths["results"].read_text())
    assert {run["method"] for run in results["runs"]} == {"oracle", "random", "blind", *RIGHT}
