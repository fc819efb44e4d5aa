"""Gates, attention and answers in the report; what anybody wrote stays text in every format."""

import dataclasses
import html.parser
import json

import numpy as np
import pytest

from mllm.benchmarks.photo.report import REPORT
from mllm.benchmarks.photo.report.critiques import critique_section
from mllm.benchmarks.photo.report.gallery import gallery_section, record_text
from mllm.benchmarks.photo.report.gates import between, gate_section, gates_of
from mllm.benchmarks.photo.report.picked import DEPENDS, RIGHT, WRONG, picked
from mllm.benchmarks.photo.report.readings import reading_section
from mllm.benchmarks.photo.report.sections import sections
from mllm.benchmarks.photo.report.study import Study
from mllm.benchmarks.photo.report.topics import topic_section
from mllm.reporting import collect, write_report
from mllm.reporting.figures import LIGHT
from mllm.reporting.section import Drawing, Gallery, Grid, Paragraph, every
from tests.benchmarks.photo import photo_invented as invented

HOSTILE = (
    "=cmd|'/C calc'!A0 <script>alert(1)</script><img src=\"http://example.com/leak.png\">"
    "\x1b[31m \\input{x} [l](javascript:1) | `"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory, photo_micro):
    """The folder of a study of three methods, and the records of the fused one."""
    workdir = tmp_path_factory.mktemp("photo") / "study"
    found = [
        invented.write_run(workdir, method, photo_micro, chance=chance)
        for method, chance in (("fused", 0.6), ("colour", None), ("wrong_photo", None))
    ]
    return workdir, found[0]


def study_of(workdir, benchmark=None) -> Study:
    return Study(collect(workdir, REPORT.layout).comparisons[0], benchmark)


@pytest.fixture(scope="module")
def study(made, photo_micro):
    return study_of(made[0], photo_micro)


def texts(section) -> str:
    return " ".join(block.text for block in every(section.blocks, Paragraph))


def test_gates_by_topic_are_the_means_over_its_questions(made, study):
    _, records = made
    grid = every(gate_section(study).blocks, Grid)[0]
    assert grid.heads[:4] == ("Topic", "Questions", "colour", "edges")
    rows = {row[0]: row for row in grid.rows}
    for topic in study.topics:
        asked = [r for r in records if r["reading"] == "text" and r["topic"] == topic]
        gates = 100 * np.stack([invented.gates_by_hand(r, 0) for r in asked]).astype(float)
        expected = [*gates.mean(1).mean(0), *gates[:, 0].mean(0), *gates[:, 1].mean(0)]
        spread = [*gates.mean(1).std(0), *gates[:, 0].std(0), *gates[:, 1].std(0)]
        shown = [tuple(map(float, cell.split(" ± "))) for cell in rows[topic][2:]]
        assert [mean for mean, _ in shown] == pytest.approx(expected, abs=0.06)
        assert [deviation for _, deviation in shown] == pytest.approx(spread, abs=0.06)
        assert rows[topic][1] == str(len(asked))


def test_the_share_between_topics_is_that_of_an_analysis_of_variance(study):
    found = gates_of(study.fused)
    values = found.gates.mean(1)[:, 0]
    within = sum(
        ((values[found.topics == topic] - values[found.topics == topic].mean()) ** 2).sum()
        for topic in set(found.topics)
    )
    assert between(found, 0) == pytest.approx(1 - within / ((values - values.mean()) ** 2).sum())
    even = dataclasses.replace(found, gates=np.full_like(found.gates, 0.5))
    assert between(even, 0) == 0


def test_without_gates_the_page_says_what_is_missing(tmp_path, photo_micro):
    invented.write_run(tmp_path, "fused", photo_micro, looks=False)
    study = study_of(tmp_path, photo_micro)
    assert "were not recorded for Fused" in texts(gate_section(study))
    assert "No attention was recorded" in texts(gallery_section(study))
    (path,) = tmp_path.rglob("records.jsonl")
    (path.parent / "looks.npz").write_bytes(b"PK damaged")
    assert "were not recorded for Fused" in texts(gate_section(study_of(tmp_path, photo_micro)))


