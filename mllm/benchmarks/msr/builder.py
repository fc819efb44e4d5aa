"""The TFDS builder."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from mllm.benchmarks.dataset import write_rows
from mllm.benchmarks.msr.generate import SIZES
from mllm.benchmarks.msr.generated import read_generated
from mllm.benchmarks.msr.imported import read_import
from mllm.benchmarks.msr.importers import IMPORTERS
from mllm.benchmarks.msr.options import Options
from mllm.benchmarks.msr.rows import Row, to_row
from mllm.benchmarks.rows_builder import RowsBuilder, Splits

VERSION = "1.0.0"
CITATION = """@inproceedings{ye2025harnessing,
  title={Harnessing Multimodal Large Language Models for Multimodal Sequential Recommendation},
  author={Ye, Yuyang and Zheng, Zhi and Shen, Yishan and Wang, Tianshu and Zhang, Hengruo
          and Zhu, Peijun and Yu, Runlong and Zhang, Kai and Xiong, Hui},
  booktitle={AAAI Conference on Artificial Intelligence},
  volume={39},
  number={12},
  pages={13069--13077},
  year={2025}
}"""
DESCRIPTION = """Sequential recommendation of items that have a picture and a title. The splits
items and gallery hold items, logs what is known of each user, and train, validation and test hold
histories with candidates for the next item. fields holds JSON, pictures the picture of an item."""


class Msr(RowsBuilder):
    """Generated or imported items and users; rows are stored in the order of their source."""

    VERSION = tfds.core.Version(VERSION)
    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(
            name=name,
            description=f"{sizes.items} items of {sizes.side} pixels, {sizes.train} users to train "
            f"on, {sizes.validation} and {sizes.test} to validate and to test",
        )
        for name, sizes in SIZES.items()
    ] + [tfds.core.BuilderConfig(name=name, description="imported") for name in IMPORTERS]

    MANUAL_DOWNLOAD_INSTRUCTIONS = "Only what is imported: the folder with its files."

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=DESCRIPTION,
            citation=CITATION,
            homepage="https://arxiv.org/abs/2408.09698",
            features=tfds.features.FeaturesDict(
                {
                    "fields": tfds.features.Text(),
                    "pictures": tfds.features.Sequence(tfds.features.Image()),
                }
            ),
            disable_shuffling=True,
        )

    def make_splits(self, config: str, seed: int, downloads: Any) -> Splits:
        if config in IMPORTERS:
            return read_import(config, downloads.manual_dir, Options(), seed, lambda line: None)[0]
        return read_generated(config, seed, None, lambda line: None)[0]

    def features_of(self, row: Row) -> dict[str, Any]:
        return to_row(row)


def build(splits: Mapping[str, Iterable[Row]], config: str, folder: str | Path) -> Path:
    """Write the data set below `folder`, one row after the other; return its own folder."""
    return write_rows(Msr(config=config, data_dir=str(folder), splits=splits))
