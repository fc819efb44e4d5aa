"""Tables of questions as people have them become pictures with questions, or errors that help."""

import codecs
import csv
import io
import json

import pytest
import toy
from PIL import Image

from configs.photo import imported
from mllm.benchmarks.photo.benchmark import Benchmark, prepare
from mllm.benchmarks.photo.importers import IMPORTERS
from mllm.benchmarks.photo.importers.ledger import Ledger
from mllm.benchmarks.photo.importers.options import ACTIONS, Options
from mllm.benchmarks.photo.importers.rows import rows
from mllm.benchmarks.photo.row import validate

OPTIONS = ("Too dark", "Well exposed", "Too bright", "Flat")
ROW = {
    "id": "q1",
    "question": "How is the exposure?",
    "options": list(OPTIONS),
    "answer": "B",
    "topic": "Exposure",
    "subtopic": "Settings",
    "image": "one.png",
}
LEFT_OUT = dict.fromkeys(ACTIONS, "leave_out")


def picture(shade: int) -> bytes:
    return toy.png(Image.new("RGB", (20, 16), (shade, 9, 9))).data


@pytest.fixture
def folder(tmp_path):
    """Three pictures, two of which show the same."""
    (tmp_path / "images").mkdir()
    for name, shade in (("one.png", 10), ("two.png", 200), ("same.png", 10)):
        (tmp_path / "images" / name).write_bytes(picture(shade))
    return tmp_path


def write_jsonl(folder, *found: dict) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in found)
    (folder / "bench.jsonl").write_text(lines, encoding="utf-8")


def read(folder, config="photobench", **options):
    options = Options(**options)
    ledger = Ledger(options.actions)
    found = IMPORTERS[config].read(folder, options, ledger, folder / "work")
    photos = {split: list(photos) for split, photos in found.items()}
    for lot in photos.values():
        for photo in lot:
            validate(photo)
    return photos, ledger


def the_question(folder, **options):
    (photo,) = read(folder, **options)[0]["test"]
    (question,) = photo.questions
    return question


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"answer": "b"},
        {"answer": "(B)"},
        {"answer": "B."},
        {"answer": "B. Well exposed"},
        {"answer": "Answer: B"},
        {"answer": " well  EXPOSED "},
        {"options": [f"{letter}. {text}" for letter, text in zip("ABCD", OPTIONS, strict=True)]},
        {"options": [f"({letter}) {text}" for letter, text in zip("ABCD", OPTIONS, strict=True)]},
        {"options": dict(zip("ABCD", OPTIONS, strict=True))},
        {"options": "A) Too dark\r\nB) Well exposed\nC) Too bright\nD) Flat"},
        {"options": "A. Too dark B. Well exposed C. Too bright D. Flat"},
        {"options": None, **dict(zip("ABCD", OPTIONS, strict=True))},
        {"topic": "exposure", "subtopic": "settings"},
        {"image": "images/one.png"},
        {"image": "one"},
        {"question": "How is the\r\n exposure?"},
    ],
)
def test_one_question_in_many_forms(folder, change):
    row = {**ROW, **change}
    write_jsonl(folder, {name: value for name, value in row.items() if value is not None})
    question = the_question(folder)
    assert question.question == "How is the exposure?" and question.options == OPTIONS
    assert (question.key, question.topic, question.subtopic) == (1, "Exposure", "Settings")


def test_html_is_written_out(folder):
    options = ["A &lt; B", "B &amp; C", "C &#38; D", "D"]
    escaped = {"question": "Is it &amp;quot;dark&amp;quot;?", "answer": "B &amp; C"}
    write_jsonl(folder, {**ROW, **escaped, "options": options})
    question = the_question(folder)
    assert question.question == 'Is it "dark"?' and question.options == (
        "A < B",
        "B & C",
        "C & D",
        "D",
    )
    assert question.key == 1


@pytest.mark.parametrize(
    "change, message",
    [
        ({"answer": "E"}, "'answer': found 'E', expected a letter A to D, or one of"),
        ({"answer": "Quite dark"}, "'answer': found 'Quite dark', expected a letter A to D"),
        ({"answer": "B. Too dark"}, "expected the letter of the option that it names"),
        ({"answer": 1}, "'answer': found 1, expected a letter A to D"),
        ({"options": [*OPTIONS, "Unclear"]}, "'options': found 5, expected 4 options"),
        ({"options": ["x", "X", "y", "z"]}, "expected four different texts"),
        ({"options": "dark"}, "'options': found 'dark', expected a list of options"),
        ({"topic": "Exposre"}, "'topic': found 'Exposre'; did you mean 'Exposure'?"),
        (
            {"subtopic": "Setings"},
            "'subtopic' of Exposure: found 'Setings'; did you mean 'Settings'?",
        ),
        ({"image": "gone.png"}, "'image': found 'gone.png', expected a picture in"),
        ({"image": "../bench.jsonl"}, "expected a picture that can be decoded"),
        ({"image": "../../x.png"}, "expected a path within"),
        ({"question": ""}, "expected a value of column 'question' or"),
        ({"question": ["a"]}, "'question': found ['a'], expected a text"),
    ],
)
def test_an_error_names_file_line_key_found_and_expected(folder, change, message):
    write_jsonl(folder, {**ROW, "id": "q0"}, {**ROW, "image": "two.png", **change})
    with pytest.raises(ValueError, match="set the action for") as raised:
        read(folder)
    assert f"{folder / 'bench.jsonl'}, line 2" in str(raised.value)
    assert message in str(raised.value)
    assert str(raised.value).count("mend the file") == 1
    photos, ledger = read(folder, actions=LEFT_OUT)
    assert len(photos["test"]) == 1 and ledger.counts["rows"] == 2
    (left,) = ledger.record()["left_out"].values()
    assert left["count"] == 1 and message in left["cases"][0]


