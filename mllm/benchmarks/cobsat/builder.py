"""The TFDS builder."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from mllm.benchmarks.cobsat.generate import PICTURES, SIZES, SPLITS, draw_split
from mllm.benchmarks.cobsat.published import read_published
from mllm.benchmarks.cobsat.shown import Shown, to_row, validate
from mllm.benchmarks.dataset import write_rows
from mllm.benchmarks.rows_builder import RowsBuilder, Splits

VERSION = "1.0.0"
PUBLISHED = "published"
CITATION = """@inproceedings{zeng2024can,
  title={Can {MLLMs} Perform Text-to-Image In-Context Learning?},
  author={Zeng, Yuchen and Kang, Wonjun and Chen, Yicong and Koo, Hyung Il and Lee, Kangwook},
  booktitle={Conference on Language Modeling},
  year={2024}
}"""
DESCRIPTION = """Text-to-image in-context learning: 500 pictures, each of an object or animal with a
detail (its color, background, style, action or texture), and further views of them. Prompts are
made of pictures and words by lists that are part of the code."""


class Cobsat(RowsBuilder):
    """Drawn or published pictures; rows are stored pair by pair."""

    VERSION = tfds.core.Version(VERSION)
    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(
            name=name, description=f"drawn, {sizes.side} pixels, {sizes.train} views to train on"
        )
        for name, sizes in SIZES.items()
    ] + [tfds.core.BuilderConfig(name=PUBLISHED, description="the published folder, imported")]

    MANUAL_DOWNLOAD_INSTRUCTIONS = "Only config 'published': datasets.zip, unpacked."

    def _info(self) -> tfds.core.DatasetInfo:
        text = tfds.features.Text()
        return tfds.core.DatasetInfo(
            builder=self,
            description=DESCRIPTION,
            citation=CITATION,
            homepage="https://huggingface.co/datasets/yzeng58/CoBSAT",
            features=tfds.features.FeaturesDict(
                {
                    "theme": text,
                    "detail": text,
                    "object": text,
                    "view": tfds.features.Scalar(np.int64),
                    "picture": tfds.features.Image(),
                    "caption": text,
                }
            ),
            disable_shuffling=True,
        )

    def make_splits(self, config: str, seed: int, downloads: Any) -> Splits:
        if config == PUBLISHED:
            return {PICTURES: read_published(downloads.manual_dir)}
        sizes = SIZES[config]
        return {name: draw_split(sizes, seed, name) for name in SPLITS if sizes.count(name)}

    def features_of(self, row: Shown) -> dict[str, Any]:
        validate(row)
        return to_row(row)


def build(splits: Mapping[str, Iterable[Shown]], config: str, folder: str | Path) -> Path:
    """Write the dataset below `folder`, one picture after the other; return its own folder."""
    return write_rows(Cobsat(config=config, data_dir=str(folder), splits=splits))
