"""The dataset on disk: reading it as TFDS, building it once and whole, and its tokenizer."""

import io
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image
from tokenizers import Tokenizer

from configs.mllmu import tiny
from mllm.benchmarks import get_benchmark
from mllm.benchmarks.mllmu import Benchmark, benchmark, prepare, study
from mllm.benchmarks.mllmu.builder import VERSION, Mllmu
from mllm.benchmarks.mllmu.generate import SIZES, Sizes, generate
from mllm.benchmarks.mllmu.schema import Profile, fingerprint, from_row, to_row, validate
from mllm.benchmarks.mllmu.tokenizer import train_tokenizer, training_text

TINY = Sizes(people=20, celebrities=6, validation=2, captions=3, pool=5)

BUILD_WITHOUT_TENSORFLOW = """
import sys
from mllm.benchmarks.mllmu import generate, prepare
from mllm.benchmarks.mllmu.generate import SIZES, Sizes
SIZES["small"] = Sizes(people=20, celebrities=6, validation=2, captions=3, pool=5)
made = prepare(sys.argv[1], "small")
assert made.profiles("forget_15")[0].images
assert "tensorflow" not in sys.modules and "torch" not in sys.modules
print(made.fingerprint)
"""


@pytest.fixture
def small(data_dir):
    return Benchmark.open(data_dir, "small")


@pytest.fixture(scope="module")
def tiny_rows():
    """All rows of 20 people, drawn once."""
    return generate(TINY, 0)


@pytest.mark.thorough
def test_tfds_reads_every_split(small):
    builder = tfds.builder_from_directory(str(small.folder))
    assert set(builder.info.splits) == set(small.splits)
    source = builder.as_data_source(split="forget_5")
    assert len(source) == 3
    row = source[0]
    assert row["id"].decode() == small.ids("forget_5")[0]
    assert np.asarray(row["images"][0]).shape == (336, 336, 3)
    assert len(json.loads(row["questions"])) == 18


def test_rows_come_back_whole_and_in_order(small):
    sizes = {split: len(small.profiles(split)) for split in small.splits}
    assert sizes == {
        "full": 60,
        "test": 60,
        "celebrity": 18,
        "validation": 8,
        "captions": 240,
        "forget_5": 3,
        "forget_10": 6,
        "forget_15": 9,
        "retain_95": 57,
        "retain_90": 54,
        "retain_85": 51,
    }
    full = {profile.id: profile for profile in small.profiles("full")}
    assert list(full) == sorted(full) == list(small.ids("test"))
    assert all(profile == full[profile.id] for profile in small.profiles("forget_15"))
    assert small.forget_ids[15] == small.ids("forget_15")
    for profile in small.profiles("test"):
        validate(profile)
        assert len(profile.images) == 3
    assert small.profiles("captions")[0].training[-1].attribute == "caption"


def test_training_pairs_are_conversations(small):
    pairs = [(p, pair) for p in small.profiles("forget_5") for pair in p.training]
    examples = small.examples("forget_5")
    assert len(examples) == len(pairs) > 0
    for example, (profile, pair) in zip(examples, pairs, strict=True):
        asked, answered = example.turns
        assert answered.text == pair.answer and asked.text.startswith(pair.question)
        shown = [medium.data for medium in asked.media]
        assert shown == [profile.images[0]] * (pair.modality == "image_text")
        assert example.cluster == profile.id in example.id


def test_fingerprint_is_that_of_the_stored_rows(small):
    assert fingerprint({split: small.profiles(split) for split in small.splits}) == (
        small.fingerprint
    )


def test_transformed_pictures_stay_near_the_portrait_and_far_from_others(small):
    """At 64 pixels the transformed picture is nearest to its own portrait, or to its mirror."""

    def thumbnail(encoded):
        image = Image.open(io.BytesIO(encoded)).convert("RGB").resize((64, 64))
        return np.asarray(image, np.float32).ravel()

    portraits = np.stack([thumbnail(p.images[0]) for p in small.profiles("full")])
    mirrored = portraits.reshape(-1, 64, 64, 3)[:, :, ::-1].reshape(portraits.shape)
    right = []
    for number, profile in enumerate(small.profiles("test")):
        for image in profile.images:
            query = thumbnail(image)
            distance = np.minimum(
                np.linalg.norm(portraits - query, axis=1), np.linalg.norm(mirrored - query, axis=1)
            )
            right.append(distance.argmin() == number)
    assert np.mean(right) > 0.9


def test_prepare_opens_what_is_there(data_dir, monkeypatch):
    def fail(*arguments, **options):
        raise AssertionError("built again")

    monkeypatch.setattr(benchmark, "make_source", fail)
    made = prepare(data_dir, "small", seed=0)
    assert made.fingerprint == Benchmark.open(data_dir, "small").fingerprint
    with pytest.raises(ValueError, match="made with seed 0, not 7"):
        prepare(data_dir, "small", seed=7)


