"""The generated data set on disk: what it promises of sources, keys, values and files."""

import importlib.metadata
import io
import sys
from collections import Counter

import pytest
from PIL import Image

from mllm.benchmarks.photo import benchmark as module
from mllm.benchmarks.photo.attributes import ATTRIBUTES
from mllm.benchmarks.photo.benchmark import Benchmark, prepare
from mllm.benchmarks.photo.generate import SIZES, make_photo
from mllm.benchmarks.photo.plan import plan_split
from mllm.benchmarks.photo.row import SPLITS


def everything(benchmark):
    return [photo for split in SPLITS for photo in benchmark.photos(split)]


def test_keys_follow_from_the_recorded_settings(photo_micro):
    for photo in everything(photo_micro):
        settings = {edit["operation"]: edit["setting"] for edit in photo.record["edits"]}
        for name, value in photo.facts.items():
            assert ATTRIBUTES[name].value(settings[ATTRIBUTES[name].operation]) == value
        assert photo.questions
        for question in photo.questions:
            attribute = ATTRIBUTES[question.attribute]
            assert question.options[question.key] == photo.facts[question.attribute]
            assert len(set(question.options)) == 4 and set(question.options) <= set(
                attribute.values
            )
            assert (question.topic, question.subtopic) == (attribute.topic, attribute.subtopic)


def test_no_source_is_in_two_splits(photo_micro):
    sources = {split: {one.source for one in photo_micro.photos(split)} for split in SPLITS}
    for split in SPLITS:
        assert all(one.split == split for one in photo_micro.photos(split))
    assert sum(map(len, sources.values())) == len(set.union(*sources.values()))


def test_keys_and_values_are_dealt_evenly():
    plans = plan_split("train", 600, 96, 0)
    keys = Counter(asked.key for plan in plans for asked in plan.asked)
    assert max(keys.values()) - min(keys.values()) <= len(ATTRIBUTES)
    dealt = Counter(item for plan in plans for item in plan.settings.items())
    by_operation = {}
    for (name, setting), count in dealt.items():
        by_operation.setdefault(name, {})[setting] = count
    for counts in by_operation.values():
        assert max(counts.values()) - min(counts.values()) <= 1


def test_the_record_says_what_the_data_are(photo_micro_dir, photo_micro):
    again = Benchmark.open(photo_micro_dir, "micro")
    assert again.fingerprint == photo_micro.fingerprint
    info = again.info
    assert info["seed"] == 0 and info["counts"]["test"] == SIZES["micro"].test
    assert info["versions"]["scikit-image"] == importlib.metadata.version("scikit-image")
    assert "NASA" in info["licences"]["astronaut"] and "2025" in info["citation"]
    assert not {"tensorflow", "skimage"} & set(sys.modules)
    with pytest.raises(ValueError, match="did you mean 'train'"):
        again.photos("trian")


def test_pictures_are_as_large_as_the_config_says(photo_micro):
    sizes = {Image.open(io.BytesIO(one.picture)).size for one in everything(photo_micro)}
    assert {max(size) for size in sizes} == {SIZES["micro"].long} and len(sizes) == 4


def test_it_is_made_once(photo_micro_dir, photo_micro, tmp_path, monkeypatch):
    assert prepare(photo_micro_dir, "micro", seed=0).folder == photo_micro.folder
    with pytest.raises(ValueError, match="made with seed 0, not 4"):
        prepare(photo_micro_dir, "micro", seed=4)
    with pytest.raises(FileNotFoundError, match="prepare"):
        Benchmark.open(tmp_path, "tiny")
    with pytest.raises(ValueError, match="did you mean 'tiny'"):
        Benchmark.open(tmp_path, "tinny")

    def stop(*args, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "train_tokenizer", stop)
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path, "micro", processes=1)
    assert [path.name for path in (tmp_path / "photo" / "micro").iterdir()] == [".lock"]


def test_the_same_seed_gives_the_same_rows(photo_micro):
    plans = plan_split("test", SIZES["micro"].test, SIZES["micro"].long, 0)
    assert [make_photo(plan, 0) for plan in plans[:8]] == list(photo_micro.photos("test"))[:8]
    other = plan_split("test", SIZES["micro"].test, SIZES["micro"].long, 1)
    assert [plan.settings for plan in other] != [plan.settings for plan in plans]
