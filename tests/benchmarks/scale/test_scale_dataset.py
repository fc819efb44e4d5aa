"""The dataset on disk: items come back as they were made, and are read when they are needed."""

import dataclasses
import io
import sys

import pytest
from PIL import Image
from tokenizers import Tokenizer

from mllm.benchmarks.scale import benchmark as module
from mllm.benchmarks.scale.benchmark import Benchmark, dataset_folder, prepare
from mllm.benchmarks.scale.generate import SIZES, SPLITS, Source, make_item
from mllm.benchmarks.scale.generators import GENERATORS
from mllm.benchmarks.scale.imported import open_section
from mllm.benchmarks.scale.item import from_row, to_row
from mllm.benchmarks.scale.taxonomy import cell_name

CELLS = (
    ("general", "single", "counting"),
    ("general", "frames", "recognition"),
    ("general", "interleaved", "documents"),
)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A small benchmark of three cells, and where it lies."""
    folder = tmp_path_factory.mktemp("data")
    messages = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "Source", lambda *args, **more: Source(*args, **more, cells=CELLS))
        made = prepare(folder, "micro", seed=3, processes=1, progress=messages.append)
    assert any("drawing" in message for message in messages)
    return folder, made


def test_items_come_back_as_they_were_made(built):
    _, benchmark = built
    source = Source(SIZES["micro"], 3, cells=CELLS, processes=1)
    assert benchmark.cells == CELLS and benchmark.splits == SPLITS
    for split in SPLITS:
        assert list(benchmark.items(split)) == list(source.items(split))
    assert benchmark.fingerprint == source.fingerprint


def test_items_are_read_in_any_order(built):
    _, benchmark = built
    whole = benchmark.items("train")
    count = SIZES["micro"].train
    assert len(whole) == 3 * count
    part = benchmark.items("train", [CELLS[2], CELLS[0]])
    assert [item.id for item in part] == [whole[k].id for k in (*range(6), *range(12, 18))]
    assert whole[-1] == whole[len(whole) - 1] == whole[2:][-1]
    with pytest.raises(IndexError):
        whole[len(whole)]
    with pytest.raises(ValueError, match="did you mean 'train'"):
        benchmark.items("trian")
    with pytest.raises(ValueError, match="unknown cell"):
        benchmark.items("train", [("general", "single", "temporal")])
    for item in whole:
        assert benchmark.item(item.id) == item
    with pytest.raises(ValueError, match="00000 to 00002"):
        benchmark.item("test/general/single/counting/00003")
    with pytest.raises(ValueError, match="unknown cell"):
        benchmark.item("test/general/single/temporal/00000")


def test_the_record_says_what_the_data_are(built):
    folder, benchmark = built
    again = Benchmark.open(folder, "micro")
    assert again.fingerprint == benchmark.fingerprint
    assert again.info["seed"] == 3 and again.info["side"] == 64
    assert "2501.04150" in again.info["citation"] and again.info["licences"]
    assert "tensorflow" not in sys.modules


def test_it_is_made_once(built):
    folder, benchmark = built
    assert prepare(folder, "micro", seed=3).folder == benchmark.folder
    section = {"file": "", "data_dir": folder, "config": "micro", "seed": 3}
    assert open_section(section).fingerprint == benchmark.fingerprint
    for call in (lambda: prepare(folder, "micro", seed=4), lambda: open_section(section)):
        with pytest.raises(ValueError, match="made with seed 3, not 4"):
            section["seed"] = 4
            call()


def test_the_tokenizer_reads_the_texts(built):
    _, benchmark = built
    tokenizer = Tokenizer.from_file(str(benchmark.tokenizer_path))
    assert [tokenizer.token_to_id(name) for name in ("<pad>", "<s>", "</s>", "<image>")] == [
        0, 1, 2, 3,
    ]  # fmt: skip
    for item in benchmark.items("test"):
        assert tokenizer.decode(tokenizer.encode(item.questions[0]).ids) == item.questions[0]


def test_what_is_not_prepared_says_how(tmp_path):
    with pytest.raises(FileNotFoundError, match="prepare"):
        Benchmark.open(tmp_path, "tiny")
    with pytest.raises(ValueError, match="did you mean 'tiny'"):
        Benchmark.open(tmp_path, "tinny")


def test_an_interrupted_build_leaves_nothing(tmp_path, monkeypatch):
    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(
        module, "Source", lambda *args, **more: Source(*args, **more, cells=CELLS[:1])
    )
    monkeypatch.setattr(module, "train_tokenizer", stop)
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path, "micro", processes=1)
    final = dataset_folder(tmp_path, "micro")
    assert [path.name for path in final.parent.iterdir()] == [".lock"]


@pytest.mark.parametrize("cell", GENERATORS, ids=cell_name)
def test_every_item_survives_its_row(cell):
    item = make_item(0, 16, "test", cell, 0)
    row = to_row(item)
    stored = {k: v.encode() if isinstance(v, str) else v for k, v in row.items()}
    assert dataclasses.asdict(from_row(stored)) == dataclasses.asdict(item)


def test_pictures_have_the_side_asked_for():
    for side in (64, 336):
        item = make_item(0, side, "test", CELLS[0], 0)
        with Image.open(io.BytesIO(item.pictures[0])) as image:
            assert image.size == (side, side) and image.mode == "RGB"
