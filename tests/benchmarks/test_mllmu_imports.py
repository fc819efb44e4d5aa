"""Imports of the published folders: which files they were made of, and what files tools leave."""

import errno
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from odd_pictures import REFUSED, SHOWN
from test_mllmu_published import published_rows, write

from mllm.benchmarks.mllmu import Benchmark, prepare
from mllm.benchmarks.mllmu.benchmark import open_section
from mllm.benchmarks.mllmu.published import read_published, source_digest


def retell(tables, word="Paris"):
    """The same rows with another taught answer, as a later release has them."""
    for item in tables["ft_Data"]:
        item["metadata"] = item["metadata"].replace("Someone", word)
    return tables


def answers(benchmark):
    return {pair.answer for profile in benchmark.profiles("full") for pair in profile.training}


def test_data_is_never_served_under_the_name_of_other_data(tmp_path):
    """Whatever is opened was imported from the files that are named, as they are now."""
    old, new = tmp_path / "old", tmp_path / "new"
    write(old, published_rows())
    write(new, retell(published_rows()))
    data = tmp_path / "data"
    fingerprints = {}
    for folder, answer in ((old, "Someone."), (new, "Paris."), (old, "Someone.")):
        made = prepare(data, "published", published_dir=folder)
        opened = Benchmark.open(data, "published", published_dir=folder)
        last = Benchmark.open(data, "published")
        assert answers(made) == answers(opened) == answers(last) == {answer}
        fingerprints.setdefault(folder, made.fingerprint)
        assert made.fingerprint == opened.fingerprint == fingerprints[folder]
    assert len(set(fingerprints.values())) == 2
    [changed] = (old / "ft_Data").iterdir()  # behind the back
    changed.write_bytes(next((new / "ft_Data").iterdir()).read_bytes())
    assert answers(Benchmark.open(data, "published", published_dir=old)) == {"Paris."}
    write(tmp_path / "third", retell(published_rows(), "Nobody"))
    with pytest.raises(FileNotFoundError, match=r"third: not imported yet, or changed.*prepare"):
        Benchmark.open(data, "published", published_dir=tmp_path / "third")
    for call in (prepare, Benchmark.open):
        with pytest.raises(FileNotFoundError, match=r"gone: no such folder; .*published_dir"):
            call(data, "published", published_dir=tmp_path / "gone")
        with pytest.raises(ValueError, match=r"config is 'small', which is generated; set .*'publ"):
            call(data, "small", published_dir=old)


def test_the_name_of_a_copy_does_not_matter(tmp_path):
    first = source_digest(write(tmp_path / "one", published_rows()))
    two = write(tmp_path / "two", published_rows())
    for number, path in enumerate(sorted((two / "Test_Set").iterdir())):
        path.rename(path.with_name(f"{number:04d}.parquet"))
    assert source_digest(two) == first
    swap, other = sorted((two / "Test_Set").iterdir())
    swap.rename(two / "x"), other.rename(swap), (two / "x").rename(other)
    assert source_digest(two) != first  # rows in another order


def test_files_that_change_while_they_are_read_are_not_imported(tmp_path, monkeypatch):
    source = write(tmp_path / "published", published_rows())

    def read_and_change(folder, **options):
        rows = read_published(folder, **options)
        write(tmp_path / "other", retell(published_rows()))
        [path] = (source / "ft_Data").iterdir()
        path.write_bytes(next((tmp_path / "other" / "ft_Data").iterdir()).read_bytes())
        return rows

    monkeypatch.setattr("mllm.benchmarks.mllmu.builder.read_published", read_and_change)
    with pytest.raises(ValueError, match="changed while they were read; run the command again"):
        prepare(tmp_path / "data", "published", published_dir=source)
    with pytest.raises(FileNotFoundError, match="nothing has been imported"):
        Benchmark.open(tmp_path / "data", "published")


def test_a_report_opens_the_import_of_its_runs_or_says_which_it_has(tmp_path):
    source = write(tmp_path / "published", published_rows())
    section = {"data_dir": tmp_path, "config": "published", "published_dir": str(source), "seed": 0}
    made = prepare(tmp_path, "published", published_dir=source)
    assert open_section(section).fingerprint == made.fingerprint
    source.rename(tmp_path / "moved")
    assert open_section(section).fingerprint == made.fingerprint
    other = write(tmp_path / "other", retell(published_rows()))
    prepare(tmp_path, "published", published_dir=other)
    assert open_section(section).fingerprint != made.fingerprint  # which the report then says