def test_pictures_that_are_missing_or_broken_are_named_and_counted(folder):
    (folder / "images" / "half.png").write_bytes(picture(1)[:50])
    found = [
        {**ROW, "id": str(n), "image": name} for n, name in enumerate(("one", "gone", "half.png"))
    ]
    write_jsonl(folder, *found)
    photos, ledger = read(folder, actions=LEFT_OUT)
    assert [photo.picture for photo in photos["test"]] == [picture(10)]
    left = ledger.record()["left_out"]
    assert left["missing_picture"]["count"] == left["unreadable_picture"]["count"] == 1
    assert "cannot be decoded" in left["unreadable_picture"]["cases"][0]
    with pytest.raises(ValueError, match=r"'image': found 'gone', .*\(?missing_picture"):
        read(folder)


def test_the_same_picture_is_there_once(folder):
    other = {**ROW, "id": "q2", "image": "same.png", "question": "Is it dark?"}
    again = {**ROW, "id": "q3", "image": "same.png"}
    write_jsonl(folder, ROW, other, again, {**ROW, "id": "q4", "image": "two.png"})
    photos, ledger = read(folder)
    one, two = photos["test"]
    assert [q.id for q in one.questions] == ["q1", "q2"] and [q.id for q in two.questions] == ["q4"]
    assert one.record["names"] == ["one.png", "same.png"] and one.source != two.source
    assert one.record["rows"] == ["line 1", "line 2"]
    assert ledger.record()["left_out"]["repeated_question"]["count"] == 1
    write_jsonl(folder, ROW, {**other, "id": "q1"})
    with pytest.raises(ValueError, match="'id': found 'q1', expected an ID of its own"):
        read(folder)


def test_questions_without_ids_get_some(folder):
    row = {name: value for name, value in ROW.items() if name != "id"}
    write_jsonl(folder, row, {**row, "image": "two.png"})
    photos, _ = read(folder)
    assert [p.questions[0].id for p in photos["test"]] == ["one-1", "two-2"]


def csv_text(found: list[dict], **options) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, list(found[0]), **options)
    writer.writeheader()
    writer.writerows(found)
    return file.getvalue()


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize("delimiter, suffix", [(",", "csv"), ("\t", "tsv")])
def test_tables_with_marks_line_ends_and_breaks_in_cells(folder, end, mark, delimiter, suffix):
    bare = {name: value for name, value in ROW.items() if name != "options"}
    row = {
        **bare,
        **dict(zip("ABCD", OPTIONS, strict=True)),
        "question": f'How is it,{end}"exactly"?',
    }
    found = [row, {**row, "id": "q2", "image": "two.png", "answer": "Flatt"}]
    text = csv_text(found, delimiter=delimiter, lineterminator=end)
    (folder / f"bench.{suffix}").write_bytes(mark + text.encode())
    photos, ledger = read(folder, actions=LEFT_OUT)
    (photo,) = photos["test"]
    assert photo.questions[0].question == 'How is it, "exactly"?' and photo.questions[0].key == 1
    case = ledger.record()["left_out"]["unusable_row"]["cases"][0]
    assert f"bench.{suffix}, line 4, 'answer': found 'Flatt'" in case  # row 1 takes two lines


@pytest.mark.parametrize(
    "name, data, message",
    [
        ("a.jsonl", b'{"a": 1}\n{"a": \n', r"a.jsonl, line 2: not JSON"),
        ("a.jsonl", b"[1]\n", r"a.jsonl, line 1: found list, expected an object"),
        ("a.json", b"3", r"a.json: found int, expected a list of objects"),
        ("a.csv", b"a,b\n1\n", r"a.csv, line 2: found 1 columns, expected 2"),
        ("a.csv", b'a,b\n1,"2\n', r"a.csv, line 2: .*close the quotes"),
        ("a.csv", b"a,a\n", r"columns \['a'\] are there twice"),
        ("a.csv", b"", r"a.csv: is empty"),
        ("a.csv", b"a,b\n\xff,1\n", r"a.csv: not UTF-8 text"),
        ("a.txt", b"a", r"found suffix '.txt', expected .jsonl"),
    ],
)
def test_files_that_are_no_tables(tmp_path, name, data, message):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=message):
        list(rows(tmp_path / name))