def test_the_gallery_shows_right_wrong_and_wrong_photo_cases(made, study):
    _, records = made
    known = {r["key"]: r for r in records}
    found = picked(study, set())
    assert {kind for kind, _ in found} == {RIGHT, WRONG, DEPENDS}
    assert len({record["photo"] for _, record in found}) == len(found) > 6
    for kind, record in found:
        assert (known[record["key"]]["chosen"] == record["right"]) == (kind != WRONG)
    other = {r["question"]: r for r in study.subject("wrong_photo").asked()}
    for kind, record in found:
        if kind == DEPENDS:
            assert other[record["question"]]["chosen"] != record["right"]


def test_questions_of_which_most_is_known_come_first(study):
    plain = [record for kind, record in picked(study, set()) if kind == RIGHT]
    others = {
        r["key"] for r in study.fused.asked() if r["photo"] not in {p["photo"] for p in plain}
    }
    known = next(r for r in study.fused.asked() if r["key"] in others and r["chosen"] == r["right"])
    found = [record for kind, record in picked(study, {known["key"]}) if kind == RIGHT]
    assert found[0] == known and len(found) == len(plain)


def test_a_card_holds_photograph_attention_options_answers_and_critique(study, photo_micro):
    (gallery,) = every(gallery_section(study).blocks, Gallery)
    photos = {photo.id: photo for photo in photo_micro.photos("test")}
    described = {record["photo"] for record in study.fused.asked("critique")}
    before = []
    assert gallery.cards[0].subtitle.removeprefix("photograph ") in described
    for card in gallery.cards:
        question, look = card.samples
        photo = photos[card.subtitle.removeprefix("photograph ")]
        assert question.captions == ("photograph", "attention to colour", "attention to edges")
        assert all(uri.startswith("data:image/jpeg;base64,") for uri in question.pictures)
        assert question.question in {one.question for one in photo.questions}
        (bars,) = question.bars
        assert sum(share for _, share in bars.rows) == pytest.approx(1)
        assert [bars.rows[place][0] for place in bars.marked] == [question.gold]
        answers = {answer.label: answer for answer in question.answers}
        assert answers["Fused"].right == (not card.title.startswith(WRONG))
        chosen = max(bars.rows, key=lambda row: row[1])[0]
        assert answers["Fused"].text == chosen
        assert bool(answers["Wrong photo"].picture) == card.title.startswith(DEPENDS)
        labels = {one.label for one in look.answers}
        critique = {"Critique", "Covered"} if photo.id in described else set()
        assert {"Edits", "Licence"} | critique <= labels and ("Critique" in labels) == bool(
            critique
        )
        assert look.captions == ("before the edits",)
        before.append(look.pictures[0] != question.pictures[0])
        (gates,) = look.bars
        assert [name for name, _ in gates.rows] == [*invented.ENCODERS]
    assert sum(before) > len(before) / 2  # settings may also leave a photograph as it is


def test_records_of_edits_are_said_in_words(photo_micro):
    photo = next(iter(photo_micro.photos("test")))
    said = record_text(photo.record)
    for edit in photo.record["edits"]:
        assert edit["setting"].replace("_", " ") in said
    assert record_text({"camera": "box", "f": 8.0}) == "camera: box; f: 8"
    assert record_text({"edits": []}) == "none"


def test_without_the_data_set_only_what_was_recorded_is_shown(made):
    section = gallery_section(study_of(made[0]))
    assert "The data set is not on this machine" in texts(section)
    (gallery,) = every(section.blocks, Gallery)
    for card in gallery.cards:
        assert not card.samples[0].pictures
        assert card.samples[0].question.startswith("attribute ")


class Addresses(html.parser.HTMLParser):
    """Collect what a page would load or lead to, and its elements."""

    def __init__(self, text):
        super().__init__()
        self.found, self.tags = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.found += [v for name, v in attrs if name in ("src", "srcset", "href", "action")]


