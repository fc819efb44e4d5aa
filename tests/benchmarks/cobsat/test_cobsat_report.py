"""The report, on invented answers by the real protocol and the real scores."""

import json

import pytest

from mllm.benchmarks.cobsat.judge import Judge
from mllm.benchmarks.cobsat.protocol import Protocol
from mllm.benchmarks.cobsat.report import REPORT
from mllm.benchmarks.cobsat.report.accuracy import prompt_table, side_table, task_table
from mllm.benchmarks.cobsat.report.corners import corner_section, dots
from mllm.benchmarks.cobsat.report.curve import curve_section, lines, settings
from mllm.benchmarks.cobsat.report.evidence import contrasts, evidence_section
from mllm.benchmarks.cobsat.report.failures import count_kinds, failure_section
from mllm.benchmarks.cobsat.report.finding import finding
from mllm.benchmarks.cobsat.report.finetuning import finetuning_section
from mllm.benchmarks.cobsat.report.gallery import gallery_section, picked, reconstructions
from mllm.benchmarks.cobsat.report.layout import BRACKETS
from mllm.benchmarks.cobsat.report.prompts import changes, prompt_section
from mllm.benchmarks.cobsat.report.sections import sections
from mllm.benchmarks.cobsat.report.study import Study
from mllm.benchmarks.cobsat.report.trust import check_all, trust_section, verdict
from mllm.reporting import collect, write_report
from mllm.reporting.section import Gallery, Grid, Paragraph, every
from tests.benchmarks.cobsat.invented import METHODS, chosen, write_run

PROTOCOL = Protocol(
    tasks=(1, 8), shots=(2, 4), types=("default", "misleading", "cot"), prompts=12, fewer=8
)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory, squares):
    folder = tmp_path_factory.mktemp("cobsat")
    for method in METHODS:
        write_run(folder, method, squares[1], PROTOCOL)
    return folder


def study_of(workdir, benchmark=None) -> Study:
    return Study(collect(workdir, REPORT.layout).comparisons[0], benchmark)


@pytest.fixture(scope="module")
def study(workdir, squares):
    return study_of(workdir, squares[1])


def texts(section) -> str:
    return " ".join(block.text for block in every(section.blocks, Paragraph))


def rows_of(table) -> dict[str, list[float | None]]:
    return {row.label: [entry.value for entry in row.entries] for row in table.rows}


def records_of(workdir, method):
    path = workdir / method / "eval" / "rounds" / "default" / "records.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_brackets_hold_and_stand_before_any_model(workdir, squares, study):
    checks = check_all(study)
    found = {(check.subject.key[0], check.mode): check.holds for check in checks}
    assert found["view", "image"] and ("view", "text") not in found
    assert all(
        found[name, mode]
        for name in ("oracle", "copy_last", "query_only")
        for mode in ("image", "text")
        if name != "query_only"
    )
    made = sections(collect(workdir, REPORT.layout), squares[1])
    assert [one.id for one in made][:3] == ["judge", "evidence", "accuracy"]


def test_a_blind_judge_is_named_before_any_model(tmp_path, squares):
    for method in ("oracle", "drawer"):
        write_run(tmp_path, method, squares[1], PROTOCOL, slips=0.5)
    study = study_of(tmp_path)
    said = verdict(study, check_all(study))
    assert "Oracle in image mode does not score what it must" in said
    assert "Not run: Unseen view, Reconstruction" in said
    assert "Brackets that do not score what they must: Oracle" in finding(study.comparison)


def test_accuracy_by_task_is_the_count_over_records(workdir, study):
    table = task_table(study, "image", "default", "2")
    assert [column.labels[0] for column in table.columns] == [
        "", "Infers the object", "Infers the detail"
    ]  # fmt: skip
    assert [column.labels[1] for column in table.columns] == ["All tasks", "Color-I", "Action-II"]
    for method, label in (("drawer", "Drawer"), ("blind", "Drawer, no pictures")):
        rows = [
            record
            for record in records_of(workdir, method)
            if (record["mode"], record["prompt"], record["shots"]) == ("image", "default", "2")
        ]
        for task, value in zip(("Color-I", "Action-II"), rows_of(table)[label][1:], strict=True):
            right = [record["metrics"]["overall"] for record in rows if record["task"] == task]
            assert len(right) == 12 and value == pytest.approx(sum(right) / 12)


