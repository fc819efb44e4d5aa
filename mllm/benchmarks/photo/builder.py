"""The TFDS builder."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from mllm.benchmarks.dataset import write_rows
from mllm.benchmarks.photo.generate import SIZES, make_split
from mllm.benchmarks.photo.importers import IMPORTERS
from mllm.benchmarks.photo.row import SPLITS, Photo, to_row, validate
from mllm.benchmarks.rows_builder import RowsBuilder, Splits

VERSION = "1.0.0"
CITATION = """@inproceedings{qi2025photographer,
  title={The Photographer's Eye: Teaching Multimodal Large Language Models to See, and Critique
         Like Photographers},
  author={Qi, Daiqing and Zhao, Handong and Shi, Jing and Jenni, Simon and Fan, Yifei
          and Dernoncourt, Franck and Cohen, Scott and Li, Sheng},
  booktitle={IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  pages={24807--24816},
  year={2025}
}"""
DESCRIPTION = """Pictures with known edits, four-option questions whose keys follow from the
record of the edits, critiques and conversations. fields holds JSON, picture the picture."""


class PhotoBench(RowsBuilder):
    """Generated or imported pictures; rows are stored in the order of their source."""

    VERSION = tfds.core.Version(VERSION)
    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(
            name=name,
            description=f"{sizes.train} pictures of {sizes.long} pixels to train on, "
            f"{sizes.validation} and {sizes.test} to validate and to test",
        )
        for name, sizes in SIZES.items()
    ] + [
        tfds.core.BuilderConfig(name=name, description=f"imported: {module.__doc__.split('.')[0]}")
        for name, module in IMPORTERS.items()
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=DESCRIPTION,
            citation=CITATION,
            homepage="https://arxiv.org/abs/2509.18582",
            features=tfds.features.FeaturesDict(
                {"fields": tfds.features.Text(), "picture": tfds.features.Image()}
            ),
            disable_shuffling=True,
        )

    def make_splits(self, config: str, seed: int, downloads: Any) -> Splits:
        return {split: make_split(SIZES[config], seed, split) for split in SPLITS}

    def features_of(self, row: Photo) -> dict[str, Any]:
        validate(row)
        return to_row(row)


def build(splits: Mapping[str, Iterable[Photo]], config: str, folder: str | Path) -> Path:
    """Write the data set below `folder`, one row after the other; return its own folder."""
    return write_rows(PhotoBench(config=config, data_dir=str(folder), splits=splits))
