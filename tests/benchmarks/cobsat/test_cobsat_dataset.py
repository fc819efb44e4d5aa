"""The data set on disk: pictures are found by what they show, and are as they were drawn."""

import hashlib
import io
import json
import sys

import pytest
from PIL import Image

from mllm.benchmarks.cobsat import benchmark as module
from mllm.benchmarks.cobsat.benchmark import Benchmark, prepare, summary
from mllm.benchmarks.cobsat.captions import caption
from mllm.benchmarks.cobsat.draw import picture
from mllm.benchmarks.cobsat.generate import SIZES, SPLITS, Sizes, draw_split, view_seed
from mllm.benchmarks.cobsat.shown import Shown, digest, fingerprint, from_row, to_row, validate
from mllm.benchmarks.cobsat.tasks import Pair, pairs
from tests.benchmarks.cobsat.conftest import draw_squares, square


def test_pictures_are_found_by_what_they_show(squares):
    _, benchmark = squares
    for place, pair in list(enumerate(pairs()))[::37]:
        assert benchmark.picture(*pair) == square(place)
        assert benchmark.caption(*pair) == caption(pair)
        assert benchmark.caption(*pair, wording=2) == caption(pair, 2)
    with pytest.raises(ValueError, match=r"unknown picture 'color/red/bagg'; did you mean"):
        benchmark.picture("color", "red", "bagg")


def test_splits_hold_the_views_pair_by_pair(squares):
    _, benchmark = squares
    assert benchmark.splits == SPLITS
    for split in SPLITS:
        expected = list(draw_squares(SIZES["micro"], 3, split))
        assert list(benchmark.rows(split)) == expected
        assert benchmark.info["counts"][split] == len(expected)
    seeds = [shown.view for split in SPLITS[1:] for shown in benchmark.rows(split)]
    assert len(set(seeds)) == len(seeds) and 0 not in seeds
    with pytest.raises(ValueError, match="did you mean 'train'"):
        benchmark.rows("trian")


def test_the_record_says_what_the_data_are(squares):
    folder, benchmark = squares
    again = Benchmark.open(folder, "micro", seed=3)
    digests = {
        split: [digest(shown) for shown in draw_squares(SIZES["micro"], 3, split)]
        for split in SPLITS
    }
    assert again.fingerprint == benchmark.fingerprint == fingerprint(digests, "drawing 1")
    assert fingerprint(digests, "drawing 2") != benchmark.fingerprint
    info = again.info
    assert info["seed"] == 3 and "Open Font License" in info["licences"]["fonts"]
    assert "In-Context" in info["citation"] and info["versions"]["manimgx-fonts"]
    assert "tensorflow" not in sys.modules


def test_the_manifest_has_the_digest_of_each_picture(squares):
    _, benchmark = squares
    manifest = json.loads((benchmark.folder / "manifest.json").read_text())
    assert len(manifest) == 500
    pair = Pair("style", "3d", "car")
    entry = manifest["datasets/style_car/3d_car.jpg"]
    assert entry["sha256"] == hashlib.sha256(benchmark.picture(*pair)).hexdigest()
    assert entry["caption"] == "A car in wireframe style."
    with Image.open(benchmark.folder / "sheet.png") as sheet:
        assert sheet.size == (3 * (52 + 500), 2 * (14 + 500))
        lace = (552 + 52 + 7 * 50 + 24, 514 + 14 + 8 * 50 + 24)  # a bag, in the fifth block
        assert sheet.getpixel(lace) == (pairs().index(("texture", "lace", "bag")) - 250, 1, 0)


def test_the_summary_counts_pictures_and_prompts(squares):
    lines = summary(squares[1])
    assert "train        500 pictures" in lines
    assert "default     1000 prompts a task with 2 shots, 942 distinct" in lines
    assert "ft_test      250 prompts a task with 4 shots, 212 distinct" in lines
    assert lines[-1].endswith("sheet.png")


def test_it_is_made_once(squares, tmp_path):
    folder, benchmark = squares
    assert prepare(folder, "micro", seed=3).folder == benchmark.folder
    with pytest.raises(ValueError, match="made with seed 3, not 4"):
        prepare(folder, "micro", seed=4)
    with pytest.raises(FileNotFoundError, match="prepare"):
        Benchmark.open(tmp_path, "tiny")
    with pytest.raises(ValueError, match="did you mean 'tiny'"):
        Benchmark.open(tmp_path, "tinny")


def test_an_interrupted_build_leaves_nothing(tmp_path, monkeypatch):
    def stop(*args, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "draw_split", draw_squares)
    monkeypatch.setattr(module, "contact_sheet", stop)
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path, "micro")
    assert [path.name for path in (tmp_path / "cobsat" / "micro").iterdir()] == [".lock"]


def test_rows_keep_a_picture_and_break_no_schema():
    one = Shown(Pair("action", "cry", "cat"), 12, square(7), "A cat crying.")
    row = {
        key: value.encode() if isinstance(value, str) else value
        for key, value in to_row(one).items()
    }
    assert from_row(row) == one
    validate(one)
    for broken, message in (
        (
            Shown(Pair("action", "cry", "cup"), 0, b"x", "A cup."),
            "unknown animal of picture action/cry/cup",
        ),
        (Shown(Pair("action", "cri", "cat"), 0, b"x", "A cat."), "did you mean 'cry'"),
        (Shown(one.pair, 0, b"x", " "), "caption is ' '"),
        (Shown(one.pair, 0, b"", "A cat."), "picture is empty"),
        (Shown(one.pair, -1, b"x", "A cat."), "view is -1"),
    ):
        with pytest.raises(ValueError, match=message):
            validate(broken)


@pytest.mark.thorough
def test_drawn_splits_hold_the_drawings_for_any_number_of_processes():
    chosen = [Pair("color", "red", "leaf"), Pair("texture", "lace", "bag")]
    sizes = Sizes(side=32, train=2, validation=0, test=0)
    one, two = (
        list(draw_split(sizes, 5, "train", chosen=chosen.__contains__, processes=processes))
        for processes in (1, 2)
    )
    assert one == two and [shown.pair for shown in one] == [chosen[0]] * 2 + [chosen[1]] * 2
    place = pairs().index(chosen[1])
    assert one[3].picture == picture(chosen[1], 32, view_seed(5, "train", place, 1))
    assert Image.open(io.BytesIO(one[0].picture)).size == (32, 32)
    assert len({shown.picture for shown in one}) == 4