class Hostile:
    """A benchmark whose texts are hostile."""

    def __init__(self, benchmark):
        self.info = {"licences": {HOSTILE: HOSTILE}, "citation": "nobody, 2024"}
        self.fingerprint = benchmark.fingerprint
        self._photos = [_hostile(photo) for photo in benchmark.photos("test")]

    def photos(self, split):
        return self._photos


def _hostile(photo):
    questions = tuple(
        dataclasses.replace(
            one,
            question=HOSTILE + one.question,
            options=tuple(f"{HOSTILE}{at}" for at in range(4)),
            attribute=HOSTILE,
            subtopic=HOSTILE,
        )
        for one in photo.questions
    )
    record = {
        "edits": [{"operation": HOSTILE, "setting": HOSTILE, "parameters": {HOSTILE: HOSTILE}}]
    }
    return dataclasses.replace(photo, questions=questions, record=record, licence=HOSTILE)


def _texts_only(sweep, benchmark):
    """Every section that shows what a model or the data set wrote, without figures."""
    study = Study(sweep.comparisons[0], benchmark)
    made = (topic_section, reading_section, critique_section, gallery_section)
    return [make(study) for make in made]


def test_what_anybody_wrote_is_text_in_every_format(tmp_path, photo_micro):
    hostile = Hostile(photo_micro)
    for method in ("fused", "wrong_photo"):
        section = {"config": "photobench"}  # made records hold nothing that a person wrote
        invented.write_run(tmp_path, method, hostile, said=HOSTILE.__add__, section=section)
    report = dataclasses.replace(
        REPORT, sections=_texts_only, open_benchmark=lambda section: hostile
    )
    paths = write_report(tmp_path, report)
    page = paths["html"].read_text()
    assert page.count("&lt;script&gt;alert(1)") > 20
    found = Addresses(page)
    assert all(one.startswith(("data:image/", "#")) for one in found.found)
    assert "script" not in found.tags and "link" not in found.tags
    for name in ("html", "markdown", "latex", "csv"):
        text = paths[name].read_text()
        assert "\x1b" not in text
        assert name == "csv" or ("<script" not in text and '<img src="http' not in text)
    assert "](javascript" not in paths["markdown"].read_text()
    assert "\\input{x}" not in paths["latex"].read_text()
    cells = [cell for line in paths["csv"].read_text().splitlines() for cell in line.split(",")]
    assert not any(cell.lstrip('"').startswith("=") for cell in cells)


def test_exports_hold_the_numbers_of_the_page(made, photo_micro):
    workdir, _ = made
    report = dataclasses.replace(
        REPORT, sections=_texts_only, open_benchmark=lambda section: photo_micro
    )
    paths = write_report(workdir, report)
    study = study_of(workdir)
    entry = study.entry(study.fused, topic="Color")
    value, low = (f"{100 * number:.1f}" for number in (entry.value, entry.low))
    assert f"{value}<small>{low} – " in paths["html"].read_text().replace("</b>", "")
    for name in ("markdown", "latex"):
        assert value in paths[name].read_text() and low in paths[name].read_text()
    entries = json.loads(paths["results"].read_text())["runs"]
    count = sum(len(entry["scores"]) for entry in entries)
    assert len(paths["csv"].read_text().splitlines()) == 1 + count


def test_every_figure_draws_and_has_a_name_of_its_own(made, photo_micro):
    found = sections(collect(made[0], REPORT.layout), photo_micro)
    drawings = [one for section in found for one in every(section.blocks, Drawing)]
    names = [name for drawing in drawings for name in drawing.saved]
    assert len(set(names)) == len(names)
    assert set(names) >= {"fusion", "fusion_topics", "gates", "gates_layer1", "bank", "dependence"}
    for drawing in drawings:
        for panel in drawing.panels:
            assert panel.draw(LIGHT).axes and panel.text
