"""Whatever changes behind a dataset's back is named where it is read, or has no influence."""

import errno
import json
import os
import shutil

import pytest
from test_dataset import build

from mllm.benchmarks.dataset import build_dataset, open_dataset
from mllm.benchmarks.record import RECORD
from mllm.files import read_json, write_json


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    final = tmp_path_factory.mktemp("whole") / "dots" / "1.0.0"
    build_dataset(final, build)
    return final


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "dots" / "1.0.0")


def read_all(folder):
    dataset = open_dataset(folder, config="dots", seed=4)
    rows = [(row["name"], row["picture"]) for row in dataset.rows("train", dict)]
    return dataset.fingerprint, rows


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "flipped at the start": lambda path: flip(path, 0),
    "flipped in the middle": lambda path: flip(path, 0.5),
    "flipped at the end": lambda path: flip(path, 1),
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b" "),
    "removed": lambda path: path.unlink(),
    "another": lambda path: path.write_text("{}"),
    "a pointer": lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid"),
}


def test_every_file_is_what_was_prepared_or_is_named(whole, tmp_path):
    expected, names = read_all(whole), sorted(p.name for p in whole.iterdir())
    assert len(names) > 3 and RECORD in names
    for name in names:
        for damage, change in DAMAGE.items():
            folder = shutil.copytree(whole, tmp_path / name / damage)
            change(folder / name)
            if (name, damage) == (RECORD, "longer"):  # the same JSON
                assert read_all(folder) == expected
                continue
            with pytest.raises((ValueError, FileNotFoundError)) as caught:
                pytest.fail(f"{name}, {damage}: {read_all(folder) == expected}")
            assert str(folder / name) in str(caught.value), (name, damage)
            assert "prepare it again" in str(caught.value) or "git lfs" in str(caught.value)


def test_every_value_of_the_record_is_what_was_written(folder):
    path, record = folder / RECORD, read_json(folder / RECORD)
    for key, value in record.items():
        for changed in ({**record, key: f"{value}?"}, {k: record[k] for k in record if k != key}):
            write_json(path, changed)
            with pytest.raises(ValueError, match=RECORD):
                open_dataset(folder)
    write_json(path, json.loads(json.dumps(record, sort_keys=True)))  # the same in other order
    assert open_dataset(folder).fingerprint == "abc"


def test_a_file_that_fails_after_it_was_opened_is_named(folder):
    rows = open_dataset(folder).rows("train", dict)
    [shard] = folder.glob("*array_record*")
    content = bytearray(shard.read_bytes())
    content[2000 : len(content) // 2] = bytes(len(content) // 2 - 2000)
    shard.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{shard.name}: row \d+ cannot be read .*prepare it ag"):
        list(rows)


def test_data_made_from_something_else_is_named(folder):
    assert open_dataset(folder, seed=4, config="dots").record["seed"] == 4
    for wanted in ({"seed": 5}, {"config": "lines"}, {"source": "ab"}):
        [(key, value)] = wanted.items()
        with pytest.raises(ValueError, match=f"made with {key} .*, not {value}; delete it or choo"):
            open_dataset(folder, **wanted)


def forget_digests(folder, **changes):
    record = {**read_json(folder / RECORD), "schema": 1, **changes}
    write_json(folder / RECORD, {k: v for k, v in record.items() if k not in ("files", "seal")})


def test_what_an_earlier_version_prepared_is_made_again(folder):
    expected = read_all(folder)
    forget_digests(folder)
    with pytest.raises(ValueError, match=r"experiments\.prepare.*which makes it again"):
        open_dataset(folder)
    build_dataset(folder, build)
    assert read_all(folder) == expected
    assert sorted(path.name for path in folder.parent.iterdir()) == [".lock", "1.0.0"]


def test_what_an_earlier_version_prepared_is_kept_if_its_rows_were_others(folder):
    forget_digests(folder, fingerprint="xyz")
    before = sorted(folder.iterdir())
    with pytest.raises(ValueError, match=r"fingerprint xyz, and has abc .*another data_dir"):
        build_dataset(folder, build)
    assert sorted(folder.iterdir()) == before and read_json(folder / RECORD)["schema"] == 1


@pytest.mark.parametrize("without_record", [False, True])
def test_a_folder_without_its_record_is_not_taken_for_one_that_is_not_prepared(
    folder, without_record
):
    if without_record:
        (folder / RECORD).unlink()
    else:
        (folder / RECORD).write_text("{")
    build_dataset(folder, build)
    with pytest.raises((ValueError, FileNotFoundError), match=r"delete .* and prepare it again"):
        open_dataset(folder)


def test_a_disk_without_locks_keeps_the_dataset_that_is_finished_first(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    def build_after_another(folder):
        built = build(folder)
        if not (tmp_path / "1.0.0").exists():
            build_dataset(tmp_path / "1.0.0", build)
        return built[0], {**built[1], "fingerprint": "second"}

    monkeypatch.setattr("fcntl.flock", refuse)
    build_dataset(tmp_path / "1.0.0", build_after_another)
    assert open_dataset(tmp_path / "1.0.0").fingerprint == "abc"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "1.0.0"]


def test_a_dataset_that_is_there_is_neither_locked_nor_written_to(folder, monkeypatch):
    (folder.parent / ".lock").unlink(missing_ok=True)

    def refuse(*arguments, **options):
        raise PermissionError("read-only")

    def snapshot():
        return sorted((p, p.stat().st_mtime_ns) for p in folder.parent.rglob("*"))

    before = snapshot()
    for call in ("mkdir", "replace", "rename", "unlink"):
        monkeypatch.setattr(os, call, refuse)
    monkeypatch.setattr("mllm.benchmarks.dataset._only_one", refuse)
    build_dataset(folder, build)
    assert read_all(folder)[1] and snapshot() == before
