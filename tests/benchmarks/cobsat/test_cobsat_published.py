"""The importer of the published folder, on a folder made up in its layout."""

import csv
import io
import shutil

import pytest
import tensorflow_datasets as tfds
from PIL import Image

from mllm.benchmarks.cobsat.benchmark import Benchmark, prepare
from mllm.benchmarks.cobsat.builder import Cobsat
from mllm.benchmarks.cobsat.published import read_published
from mllm.benchmarks.cobsat.tasks import KINDS, WORDS, Pair


def jpeg(color: tuple[int, int, int]) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), color).save(stream, "JPEG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """The published layout, written out here from its description."""
    root = tmp_path_factory.mktemp("original")
    for number, (theme, kind) in enumerate(KINDS.items()):
        rows = []
        for place, name in enumerate(WORDS[kind]):
            folder = root / "datasets" / f"{theme}_{name}"
            folder.mkdir(parents=True)
            for column, detail in enumerate(WORDS[theme]):
                color = (50 * number, 25 * place, 25 * column)
                (folder / f"{detail}_{name}.jpg").write_bytes(jpeg(color))
                rows.append([len(rows), f"{detail}_{name}.jpg", f"A photo, {detail}, of {name}"])
        with open(root / "datasets" / f"{theme}_{kind}.csv", "w", newline="") as file:
            csv.writer(file).writerows([["", "image", "caption"], *reversed(rows)])
    return root


@pytest.fixture
def copy(original, tmp_path):
    return shutil.copytree(original, tmp_path / "copy")


def test_the_published_pictures_are_imported_as_they_are(original, tmp_path):
    made = prepare(tmp_path, "published", published_dir=original)
    assert made.splits == ("pictures",) and len(made.rows("pictures")) == 500
    stored = (original / "datasets" / "style_car" / "3d_car.jpg").read_bytes()
    assert made.picture("style", "3d", "car") == stored
    assert made.caption("background", "park", "cow") == "A photo, park, of cow"
    assert made.info["licences"]["data"].startswith("MIT")
    assert "seed" not in made.info
    again = Benchmark.open(tmp_path, "published", published_dir=original / "datasets")
    assert again.fingerprint == made.fingerprint and again.folder == made.folder
    assert made.shown("color", "red", "bag").pair == Pair("color", "red", "bag")


def test_the_builder_by_itself_reads_a_manual_download(original, tmp_path):
    builder = Cobsat(config="published", data_dir=str(tmp_path))
    manual = tfds.download.DownloadConfig(manual_dir=str(original))
    builder.download_and_prepare(download_config=manual)
    rows = builder.as_data_source(split="pictures")
    assert len(rows) == 500 and rows[0]["picture"].shape == (8, 8, 3)
    assert rows[0]["theme"] == b"color" and rows[0]["caption"] == b"A photo, yellow, of leaf"


def test_what_is_missing_is_named(copy, tmp_path):
    for name in ("color_bag/red_bag.jpg", "style_car/3d_car.jpg"):
        (copy / "datasets" / name).unlink()
    with pytest.raises(
        FileNotFoundError, match=r"2 of 500 .*color_bag/red_bag.jpg, style_car/3d_car"
    ):
        prepare(tmp_path, "published", published_dir=copy)
    shutil.rmtree(copy / "datasets" / "texture_hat")
    with pytest.raises(FileNotFoundError, match=r"12 of 500 .* and 7 more"):
        list(read_published(copy))
    with pytest.raises(FileNotFoundError, match="no such folder; unpack"):
        list(read_published(tmp_path / "elsewhere"))
    with pytest.raises(ValueError, match="needs published_dir"):
        prepare(tmp_path, "published")


def test_captions_are_all_there(copy):
    path = copy / "datasets" / "action_animal.csv"
    text = path.read_text()
    lines = text.splitlines()

    def refused(content: str, message: str) -> None:
        path.write_text(content)
        with pytest.raises(ValueError, match=message):
            list(read_published(copy))

    refused("\n".join(line for line in lines if "cry_cat" not in line), "1 of 100 .*images cry_cat")
    refused(text.replace("image", "file", 1), r"action_animal.csv: columns \['image'\] are missing")
    refused(
        "\n".join([*lines, "100,cry_cat.jpg,Another"]), "row 102: image 'cry_cat.jpg' has another"
    )
    refused(text.replace('"A photo, cry, of cat"', ""), "image 'cry_cat.jpg' has no caption")
    shutil.move(path, copy / "moved.csv")
    with pytest.raises(FileNotFoundError, match=r"captions are missing: action_animal.csv"):
        list(read_published(copy))
    (copy / "action_animal.csv").write_text(text)  # next to the folder of pictures
    assert len(list(read_published(copy))) == 500


def test_pictures_must_decode(copy, tmp_path):
    path = copy / "datasets" / "color_bag" / "red_bag.jpg"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"red_bag\.jpg"):
        prepare(tmp_path, "published", published_dir=copy)


def test_a_changed_folder_is_another_data_set(copy, tmp_path):
    first = prepare(tmp_path, "published", published_dir=copy)
    (copy / "datasets" / "color_bag" / "red_bag.jpg").write_bytes(jpeg((1, 2, 3)))
    with pytest.raises(FileNotFoundError, match="not imported yet, or changed"):
        Benchmark.open(tmp_path, "published", published_dir=copy)
    second = prepare(tmp_path, "published", published_dir=copy)
    assert second.fingerprint != first.fingerprint and second.folder != first.folder
