"""Importers: files as people have them become items; damaged files are named errors."""

import base64
import csv
import io
import json
import re

import numpy as np
import odd_pictures
import pytest
from PIL import Image

from mllm.benchmarks.scale.imported import prepare_imported
from mllm.benchmarks.scale.importers import IMPORTERS, read_jsonl, read_tsv, rows
from mllm.benchmarks.scale.item import from_row, to_row
from mllm.benchmarks.scale.scorers import score
from mllm.data.images import decode


def picture(seed=0, format="PNG", size=(40, 30)):
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format)
    return stream.getvalue()


def text(data):
    return base64.b64encode(data).decode()


def write_tsv(path, *table):
    """Write rows as pandas does: tabs, quotes where a value needs them."""
    columns = list(dict.fromkeys(key for row in table for key in row))
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
    return path


def write_jsonl(path, *table):
    path.write_text("".join(json.dumps(row) + "\n" for row in table), encoding="utf-8")
    return path


def choice(**changes):
    row = {"index": "1", "image": text(picture()), "question": "What is it?", "A": "a cat",
           "B": "a dog", "answer": "B"}  # fmt: skip
    return row | changes


def test_choices_hints_and_categories_of_a_tsv(tmp_path):
    path = write_tsv(
        tmp_path / "MMBench.tsv",
        choice(hint='Look at the "ears".\nBoth of them.', category="animals", C="", D=""),
        choice(index="2", answer="A", C="a cow", D="a hen"),
    )
    first, second = read_tsv(path)
    assert first.id == "MMBench/1" and first.suite == "MMBench"
    assert (first.format, first.capability, first.kind) == ("single", "animals", "choice")
    assert first.options == first.candidates == ("a cat", "a dog")
    assert first.answers == ("a dog",)
    assert first.layout == (0, 'Hint: Look at the "ears".\nBoth of them.')
    assert first.pictures == (picture(),)
    assert second.options == ("a cat", "a dog", "a cow", "a hen") and second.answers == ("a cat",)
    assert second.capability == "uncategorised" and second.layout == (0,)
    assert from_row(to_row(first)) == first


def test_rows_of_a_tsv_share_pictures_and_hold_several(tmp_path):
    several = [text(picture(seed)) for seed in (1, 2, 3)]
    path = write_tsv(
        tmp_path / "set.tsv",
        choice(index="10", image="30"),  # of a later row
        choice(index="20", image=str(several)),
        choice(index="30", image=text(picture(5))),
        choice(index="40", image="20"),
        choice(index="50", image="data:image/png;base64," + text(picture(6))),
    )
    items = list(read_tsv(path))
    assert items[0].pictures == items[2].pictures == (picture(5),)
    assert items[1].pictures == items[3].pictures == tuple(picture(k) for k in (1, 2, 3))
    assert items[1].format == "multi" and items[1].layout == (0, 1, 2)
    assert items[4].pictures == (picture(6),)


@pytest.mark.parametrize(
    "answer, kind, answers",
    [
        ("Yes", "yes_no", ("yes",)),
        ("7", "number", ("7",)),
        ("1,250.5", "number", ("1,250.5",)),
        ("a red bus", "text", ("a red bus",)),
        ("['bus', 'red bus']", "text", ("bus", "red bus")),
    ],
)
def test_answers_without_options(tmp_path, answer, kind, answers):
    row = {"index": "1", "image": text(picture()), "question": "What?", "answer": answer}
    (item,) = read_tsv(write_tsv(tmp_path / "open.tsv", row))
    assert (item.kind, item.answers, item.options) == (kind, answers, ())
    assert score(item, answers[-1]).value == 1
    (item,) = read_tsv(tmp_path / "open.tsv", kind="transcript", name="other")
    assert (item.kind, item.tag, item.id) == ("transcript", "F4", "other/1")