def test_a_study_opens_only_what_its_configuration_names(data_dir, tmp_path):
    config = tiny.get_config()
    config.benchmark.data_dir = str(data_dir)
    assert study.open_benchmark(config).config == "small"
    config.benchmark.seed = 7
    for call in (study.open_benchmark, study.prepare):
        with pytest.raises(ValueError, match="made with seed 0, not 7; delete it or choose anothe"):
            call(config)
    moved = tmp_path / "mllmu" / "full" / VERSION
    shutil.copytree(data_dir / "mllmu" / "small" / VERSION, moved)
    config.benchmark.update(seed=0, config="full", data_dir=str(tmp_path))
    for call in (study.open_benchmark, study.prepare):
        with pytest.raises(ValueError, match="made with config small, not full"):
            call(config)


@pytest.mark.thorough
@pytest.mark.slow
def test_another_process_builds_the_same_without_tensorflow(tiny_rows, tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", BUILD_WITHOUT_TENSORFLOW, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == [fingerprint(tiny_rows[0])]


@pytest.mark.parametrize(
    "stage", [pytest.param("make_source", marks=pytest.mark.slow), "build", "train_tokenizer"]
)
def test_an_interrupted_build_leaves_nothing(tiny_rows, tmp_path, monkeypatch, stage):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(benchmark, "make_source", lambda *a: tiny_rows)
    monkeypatch.setattr(benchmark, stage, interrupt)
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path, "small")
    assert [path.name for path in (tmp_path / "mllmu" / "small").iterdir()] == [".lock"]
    with pytest.raises(FileNotFoundError, match=r"experiments\.prepare"):
        Benchmark.open(tmp_path, "small")


def test_what_a_killed_build_left_goes_with_the_next(tiny_rows, tmp_path, monkeypatch):
    leftover = tmp_path / "mllmu" / "small" / ".building-dead"
    leftover.mkdir(parents=True)
    (leftover / "part").write_bytes(b"half")
    monkeypatch.setattr(benchmark, "make_source", lambda *a: tiny_rows)
    assert prepare(tmp_path, "small").splits
    assert not leftover.exists()


def test_the_builder_works_by_itself(tmp_path, monkeypatch):
    """As any TFDS builder, without `prepare`: it draws its rows from its seed."""
    monkeypatch.setitem(SIZES, "small", TINY)
    builder = Mllmu(config="small", data_dir=str(tmp_path), seed=3)
    builder.download_and_prepare()
    rows = builder.as_data_source(split="validation")
    assert [row["name"].decode() for row in rows] == [
        profile.name for profile in generate(TINY, 3, draw_images=False)[0]["validation"]
    ]


def test_tokenizer_round_trip_and_special_tokens(small):
    tokenizer = Tokenizer.from_file(str(small.tokenizer_path))
    special = ["<pad>", "<s>", "</s>", "<image>"]
    assert [tokenizer.token_to_id(token) for token in special] == [0, 1, 2, 3]
    assert 1024 < tokenizer.get_vocab_size() <= 2048
    for text in (next(training_text(small.profiles("full"))), "Zoë —\t日本 12"):
        assert tokenizer.decode(tokenizer.encode(text).ids) == text
    assert tokenizer.encode("USER: <image>\n").ids.count(3) == 1


def test_tokenizer_learns_no_evaluation_question_and_is_deterministic(small, tmp_path):
    rows = [
        row
        for split in ("full", "celebrity", "validation", "captions")
        for row in small.profiles(split)
    ]
    bare = [Profile(p.id, p.name, p.kind, (), training=p.training) for p in rows]
    train_tokenizer(bare, tmp_path / "tokenizer.json")
    assert (tmp_path / "tokenizer.json").read_bytes() == small.tokenizer_path.read_bytes()


def test_unknown_names_are_errors_that_help(small, data_dir):
    with pytest.raises(ValueError, match="did you mean 'forget_5'"):
        small.profiles("forget_55")
    with pytest.raises(ValueError, match="did you mean 'small'"):
        Benchmark.open(data_dir, "smal")
    with pytest.raises(ValueError, match="did you mean 'mllmu'"):
        get_benchmark("mlmu")
    assert get_benchmark("mllmu").Benchmark is Benchmark


def test_info_names_sources_and_licences(small):
    assert "CC BY 4.0" in small.info["licences"]["portraits"]
    assert "WordNet" in small.info["licences"]["public figures"]
    assert small.info["seed"] == 0
    assert small.info["versions"]["Faker"]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"id": ""}, "id is ''"),
        ({"kind": "robot"}, "kind is 'robot'"),
        ({"images": ()}, "at least one encoded image"),
    ],
)
def test_a_row_that_breaks_the_schema_is_an_error(small, change, message):
    row = {**to_row(small.profiles("full")[0]), **change}
    with pytest.raises(ValueError, match=message):
        validate(from_row(row))