def test_damaged_parquet_files_are_named(tmp_path):
    source = write(tmp_path / "published", published_rows())
    path = source / "Full_Set" / "train-00000-of-00001.parquet"
    content, rng, refused = path.read_bytes(), random.Random(0), 0
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    certain = [
        content[: len(content) // 2],
        content[:20] + bytes(200) + content[220:],
        content[:footer] + bytes(100) + content[footer + 100 :],
        content[:-8] + bytes(4) + content[-4:],
        b"",
    ]
    for damaged in certain:
        path.write_bytes(damaged)
        with pytest.raises(
            ValueError, match=r"Full_Set/train-00000-of-00001\.parquet.*download it"
        ):
            read_published(source)
    for _ in range(60):  # what cannot be seen in a parquet file is its content
        damaged = bytearray(content)
        for place in rng.sample(range(4, len(content) - 4), 3):
            damaged[place] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        try:
            read_published(source)
        except ValueError as error:
            refused += 1
            assert "Full_Set" in str(error) or "'" in str(error)  # the file, or an ID
    assert refused
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 4\n")
    for call in (read_published, source_digest):
        with pytest.raises(ValueError, match=r"train-00000-of-00001\.parquet.*git lfs pull"):
            call(source)


def test_what_the_system_refuses_is_not_called_damage(tmp_path, monkeypatch):
    source = write(tmp_path / "published", published_rows())

    def refuse(*arguments, **options):
        raise OSError(errno.EMFILE, "Too many open files", "Full_Set/x.parquet")

    monkeypatch.setattr(pq, "ParquetFile", refuse)
    with pytest.raises(OSError, match=r"\[Errno \d+\] Too many open files"):
        read_published(source)


def test_what_lies_in_the_place_of_parquet_files_is_named(tmp_path):
    saved = tmp_path / "saved" / "Full_Set"
    saved.mkdir(parents=True)
    (saved / "data-00000-of-00001.arrow").write_bytes(b"ARROW1")
    cache = tmp_path / "datasets--MLLMMU--MLLMU-Bench"
    (cache / "snapshots").mkdir(parents=True)
    for folder, found in ((saved.parent, "data-00000-of-00001.arrow"), (cache, "snapshots")):
        with pytest.raises(FileNotFoundError, match=rf"Full_Set: no parquet files \(in .* {found}"):
            source_digest(folder)


def as_bytes(table):
    for item in table:
        if "image" in item:
            item["image"] = item["image"]["bytes"]
        else:
            item["images"] = [one["bytes"] for one in item["images"]]


def test_rows_are_the_same_in_whatever_form_tools_leave_them(tmp_path):
    plain = read_published(write(tmp_path / "plain", published_rows()))
    tables = published_rows()
    for table in tables.values():
        as_bytes(table)
    assert read_published(write(tmp_path / "bytes", tables)) == plain
    for form in ("dictionary", "large"):
        folder = write(tmp_path / form, published_rows())
        for path in folder.rglob("*.parquet"):
            table = pq.read_table(path)
            for name in {"ID", "biography", "metadata"} & set(table.column_names):
                column = table[name]
                column = (
                    column.dictionary_encode()
                    if form == "dictionary"
                    else column.cast(pa.large_string())
                )
                table = table.set_column(table.column_names.index(name), name, column)
            pq.write_table(table, path)
        assert read_published(folder) == plain, form


@pytest.mark.parametrize("number", [int, float])
def test_ids_that_a_tool_made_numbers_of(tmp_path, number):
    """In all folders they are taken; in one of them they cannot be joined, which is said."""
    tables = published_rows()
    for table in tables.values():
        for item in table:
            item["ID"] = number(item["ID"]) if item["ID"].isdigit() else item["ID"]
    del tables["Retain_Set"]
    source = write(tmp_path / "all", tables)
    write(source, {"Retain_Set": published_rows()["Retain_Set"]})
    _, forget = read_published(source)
    assert forget[5] == ("4",)
    tables = published_rows()
    tables["forget_5"][0]["ID"] = number(tables["forget_5"][0]["ID"])
    with pytest.raises(ValueError, match=r"forget_5: ID '4' is written '004' in Full_Set"):
        read_published(write(tmp_path / "one", tables))


@pytest.mark.filterwarnings("ignore")  # of Pillow, about EXIF data
def test_what_the_importer_takes_can_be_shown(tmp_path):
    """Odd pictures are imported as they are, and what training cannot decode names its row."""
    tables = published_rows()
    for number, data in enumerate(SHOWN.values()):
        images = tables["Test_Set"][number % 20]["images"]
        images.append({"bytes": data, "path": None})
    splits, _ = read_published(write(tmp_path / "shown", tables))
    found = {picture for profile in splits["test"] for picture in profile.images}
    assert set(SHOWN.values()) <= found
    for name, data in REFUSED.items():
        tables = published_rows()
        tables["Full_Set"][4]["image"] = {"bytes": data, "path": None}
        with pytest.raises(ValueError, match=r"Full_Set/.*: row 4: field image\.bytes"):
            pytest.fail(f"{name}: {read_published(write(tmp_path / name, tables))[1]}")


def test_a_picture_that_only_a_path_names_is_refused(tmp_path):
    tables = published_rows()
    tables["Full_Set"][4]["image"] = {"bytes": None, "path": "faces/4.png"}
    with pytest.raises(ValueError, match=r"row 4: .*faces/4\.png.* embedded pictures"):
        read_published(write(tmp_path / "paths", tables))