def test_a_tsv_with_paths(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(picture(1, "JPEG"))
    (tmp_path / "images" / "b.webp").write_bytes(picture(2, "WEBP"))
    row = {"index": "1", "question": "Which?", "answer": "yes"}
    path = write_tsv(tmp_path / "p.tsv", row | {"image_path": "['images/a.jpg', 'images/b.webp']"})
    (item,) = read_tsv(path)
    assert item.pictures[0] == picture(1, "JPEG")
    with Image.open(io.BytesIO(item.pictures[1])) as image:
        assert image.format == "PNG" and image.size == (40, 30)


def test_lines_of_a_jsonl(tmp_path):
    for seed in range(3):
        (tmp_path / f"{seed}.png").write_bytes(picture(seed))
    path = write_jsonl(
        tmp_path / "mine.jsonl",
        {"image": "0.png", "question": "How many?", "answer": 3},
        {"id": "x", "images": ["1.png", "2.png"], "question": ["Which?", "Which one?"],
         "options": ["left", "right"], "answer": "right", "category": "sides"},
        {"images": ["1.png", "2.png"], "question": "Then?", "answer": "no", "times": [0, 1.5]},
        {"images": ["1.png", "2.png"], "question": "C?", "answer": ["a", "b"],
         "layout": ["This:", 1, "or this:", 0]},
    )  # fmt: skip
    one, two, three, four = read_jsonl(path)
    assert (one.id, one.kind, one.answers, one.format) == ("mine/1", "number", ("3",), "single")
    assert (two.id, two.kind, two.answers) == ("mine/x", "choice", ("right",))
    assert two.questions == ("Which?", "Which one?") and two.capability == "sides"
    assert (three.format, three.times, three.kind) == ("frames", (0, 1.5), "yes_no")
    assert (four.format, four.layout) == ("interleaved", ("This:", 1, "or this:", 0))
    assert set(IMPORTERS) == {".tsv", ".jsonl"}


def damaged(data):
    return data[: len(data) // 2]


TSV_FAULTS = {
    "answer of no option": (choice(answer="C"), "answer", "'C'", "a letter A-B"),
    "no answer": (choice(answer=""), "answer", "''", "a text that is not empty"),
    "no question": (choice(question=" "), "question", "' '", "a text"),
    "no picture": (choice(image=""), "image", "''", "a picture"),
    "no base64": (choice(image="?" * 100), "image", "'???", "base64"),
    "no such row": (choice(image="77"), "image", "'77'", "the index of a row"),
    "itself": (choice(image="1"), "image", "'1'", "the index of a row"),
    "cut off": (choice(image=text(damaged(picture()))), "image", "bytes", "whole"),
    "no image": (choice(image=text(b"not an image" * 9)), "image", "108 bytes", "a picture"),
    "a gap": (choice(B="", C="a cow", answer="A"), "B", "''", "an option"),
    "too large": (
        choice(image=text(picture(size=(90, 90)))), "image", "90 x 90 pixels", "at most 5000",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", TSV_FAULTS)
def test_a_damaged_row_is_named(tmp_path, monkeypatch, fault):
    monkeypatch.setattr(rows, "MOST_PIXELS", 5000)
    row, column, found, expected = TSV_FAULTS[fault]
    good = [choice(index="0", hint="two\nlines"), choice(index="9")]
    path = write_tsv(tmp_path / "bad.tsv", good[0], row, good[1])
    where = f"{path}, line 4, column {column!r}: found "  # the row before has two lines
    with pytest.raises(ValueError, match=re.escape(where)) as error:
        list(read_tsv(path))
    assert found in str(error.value) and expected in str(error.value)
    assert len(str(error.value)) < 600
    reported = []
    assert [item.id for item in read_tsv(path, skip=reported.append)] == ["bad/0", "bad/9"]
    assert reported == [str(error.value)]


def test_options_that_are_equal_are_named(tmp_path):
    path = write_tsv(tmp_path / "bad.tsv", choice(B="a cat"))
    with pytest.raises(ValueError, match=r"bad\.tsv, line 2: .*options.*different"):
        list(read_tsv(path))


def test_an_index_twice_is_named(tmp_path):
    path = write_tsv(tmp_path / "bad.tsv", choice(), choice())
    with pytest.raises(ValueError, match=r"line 3, column 'index': found '1'"):
        list(read_tsv(path))


def test_a_tsv_without_its_columns_is_named(tmp_path):
    path = write_tsv(tmp_path / "bad.tsv", {"index": "1", "question": "What?"})
    with pytest.raises(ValueError, match=r"line 1: .*'answer', 'image or image_path'"):
        list(read_tsv(path))
    with pytest.raises(FileNotFoundError, match=r"none\.tsv"):
        list(read_tsv(tmp_path / "none.tsv"))
    (tmp_path / "bytes.tsv").write_bytes(b"index\tquestion\tanswer\timage\n1\t\xff\xfe\tA\t\n")
    with pytest.raises(ValueError, match=r"bytes\.tsv, line \d: .*UTF-8"):
        list(read_tsv(tmp_path / "bytes.tsv"))
    (tmp_path / "wide.tsv").write_text("index\tquestion\tanswer\timage\n1\tq\ta\tb\tc\n")
    with pytest.raises(ValueError, match=r"line 2, .*as many columns"):
        list(read_tsv(tmp_path / "wide.tsv"))


def line(**changes):
    return {"image": "a.png", "question": "What?", "answer": "a cat"} | changes


JSONL_FAULTS = {
    "up": (line(image="../secret.png"), "images", "'../secret.png'", "a path within"),
    "absolute": (line(image="/etc/hostname"), "images", "'/etc/hostname'", "a path within"),
    "linked": (line(image="link.png"), "images", "'link.png'", "a path within"),
    "absent": (line(image="b.png"), "images", "'b.png'", "a file"),
    "folder": (line(image="."), "images", "'.'", "a file"),
    "no path": (line(image=None), "images", "None", "the path of a picture"),
    "no paths": (line(images=[]), "images", "[]", "a list of paths"),
    "zero byte": (line(image="a\0.png"), "images", "a\\x00.png", "the path of a picture"),
    "broken": (line(image="broken.png"), "images", "'broken.png'", "whole"),
    "empty": (line(image="empty.png"), "images", "'empty.png'", "a picture"),
    "large file": (line(image="large.png"), "images", "'large.png'", "at most 20000 bytes"),
    "question": (line(question=7), "question", "7", "a text"),
    "answer": (line(answer={}), "answer", "{}", "a text"),
    "no answer": ({"image": "a.png", "question": "What?"}, "answer", "None", "a text"),
    "options": (line(options="AB"), "options", "'AB'", "a list of texts"),
    "nine options": (line(options=list("abcdefghi")), "options", "9", "at most 8"),
    "kind": (line(kind="guess"), "kind", "'guess'", "one of"),
    "format": (line(kind="format"), "kind", "'format'", "one of"),
    "no number": (line(kind="number"), "answer", "'a cat'", "kind 'number', such as 7"),
    "no box": (line(kind="box"), "answer", "'a cat'", "such as [10, 20, 30, 40]"),
    "no order": (line(kind="order"), "answer", "'a cat'", "such as 2, 1, 3"),
    "neither": (line(kind="yes_no"), "answer", "'a cat'", "such as yes"),
    "times": (line(times=["soon"]), "times", "['soon']", "a list of seconds"),
    "layout": (line(layout=[0, None]), "layout", "[0, None]", "texts and numbers"),
}


@pytest.mark.parametrize("fault", JSONL_FAULTS)
def test_a_damaged_line_is_named(tmp_path, monkeypatch, fault):
    monkeypatch.setattr(rows, "MOST_BYTES", 20000)
    folder = tmp_path / "set"
    folder.mkdir()
    (tmp_path / "secret.png").write_bytes(picture())
    (folder / "a.png").write_bytes(picture())
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "broken.png").write_bytes(damaged(picture()))
    (folder / "empty.png").write_bytes(b"")
    (folder / "large.png").write_bytes(picture(size=(100, 100)))
    row, column, found, expected = JSONL_FAULTS[fault]
    path = write_jsonl(folder / "bad.jsonl", line(), row, line())
    where = f"{path}, line 2, column {column!r}: found "
    with pytest.raises(ValueError, match=re.escape(where)) as error:
        list(read_jsonl(path))
    assert found in str(error.value) and expected in str(error.value)
    assert len(list(read_jsonl(path, skip=lambda message: None))) == 2


@pytest.mark.parametrize(
    "data", [b"{", b"[1]", b"\xff", b'{"a":' * 3000, b"nonsense"], ids=range(5)
)
def test_a_line_that_is_not_an_object_is_named(tmp_path, data):
    (tmp_path / "bad.jsonl").write_bytes(b"\n" + data + b"\n")
    with pytest.raises(ValueError, match=r"bad\.jsonl, line 2: found .*, expected an object"):
        list(read_jsonl(tmp_path / "bad.jsonl"))


def test_a_layout_shows_each_picture_once(tmp_path):
    (tmp_path / "a.png").write_bytes(picture())
    path = write_jsonl(tmp_path / "bad.jsonl", line(layout=[0, "again", 0]))
    with pytest.raises(ValueError, match=r"bad\.jsonl, line 1: .*layout"):
        list(read_jsonl(path))


def test_absolute_paths_are_read_where_the_user_allows_them(tmp_path):
    (tmp_path / "a.png").write_bytes(picture())
    (tmp_path / "set").mkdir()
    path = write_jsonl(tmp_path / "set" / "x.jsonl", line(image=str(tmp_path / "a.png")))
    (item,) = read_jsonl(path, absolute=True)
    assert item.pictures == (picture(),)
    path = write_jsonl(tmp_path / "set" / "y.jsonl", line())
    (item,) = read_jsonl(path, folder=tmp_path)
    assert item.pictures == (picture(),)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
def test_damaged_bytes_are_errors_of_the_row(tmp_path, format):
    whole, random = picture(format=format), np.random.default_rng(0)
    place = rows.Place(tmp_path / "x.tsv", 3, tmp_path)
    for _ in range(60):
        data = np.frombuffer(whole, np.uint8).copy()
        data[random.integers(len(data), size=4)] = random.integers(256, size=4)
        cut = random.integers(1, len(data) + 1)
        try:
            assert place.check(data[:cut].tobytes(), "image")
        except ValueError as error:
            assert str(error).startswith(f"{tmp_path / 'x.tsv'}, line 3, column 'image': found ")


@pytest.mark.filterwarnings("ignore")  # of Pillow, about EXIF data
def test_odd_pictures_are_stored_as_they_are_shown_or_are_errors_of_the_row(tmp_path):
    place = rows.Place(tmp_path / "x.tsv", 3, tmp_path)
    for name, data in odd_pictures.SHOWN.items():
        stored = place.check(data, "image")
        assert stored.startswith((b"\x89PNG", b"\xff\xd8")), name
        for alpha in ("white", "drop"):
            found, expected = decode(stored, alpha=alpha), decode(data, alpha=alpha)
            assert found.tobytes() == expected.tobytes(), (name, alpha)
    for name, data in odd_pictures.REFUSED.items():
        with pytest.raises(ValueError, match=r"x\.tsv, line 3, column 'image': found "):
            pytest.fail(f"{name}: {place.check(data, 'image')[:9]}")


def test_pointers_in_the_place_of_files_are_named(tmp_path):
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n"
    (tmp_path / "a.png").write_bytes(pointer)
    path = write_jsonl(tmp_path / "x.jsonl", line())
    with pytest.raises(ValueError, match=r"x\.jsonl, line 1, column 'images': .*git lfs pull"):
        list(read_jsonl(path))
    for name in ("x.jsonl", "x.tsv"):
        (tmp_path / name).write_bytes(pointer)
        with pytest.raises(ValueError, match=rf"{name}: is a Git LFS pointer"):
            prepare_imported(tmp_path / "data", tmp_path / name)
