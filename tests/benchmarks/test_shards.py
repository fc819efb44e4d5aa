"""The parquet files of a folder, as the tools that people use leave them."""

import pytest

from mllm.benchmarks.mllmu.shards import shards_of

WHOLE = {  # what is there -> in the order of the rows
    "as published": "train-00000-of-00002 train-00001-of-00002",
    "of a test split": "test-00000-of-00001",
    "pushed by an older version of datasets": "train-00000-of-00002-0123456789abcdef "
    "train-00001-of-00002-fedcba9876543210",
    "the Hub's converted branch": "train/0000 train/0001",
    "numbers alone": "0000 0001 0002",
    "written by Dataset.to_parquet": "data",
    "named by hand": "forget_5",
    "more than ten parts": " ".join(f"part-{n}" for n in range(12)),
    "numbers from one": "part1 part2",
    "Spark": "part-00000-9f-c000 part-00001-3a-c000",
    "nothing": "",
}
BROKEN = {
    "a copy of a file": ("train-00000-of-00001 (1) train-00000-of-00001", "both shard 0"),
    "a shard of another release": (
        "train-00000-of-00001 train-00001-of-00002",
        "train-00000-of-00001.parquet and train-00001-of-00002.parquet are not of one set",
    ),
    "a shard that is missing": ("train-00000-of-00003 train-00002-of-00003", "shard 1 of 3 is mi"),
    "half a download": ("train-00000-of-00002", "shard 1 of 2 is missing"),
    "a gap": ("0000 0002", "shard 1 of 3 is missing"),
    "two splits": ("test-00000-of-00001 train-00000-of-00001", "are not of one set"),
    "two splits in folders": ("test/0000 train/0000", r"several folders \(test, train\)"),
    "two names": ("test train", "test.parquet has no number, next to train.parquet"),
    "shards and a whole": ("0000 all", "all.parquet has no number, next to 0000.parquet"),
    "beyond the last": ("train-00000-of-00001 train-00003-of-00001", "beyond its set of 1"),
}


def make(folder, names):
    folder.mkdir()
    for name in names.split(" ") if " (1)" not in names else names.replace(") ", ")|").split("|"):
        if name:
            path = folder / f"{name}.parquet"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"")
    (folder / "README.md").write_text("kept")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "train-00009-of-00010.parquet").write_bytes(b"")
    return folder


def test_whole_sets_are_read_in_the_order_of_their_numbers(tmp_path):
    for case, names in WHOLE.items():
        folder = make(tmp_path / case, names)
        expected = [folder / f"{name}.parquet" for name in names.split()]
        assert shards_of(folder) == expected, case


def test_what_is_not_one_whole_set_is_named(tmp_path):
    for case, (names, message) in BROKEN.items():
        with pytest.raises(ValueError, match=message):
            pytest.fail(f"{case}: {shards_of(make(tmp_path / case, names))}")
    assert shards_of(tmp_path / "nowhere") == []