def test_published_rows_are_marked_and_have_no_average_of_other_tasks(study):
    rows = rows_of(task_table(study, "image", "default", "2"))
    assert rows["SEED-LLaMA, published"] == [None, 0.681, 0.261]
    rows = rows_of(task_table(study, "text", "default", "4"))
    assert rows["Gemini, published"] == [None, 0.905, 0.819]
    kinds = {row.kind for row in task_table(study, "image", "default", "2").rows}
    assert kinds == {"chance", "bracket", "method", "reference"}
    # Ours are of two tasks, published averages of ten.
    for table in (prompt_table(study, "image", "2"), side_table(study, "image")):
        assert not any(row.kind == "reference" for row in table.rows)


def test_published_averages_stand_beside_ours_of_all_tasks(tmp_path, squares):
    protocol = Protocol(shots=(2,), types=("default", "misleading"), prompts=1)
    write_run(tmp_path, "drawer", squares[1], protocol)
    study = study_of(tmp_path)
    assert study.whole
    rows = rows_of(prompt_table(study, "image", "2"))
    assert rows["SEED-LLaMA, published"] == [0.309, 0.150]
    assert rows["Emu2, published"] == [0.036, None]
    rows = rows_of(side_table(study, "text"))
    assert rows["GILL, published"] == [0.039, None, None, 0.09, 0.43]
    assert settings(study) == ["2", "4", "6", "8"]
    known = {line.label: line.spans for line in lines(study, "image")}
    assert [span and span[0] for span in known["Emu2"]] == [pytest.approx(3.6), None, None, None]
    assert known["Drawer"][1:] == (None, None, None)
    assert {"SEED-LLaMA", "Drawer"} <= {dot.label for dot in dots(study, "image", "2")}


def test_other_prompts_than_the_published_have_no_published_rows(tmp_path, squares):
    protocol = Protocol(data="ft_test", shots=(2,), types=("default",), prompts=2)
    write_run(tmp_path, "drawer", squares[1], protocol)
    write_run(
        tmp_path, "ft_leave_one_out", squares[1], protocol, choose=lambda r, rng: chosen(r, rng, 1)
    )
    sweep = collect(tmp_path, REPORT.layout)
    study = Study(sweep.comparisons[0])
    assert not any(
        row.kind == "reference" for row in task_table(study, "image", "default", "2").rows
    )
    assert [line.reference for line in lines(study, "image")] == [False, False]
    section = finetuning_section(sweep.comparisons)
    whole, by_task = every(section.blocks, Grid)
    assert whole.rows[0][:3] == (
        "Fine-tuned, one theme left out",
        "All tasks, image, 2 shots",
        "20",
    )
    assert by_task.rows[0][:2] == ("Fine-tuned, one theme left out", "Color-I, image, 2 shots")
    assert "Color-I 74.8%" in texts(section)


def test_difference_from_controls_is_paired_prompt_by_prompt(workdir, study):
    found = contrasts(study, "image", "4")["other_theta"]
    kept = {}
    for method in ("drawer", "other_theta"):
        kept[method] = {
            (record["task"], record["number"]): record["metrics"]["overall"]
            for record in records_of(workdir, method)
            if (record["mode"], record["shots"], record["prompt"]) == ("image", "4", "default")
        }
    differences = [kept["drawer"][place] - value for place, value in kept["other_theta"].items()]
    assert found.n == 24 and found.difference == pytest.approx(sum(differences) / 24)
    assert found.low <= found.difference <= found.high
    assert "it learns from the pictures in its prompt" in finding(study.comparison)


def test_a_model_that_ignores_its_pictures_is_not_said_to_learn(tmp_path, squares):
    for method in ("drawer", "blind", "other_theta"):
        write_run(tmp_path, method, squares[1], PROTOCOL, choose=METHODS["query_only"])
    said = finding(study_of(tmp_path).comparison)
    assert "do not show that it learns" in said and "Drawings" not in said


def test_types_of_prompts_are_paired_on_the_samples_of_both(workdir, study):
    found = changes(study, study.drawer)
    one = found["text", "misleading", "2"]
    values = {}
    for record in records_of(workdir, "drawer"):
        if (record["mode"], record["shots"]) == ("text", "2"):
            place = (record["task"], record["number"])
            values.setdefault(record["prompt"], {})[place] = record["metrics"]["overall"]
    shared = [values["misleading"][p] - values["default"][p] for p in values["misleading"]]
    assert one.n == len(shared) == 16 < len(values["default"])
    assert one.difference == pytest.approx(sum(shared) / 16)


def test_kinds_of_failures_sum_to_the_wrong_answers(workdir, study):
    for prompt in ("default", "misleading"):
        records = study.drawer.asked(mode="image", prompt=prompt)
        wrong = sum(1 - record["metrics"]["overall"] for record in records)
        assert sum(count_kinds(study, records).values()) == wrong > 0
    assert count_kinds(study, study.drawer.asked(prompt="misleading"))["misled"] > 0
    copies = study.subject("copy_last").asked(mode="text", prompt="default")
    counted = count_kinds(study, copies)
    assert counted["last"] + counted["unread"] == len(copies)