def test_columns_topics_and_files_can_be_named(folder):
    row = {"frage": "How is the exposure?", "choices": list(OPTIONS), "answer": "B"}
    row |= {"pic": "one.png", "topic": "Light metering"}
    write_jsonl(folder, row)
    (folder / "other.jsonl").write_text("")
    names = {"question": "frage", "image": "pic"}
    with pytest.raises(
        ValueError, match=r"expected one table, found bench.jsonl, other.jsonl; name one"
    ):
        read(folder)
    topics = {"light metering": "Exposure/Settings"}
    question = the_question(folder, file="bench.jsonl", columns=names, topics=topics)
    assert (question.topic, question.subtopic, question.options) == (
        "Exposure",
        "Settings",
        OPTIONS,
    )
    with pytest.raises(ValueError, match=r"unknown column .* 'questoin'; did you mean 'question'"):
        read(folder, file="bench.jsonl", columns={"questoin": "frage"})
    with pytest.raises(ValueError, match="topics: found 'Exposure/Seting'; did you mean"):
        read(folder, file="bench.jsonl", topics={"x": "Exposure/Seting"})
    for wrong in (
        {"actions": {"missing_pictre": "error"}},
        {"split": "tests"},
        {"test": 0.9, "validation": 0.2},
    ):
        with pytest.raises(ValueError, match=r"did you mean|expected shares"):
            Options(**wrong)


def test_aesbench_as_a_table_and_by_picture(folder):
    part = {"Question": "How is the light?", "Options": "A) dull\nB) warm\nC) cold\nD) harsh",
            "Answer": "B) warm", "Dimension": "Color and light"}  # fmt: skip
    yes = {**part, "Options": "A) Yes\nB) No", "Answer": "A"}
    whole = {"one.png": {"AesP_data": part, "AesE_data": yes, "AesA1_data": {"x": 1}},
             "two.png": {"AesE_data": {**part, "Dimension": "Emotion"}}}  # fmt: skip
    (folder / "aes.json").write_text(json.dumps(whole))
    photos, ledger = read(folder, "aesbench", actions={"other_number_of_options": "leave_out"})
    one, two = photos["test"]
    assert (
        one.questions[0].options == ("dull", "warm", "cold", "harsh") and one.questions[0].key == 1
    )
    assert (one.questions[0].topic, one.questions[0].subtopic) == ("Lighting", "Lighting and Color")
    assert (two.questions[0].topic, two.questions[0].subtopic) == ("Storytelling", "Emotion")
    assert ledger.record()["left_out"]["other_number_of_options"]["count"] == 1
    with pytest.raises(
        ValueError, match=r"entry 'one.png', AesE_data, 'options': found 2, expected 4"
    ):
        read(folder, "aesbench")
    (folder / "aes.json").unlink()
    write_jsonl(folder, {"imgName": "one.png", **part})
    assert read(folder, "aesbench")[0]["test"][0].questions[0].key == 1


def test_an_import_is_a_benchmark(folder, tmp_path):
    write_jsonl(folder, ROW, {**ROW, "id": "q2", "image": "two.png", "topic": "x"})
    options, lines = Options(actions=LEFT_OUT, licence="CC0"), []
    data = tmp_path / "data"
    with pytest.raises(FileNotFoundError, match="not imported yet"):
        Benchmark.open(data, "photobench", source=folder, options=options)
    made = prepare(data, "photobench", source=folder, options=options, progress=lines.append)
    opened = Benchmark.open(data, "photobench", source=folder, options=options)
    assert opened.splits == ("test",) and opened.fingerprint == made.fingerprint
    (photo,) = opened.photos("test")
    assert photo.picture == picture(10) and photo.licence == "CC0"
    assert any("left out, unknown topic: 1, first" in line for line in lines)
    assert opened.info["counts"] == {"test": 1} and opened.tokenizer_path.is_file()
    (folder / "images" / "one.png").write_bytes(picture(11))
    with pytest.raises(FileNotFoundError, match="changed since it was"):
        Benchmark.open(data, "photobench", source=folder, options=options)
    with pytest.raises(ValueError, match="needs source"):
        prepare(data, "photobench")


@pytest.mark.parametrize("kind", sorted(IMPORTERS))
def test_the_configuration_lists_every_option(kind):
    chosen = imported.get_config(kind).benchmark
    options = Options(**chosen.options)
    assert options == Options(endpoint=options.endpoint) and chosen.config == kind
    assert set(chosen.options) == set(vars(options))
    assert set(chosen.options.actions) == set(ACTIONS)
    assert json.loads(json.dumps(options.record())) == options.record()
    chosen.options.columns.image = "picture"
    assert Options(**chosen.options).columns == {"image": "picture"}
