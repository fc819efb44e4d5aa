"""The export in the published layout: what the importer reads from it, and what it refuses."""

import json
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from mllm.benchmarks.mllmu import Benchmark, export_published, prepare
from mllm.benchmarks.mllmu.published import read_published

pytestmark = pytest.mark.thorough  # the whole small benchmark is exported

EVALUATION = {"ID", "biography", "question", "answer"}
EVALUATION |= {"Classification_Task", "Generation_Task", "Mask_Task"}
SUFFIX = {"plain": "", "blank": " Fill in the blank.", "sentence": " Answer in one sentence."}


@pytest.fixture(scope="module")
def benchmark(data_dir):
    return Benchmark.open(data_dir, "small")


@pytest.fixture(scope="module")
def exported(benchmark, tmp_path_factory):
    return export_published(benchmark, tmp_path_factory.mktemp("export") / "mllmu")


def files(folder):
    return {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}


def test_folders_and_columns_are_the_published_ones(exported):
    one = "train-00000-of-00001.parquet"
    splits = [f"forget_{n}" for n in (5, 10, 15)] + [f"retain_{n}" for n in (95, 90, 85)]
    expected = {f"{name}/{one}" for name in ("Full_Set", "Retain_Set", "ft_Data", *splits)}
    expected |= {f"baseline_train_split/{name}/{one}" for name in splits}
    expected |= {f"Test_Set/train-0000{n}-of-00002.parquet" for n in (0, 1)} | {"export.json"}
    found = files(exported)
    assert set(found) == expected
    for name, path in found.items():
        if name == "export.json":
            continue
        table = pq.read_table(path)
        if name.startswith(("ft_Data", "baseline_train_split")):
            columns = {"image", "ID", "metadata"}
        elif name.startswith("Test_Set"):
            columns = {"images", *EVALUATION}
        else:
            columns = {"image", *EVALUATION} | ({"Directory"} if "Full" in name else set())
        assert set(table.column_names) == columns, name
        assert table.num_rows > 0
    sizes = [pq.read_metadata(found[f"Test_Set/train-0000{n}-of-00002.parquet"]) for n in (0, 1)]
    assert [size.num_rows for size in sizes] == [30, 30]


def test_a_row_reads_as_published_scripts_read_it(exported, benchmark):
    profile = benchmark.profiles("full")[3]
    row = pq.read_table(exported / "Full_Set").to_pylist()[3]
    assert row["image"]["bytes"] == profile.images[0]
    choices = row["Classification_Task"]["Image_Textual_Questions"]
    assert len(choices) == len(row["Classification_Task"]["Pure_Text_Questions"]) == 5
    assert list(choices[0]["Options"]) == ["A", "B", "C", "D"]
    assert choices[0]["Options"][choices[0]["Correct_Answer"]] in profile.biography.values()
    types = [item["Type"] for item in row["Mask_Task"]]
    assert types == ["Image_Textual", "Image_Textual", "Pure_Text", "Pure_Text"]
    assert all("__" in item["Question"] for item in row["Mask_Task"])
    assert json.loads(row["biography"])["Name"] == profile.name
    pictures = pq.read_table(exported / "Test_Set").to_pylist()[3]["images"]
    assert [p["bytes"] for p in pictures] == list(benchmark.profiles("test")[3].images)


def test_what_the_importer_reads_is_what_was_exported(exported, benchmark):
    splits, forget_ids = read_published(exported)
    assert forget_ids == benchmark.forget_ids
    assert set(splits) == set(benchmark.splits) - {"validation", "captions"}
    for name, rows in splits.items():
        source = benchmark.profiles(name)
        assert len(rows) == len(source)
        for found, original in zip(rows, source, strict=True):
            asked = tuple(replace(question, attribute="") for question in original.questions)
            assert found.questions == asked
            for field in ("id", "name", "kind", "images", "biography"):
                assert getattr(found, field) == getattr(original, field), (name, field)
            if name not in ("test", "celebrity"):
                taught = [
                    (pair.question + SUFFIX[pair.form], pair.answer)
                    for pair in original.training
                    if pair.modality == "image_text"
                ]
                assert [(pair.question, pair.answer) for pair in found.training] == taught


def test_the_baselines_train_on_the_pairs_of_their_split(exported, benchmark):
    taught = {row["ID"]: row for row in pq.read_table(exported / "ft_Data").to_pylist()}
    for split in ("forget_10", "retain_90"):
        rows = pq.read_table(exported / "baseline_train_split" / split).to_pylist()
        assert [row["ID"] for row in rows] == list(benchmark.ids(split))
        assert all(row == taught[row["ID"]] for row in rows)
        assert {"Question", "Answer"} == set(json.loads(rows[0]["metadata"])[0])


def test_an_imported_export_keeps_the_order_of_its_files(exported, tmp_path):
    """What a seed draws from published files depends on it."""
    source = tmp_path / "published"
    for name, path in files(exported).items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        if name.startswith("forget_15"):
            table = pq.read_table(path)
            pq.write_table(table.take(list(range(table.num_rows))[::-1]), source / name)
        else:
            (source / name).write_bytes(path.read_bytes())
    made = prepare(tmp_path / "data", "published", published_dir=source)
    ids = list(made.ids("forget_15"))
    assert [p.id for p in made.profiles("forget_15")] == ids[::-1] != ids
    again = export_published(made, tmp_path / "again")
    for name in ("forget_15", "Full_Set", "Test_Set", "retain_85", "ft_Data"):
        assert pq.read_table(again / name).equals(pq.read_table(source / name)), name


def test_a_folder_in_use_is_refused_and_the_same_export_is_kept(exported, benchmark, tmp_path):
    before = {name: path.stat().st_mtime_ns for name, path in files(exported).items()}
    assert export_published(benchmark, exported) == exported
    assert {name: path.stat().st_mtime_ns for name, path in files(exported).items()} == before
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"holds files but no export\.json"):
        export_published(benchmark, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_failed_export_leaves_nothing(benchmark, tmp_path, monkeypatch):
    monkeypatch.setattr("mllm.benchmarks.mllmu.export._training_row", lambda profile: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export_published(benchmark, tmp_path / "export")
    assert not list(tmp_path.iterdir())