def test_gallery_shows_prompts_truth_and_drawings(study):
    for at, task in enumerate(study.tasks):
        for title, record in picked(study, task, at):
            assert record["metrics"]["overall"] == title.startswith("Right")
    (gallery,) = every(gallery_section(study).blocks, Gallery)
    sample = gallery.cards[0].samples[0]
    assert len(sample.pictures) == len(sample.captions) == 2
    assert sample.gold_picture.startswith("data:image/jpeg")
    assert [answer.label for answer in sample.answers] == ["Drawer, image", "Drawer, text"]
    assert sample.answers[0].picture and sample.answers[0].text.startswith("judge: ")
    assert gallery.cards[-1].title == "One sample in every type of prompt"
    assert [len(one.answers) for one in gallery.cards[-1].samples] == [3, 3]


def test_reconstructions_stand_beside_the_true_pictures(study):
    cards = reconstructions(study)
    assert [card.title for card in cards] == [
        "What the codes keep: color",
        "What the codes keep: action",
    ]
    assert all(len(card.samples[0].pictures) == 10 for card in cards)


def test_without_a_judge_drawings_have_no_scores_and_no_zeros(tmp_path, squares):
    protocol = Protocol(tasks=(1,), shots=(2,), types=("default",), prompts=8,
                        judge=Judge(forms=()))  # fmt: skip
    for method in ("drawer", "blind"):
        write_run(tmp_path, method, squares[1], protocol)
    study = study_of(tmp_path, squares[1])
    assert study.modes == ("text",) and study.drawer.asked(mode="image") == []
    assert "image mode has no scores" in texts(trust_section(study))
    assert finding(study.comparison).startswith("Drawings were not judged")
    assert dots(study, "image", "2") == [] and lines(study, "image") == []
    for section in (evidence_section(study), failure_section(study), curve_section(study)):
        shown = json.dumps([grid.rows for grid in every(section.blocks, Grid)])
        assert "image" not in shown.lower()
    assert prompt_section(study) is None
    write_report(tmp_path, REPORT)


def test_image_mode_alone(tmp_path, squares):
    protocol = Protocol(tasks=(3,), shots=(2,), types=("default",), modes=("image",), prompts=6)
    write_run(tmp_path, "drawer", squares[1], protocol)
    study = study_of(tmp_path)
    assert study.modes == ("image",) and evidence_section(study) is None
    assert len(corner_section(study).blocks[0].panels) == 1
    page = write_report(tmp_path, REPORT)["html"].read_text()
    assert "Text mode" not in page


def test_nothing_but_brackets(tmp_path, squares):
    protocol = Protocol(tasks=(3,), shots=(2,), types=("default",), prompts=2)
    write_run(tmp_path, "oracle", squares[1], protocol)
    study = study_of(tmp_path)
    assert study.drawer is None and gallery_section(study) is None
    assert "No model was evaluated yet" in finding(study.comparison)
    write_report(tmp_path, REPORT)


HOSTILE = '<script>alert(1)</script><img src="http://example.com/leak.png">\x1b[31m'


def test_what_a_model_says_is_shown_as_text_in_every_format(tmp_path, squares):
    protocol = Protocol(tasks=(1,), shots=(2,), types=("default", "cot"), prompts=6)
    write_run(tmp_path, "drawer", squares[1], protocol, said=lambda text: HOSTILE + text)
    paths = write_report(tmp_path, REPORT)
    page = paths["html"].read_text()
    assert "&lt;script&gt;alert(1)" in page
    for name in ("html", "markdown", "latex", "csv"):
        text = paths[name].read_text()
        assert "<script" not in text and "\x1b" not in text and '<img src="http' not in text


@pytest.mark.thorough
def test_exports_hold_the_numbers_of_the_page(workdir, study):
    paths = write_report(workdir, REPORT)
    latex, markdown = paths["latex"].read_text(), paths["markdown"].read_text()
    value = f"{100 * study.entry(study.drawer, shots='2', mode='image').value:.1f}"
    assert value in latex and value in markdown and "SEED-LLaMA, published" in latex
    assert "θ" not in latex
    entries = json.loads(paths["results"].read_text())["runs"]
    count = sum(len(entry["scores"]) for entry in entries)
    assert len(paths["csv"].read_text().splitlines()) == 1 + count
    assert {entry["method"] for entry in entries} == {*BRACKETS, "drawer"}
