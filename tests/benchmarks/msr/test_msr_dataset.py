"""The generated data set on disk: what it promises of items, users, negatives and the log."""

import importlib.metadata
import io
import sys

import pytest
from PIL import Image

from mllm.benchmarks.msr import benchmark as module
from mllm.benchmarks.msr.benchmark import Benchmark, prepare
from mllm.benchmarks.msr.builder import Msr
from mllm.benchmarks.msr.catalogue import TITLES, VALUES
from mllm.benchmarks.msr.draw import draw_picture
from mllm.benchmarks.msr.generate import RELEASE, SIZES, draw_items, make_world
from mllm.benchmarks.msr.rows import SPLITS, Item, digest, item_from, to_row
from mllm.benchmarks.msr.summary import summary

SIZE = SIZES["micro"]


def everyone(benchmark):
    return [user for split in SPLITS for user in benchmark.users(split)]


def test_there_is_as_much_as_the_config_says(msr_micro):
    assert len(msr_micro.items) == SIZE.items
    assert [len(msr_micro.users(split)) for split in SPLITS] == [40, 8, 12]
    ids = [item.id for item in msr_micro.items]
    assert len(set(ids)) == len(ids) and msr_micro.item_ids == tuple(ids)
    assert [msr_micro.item(id) for id in ids[::9]] == list(msr_micro.items[::9])
    assert len(msr_micro.gallery) == SIZE.gallery
    assert not {item.id for item in msr_micro.gallery} & set(ids)
    with pytest.raises(ValueError, match=r"unknown item of .* '999'"):
        msr_micro.item("999")
    with pytest.raises(ValueError, match="did you mean 'train'"):
        msr_micro.users("trian")


def test_items_show_and_tell_what_they_are(msr_micro):
    titles = [item.title for item in msr_micro.items]
    assert len(set(titles)) == len(titles)
    for item in [*msr_micro.items, *msr_micro.gallery]:
        values = item.attributes
        assert all(values[name] in VALUES[name] for name in VALUES)
        assert values["subject"] in item.title
        assert any(
            item.title.startswith(title.format(values["subject"]))
            for title in TITLES[values["genre"]]
        )
        assert not set(item.title.split()) & {*VALUES["colour"], *VALUES["pattern"]}
        assert item.picture == draw_picture(values, SIZE.side, f"0/{item.id}")
        assert Image.open(io.BytesIO(item.picture)).size == (SIZE.side, SIZE.side)


def test_user_splits_are_disjoint_and_a_target_is_in_no_history_or_log(msr_micro):
    users = everyone(msr_micro)
    assert len({user.id for user in users}) == len(users)
    for user in users:
        assert user.target not in user.history and len(set(user.history)) == len(user.history)
        assert list(user.times) == sorted(user.times) and user.times[-1] < user.target_time
        log = msr_micro.sequence(user.id)
        if user.split == "train":
            assert log == (*user.history, user.target) and user.target_time < RELEASE
        else:
            assert log == user.history and user.times[-1] < RELEASE <= user.target_time


def test_negatives_are_distinct_and_never_taken(msr_micro):
    for user in everyone(msr_micro):
        assert len(user.negatives) == (20 if user.split == "test" else 1)
        more = msr_micro.negatives_of(user, 15, seed=4)
        for found in (user.negatives, more):
            assert len(set(found)) == len(found)
            assert not set(found) & {*msr_micro.sequence(user.id), user.target}
        if user.split == "train":
            assert all(msr_micro.popularity[id] for id in more)
            assert not any(msr_micro.item(id).attributes["release"] == "late" for id in more)
        assert more == msr_micro.negatives_of(user, 15, seed=4)
        assert more != msr_micro.negatives_of(user, 15, seed=5)


def test_late_items_are_in_no_log_but_may_be_targets(msr_micro):
    logged = {one.item for one in msr_micro.log}
    for item in msr_micro.items:
        taken = sum(one.item == item.id for one in msr_micro.log)
        assert item.popularity == msr_micro.popularity[item.id] == taken
        assert item.cold == (item.id not in logged)
        assert item.cold or item.attributes["release"] == "early"
    cold = [user.split for user in everyone(msr_micro) if msr_micro.item(user.target).cold]
    assert "test" in cold and "train" not in cold
    assert set(msr_micro.log_ids) == logged


def test_the_truth_knows_more_than_chance(msr_micro):
    users = list(msr_micro.users("test"))
    for user in users:
        truth = msr_micro.truth(user)
        assert list(truth) == [user.target, *user.negatives]
        expected = msr_micro.expected(user)
        assert set(expected) == set(msr_micro.item_ids) - set(user.history)
        assert truth == {id: expected[id] for id in truth}
    better = [
        sum(t > s[0] for t in s[1:]) for s in (list(msr_micro.truth(u).values()) for u in users)
    ]
    assert sum(better) / len(better) < 7  # of 20 negatives; by chance 10


def test_the_record_says_what_the_data_are(msr_micro_dir, msr_micro):
    again = Benchmark.open(msr_micro_dir, "micro")
    assert again.fingerprint == msr_micro.fingerprint
    info = again.info
    assert info["seed"] == 0 and info["counts"]["items"] == SIZE.items
    assert info["versions"]["manimgx-fonts"] == importlib.metadata.version("manimgx-fonts")
    assert "Open Font License" in info["licences"]["fonts"] and "AAAI" in info["citation"]
    lines = summary(again)
    assert lines[0].startswith("items: 40, ") and "users: 40 train, 8 validation, 12 test" in lines
    assert "tensorflow" not in sys.modules


def test_it_is_made_once(msr_micro_dir, msr_micro, tmp_path, monkeypatch):
    assert prepare(msr_micro_dir, "micro", seed=0).folder == msr_micro.folder
    with pytest.raises(ValueError, match="made with seed 0, not 4"):
        prepare(msr_micro_dir, "micro", seed=4)
    with pytest.raises(FileNotFoundError, match="prepare"):
        Benchmark.open(tmp_path, "tiny")
    with pytest.raises(ValueError, match="did you mean 'tiny'"):
        Benchmark.open(tmp_path, "tinny")

    def stop(*args, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "train_tokenizer", stop)
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path, "micro", processes=1)
    assert [path.name for path in (tmp_path / "msr" / "micro").iterdir()] == [".lock"]


def test_the_same_seed_gives_the_same_rows_for_any_number_of_processes(msr_micro):
    world = make_world(SIZE, 0)
    assert [list(msr_micro.users(split)) for split in SPLITS] == list(world.users.values())
    drawn = [list(draw_items(world.items[:6], 32, 0, processes=k)) for k in (1, 2)]
    assert drawn[0] == drawn[1] == list(msr_micro.items[:6])
    other = make_world(SIZE, 1)
    assert other.users != world.users and other.items != world.items


def test_the_builder_by_itself_writes_the_same_rows(msr_micro, tmp_path):
    builder = Msr(config="micro", data_dir=str(tmp_path), seed=0)
    builder.download_and_prepare()
    rows = builder.as_data_source(split="items")
    assert len(rows) == SIZE.items
    assert rows[0]["fields"] == to_row(msr_micro.items[0])["fields"].encode()
    assert rows[0]["pictures"][0].shape == (SIZE.side, SIZE.side, 3)


def test_rows_keep_an_item_without_a_picture():
    item = Item("7", "", attributes={"shop": "Ünder"}, popularity=3)
    row = to_row(item)
    assert item_from({"fields": row["fields"].encode(), "pictures": row["pictures"]}) == item
    assert digest(item) != digest(Item("7", "", attributes={"shop": "Under"}, popularity=3))
