"""Datasets are whole or absent, and their rows are read one by one."""

import io
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from mllm.benchmarks.dataset import ROWS_KEPT, build_dataset, open_dataset
from mllm.files import read_json, write_json

COUNT = ROWS_KEPT + 6


def picture(number: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (2, 3), (number, 0, 0)).save(file, "PNG")
    return file.getvalue()


class Dots(tfds.core.GeneratorBasedBuilder):
    """Pictures of one colour."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = tfds.features.FeaturesDict(
            {
                "name": tfds.features.Text(),
                "picture": tfds.features.Image(),
                "pictures": tfds.features.Sequence(tfds.features.Image()),
            }
        )
        return tfds.core.DatasetInfo(builder=self, features=features, disable_shuffling=True)

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for n in range(COUNT):
            yield n, {"name": str(n), "picture": picture(n), "pictures": [picture(n)] * (n % 3)}


def build(folder):
    tfds.disable_progress_bar()
    builder = Dots(data_dir=str(folder), file_format="array_record")
    builder.download_and_prepare()
    return Path(builder.data_path), {"config": "dots", "seed": 4, "fingerprint": "abc"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    final = tmp_path_factory.mktemp("data") / "dots" / "1.0.0"
    build_dataset(final, build)
    return final


def test_rows_are_made_of_encoded_pictures_when_they_are_asked_for(folder):
    dataset, made = open_dataset(folder), []

    def make(row):
        made.append(int(row["name"]))
        return row["picture"], [bytes(one) for one in row["pictures"]]

    rows = dataset.rows("train", make)
    assert len(rows) == COUNT and not made
    encoded, several = rows[-1]
    assert made == [COUNT - 1]
    assert np.asarray(Image.open(io.BytesIO(encoded)))[0, 0, 0] == COUNT - 1
    assert several == [picture(COUNT - 1)] * ((COUNT - 1) % 3)
    assert dataset.rows("train", make) is rows
    for _ in range(2):
        list(rows)
    assert len(made) > 2 * ROWS_KEPT  # not all rows are kept


def test_a_dataset_that_is_there_is_not_built_again(folder):
    def fail(_):
        raise AssertionError("built again")

    build_dataset(folder, fail)
    assert open_dataset(folder, seed=4).fingerprint == "abc"
    with pytest.raises(ValueError, match="made with seed 4, not 5"):
        open_dataset(folder, seed=5)


def test_an_interrupted_build_leaves_nothing(tmp_path):
    def interrupt(folder):
        (folder / "half").write_text("written")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_dataset(tmp_path / "dots" / "1.0.0", interrupt)
    assert [path.name for path in (tmp_path / "dots").iterdir()] == [".lock"]
    with pytest.raises(FileNotFoundError, match=r"experiments\.prepare"):
        open_dataset(tmp_path / "dots" / "1.0.0")


def test_mistakes_are_named(folder, tmp_path):
    with pytest.raises(ValueError, match="did you mean 'train'"):
        open_dataset(folder).rows("trian", dict)
    record = read_json(folder / "benchmark.json")
    del record["fingerprint"]
    write_json(tmp_path / "benchmark.json", record)
    with pytest.raises(ValueError, match=r"\['fingerprint'\] are missing"):
        open_dataset(tmp_path)
