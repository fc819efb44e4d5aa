"""The generated data set on disk: what it promises of sources, keys, values and files."""

import importlib.metadata
import io
import sys
from collections import Counter
from dataclasses import replace

import pytest
from PIL import Image
from tokenizers import Tokenizer

from mllm.benchmarks.photo import benchmark as module
from mllm.benchmarks.photo import builder
from mllm.benchmarks.photo.attributes import ATTRIBUTES
from mllm.benchmarks.photo.benchmark import Benchmark, prepare
from mllm.benchmarks.photo.develop import Source
from mllm.benchmarks.photo.generate import SIZES, make_photo
from mllm.benchmarks.photo.plan import plan_split
from mllm.benchmarks.photo.row import (
    LETTERS,
    SPLITS,
    digest,
    fingerprint,
    from_row,
    to_row,
    validate,
)
from mllm.benchmarks.photo.sheet import settings_sheet
from mllm.benchmarks.photo.words import NO_ADVICE, NO_FAULT, statement


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


def test_row_and_digest_do_not_depend_on_how_rows_are_stored(photo_micro):
    photo = photo_micro.photos("test")[0]
    row = to_row(photo)
    stored = {"fields": row["fields"].encode(), "picture": row["picture"]}
    assert from_row(stored) == photo
    with Image.open(io.BytesIO(photo.picture)) as image:
        stream = io.BytesIO()
        image.save(stream, "PNG", compress_level=9)
    again = replace(photo, picture=stream.getvalue())
    assert again.picture != photo.picture and digest(again) == digest(photo)
    assert digest(replace(photo, licence="none")) != digest(photo)
    one, two = digest(photo), digest(photo_micro.photos("test")[1])
    assert fingerprint({"test": [one, two]}) == fingerprint({"test": [two, one]})
    assert fingerprint({"test": [one]}) != fingerprint({"train": [one]})


def test_the_builder_by_itself_writes_the_same_rows(photo_micro, tmp_path, monkeypatch):
    monkeypatch.setattr(builder, "make_split", lambda sizes, seed, split: photo_micro.photos(split))
    made = builder.PhotoBench(config="micro", data_dir=str(tmp_path), seed=0)
    made.download_and_prepare()
    rows = made.as_data_source(split="test")
    assert len(rows) == SIZES["micro"].test and rows[0]["picture"].shape[2] == 3
    assert rows[0]["fields"] == to_row(photo_micro.photos("test")[0])["fields"].encode()


def test_rows_that_break_the_schema_are_refused(photo_micro, tmp_path):
    photo = photo_micro.photos("test")[0]
    question = photo.questions[0]
    wrong = replace(question, key=(question.key + 1) % 4)
    twice = replace(question, options=(question.options[0],) * 4)
    topics = replace(photo.critique, statements={"Colour": ("Red.",)})
    for broken, message in (
        (replace(photo, split="trian"), "did you mean 'train'"),
        (replace(photo, picture=b""), "picture is empty"),
        (replace(photo, facts={"exposur": "too bright"}), "did you mean 'exposure'"),
        (replace(photo, facts={"exposure": "too brigth"}), "did you mean 'too bright'"),
        (replace(photo, questions=(wrong,)), "but the record says"),
        (replace(photo, questions=(twice,)), "expected four different ones"),
        (replace(photo, questions=(replace(question, key=4),)), "key is 4, expected 0 to 3"),
        (replace(photo, questions=(replace(question, topic="Colors"),)), "did you mean 'Color'"),
        (replace(photo, critique=topics), "did you mean 'Color'"),
        (replace(photo, conversation=(("assistant", "a"), ("user", "b"))), "by turns"),
    ):
        with pytest.raises(ValueError, match=message):
            validate(broken)
    with pytest.raises(ValueError, match="picture is empty"):
        builder.build({"test": [replace(photo, picture=b"")]}, "micro", tmp_path)
    validate(photo)


def test_critiques_say_what_the_record_says(photo_micro):
    for photo in everything(photo_micro):
        critique = photo.critique
        said = [sentence for found in critique.statements.values() for sentence in found]
        assert all(sentence in critique.description for sentence in said)
        for topic, sentences in critique.statements.items():
            own = {statement(n, v) for n, v in photo.facts.items() if ATTRIBUTES[n].topic == topic}
            assert set(sentences) <= own
        operations = {ATTRIBUTES[name].operation for name in photo.facts}
        assert len(said) == len(operations) == len(photo.record["edits"])
        faults = [n for n, v in photo.facts.items() if v in ATTRIBUTES[n].advice]
        assert (critique.advice == NO_ADVICE) == (critique.weaknesses == NO_FAULT)
        assert faults or critique.weaknesses == NO_FAULT
        answers = [text for role, text in photo.conversation if role == "assistant"]
        assert answers[:3] == [critique.description, critique.weaknesses, critique.advice]
        assert answers[3] in {" ".join(found) for found in critique.statements.values()}


def test_the_tokenizer_spells_what_is_said(photo_micro):
    tokenizer = Tokenizer.from_file(str(photo_micro.tokenizer_path))
    photo = photo_micro.photos("train")[0]
    assert tokenizer.decode(tokenizer.encode(photo.critique.description).ids) == (
        photo.critique.description
    )
    assert all(len(tokenizer.encode(f" {letter}").ids) == 1 for letter in LETTERS)
    longest = max(
        len(tokenizer.encode(f" {value}").ids)
        for attribute in ATTRIBUTES.values()
        for value in attribute.values
    )
    assert longest <= 8


def test_a_contact_sheet_is_kept_with_the_data(photo_micro):
    with Image.open(photo_micro.folder / "sheet.png") as sheet:
        assert sheet.width > 1000 and sheet.height > 1000


def test_settings_are_shown_in_a_row(tmp_path):
    source = {"exposure": Source("huts", "1", 96, 64)}
    with Image.open(settings_sheet(["exposure"], source, tmp_path / "row.png")) as sheet:
        tones = [sheet.getpixel((96 + k * 102 + 40, 11 + 45))[1] for k in range(4)]
    assert tones == sorted(tones) and tones[0] < tones[3]
