"""The TFDS builder."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from mllm.benchmarks.dataset import write_rows
from mllm.benchmarks.rows_builder import RowsBuilder, Splits
from mllm.benchmarks.scale.generate import SIZES, SPLITS, Source
from mllm.benchmarks.scale.item import Item, to_row

VERSION = "1.0.0"
CITATION = """@article{feng2025benchmarking,
  title={Benchmarking Large and Small {MLLMs}},
  author={Feng, Xuelu and Li, Yunsheng and Chen, Dongdong and Gao, Mei and Liu, Mengchen
          and Yuan, Junsong and Qiao, Chunming},
  journal={arXiv preprint arXiv:2501.04150},
  year={2025}
}"""
DESCRIPTION = """Questions about one or more drawn pictures, in cells of suite, input format and
capability, each with a twin: the same text with other pictures and another answer. layout,
questions, options, answers, candidates, objects, times, twin_answers and scene hold JSON."""


class Scale(RowsBuilder):
    """Generated items; rows are stored in the order drawn, cell by cell."""

    VERSION = tfds.core.Version(VERSION)
    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(
            name=name,
            description=f"{sizes.train}, {sizes.validation} and {sizes.test} items a cell, "
            f"pictures of {sizes.side} pixels",
        )
        for name, sizes in SIZES.items()
    ] + [tfds.core.BuilderConfig(name="imported", description="items of a file")]

    def _info(self) -> tfds.core.DatasetInfo:
        text = tfds.features.Text()
        pictures = tfds.features.Sequence(tfds.features.Image())
        texts = (
            "id", "suite", "format", "capability", "kind", "tag", "layout", "questions", "options",
            "answers", "candidates", "objects", "times", "twin_answers", "scene",
        )  # fmt: skip
        features = dict.fromkeys(texts, text) | {"pictures": pictures, "twin_pictures": pictures}
        return tfds.core.DatasetInfo(
            builder=self,
            description=DESCRIPTION,
            citation=CITATION,
            homepage="https://arxiv.org/abs/2501.04150",
            features=tfds.features.FeaturesDict(features),
            disable_shuffling=True,
        )

    def make_splits(self, config: str, seed: int, downloads: Any) -> Splits:
        source = Source(SIZES[config], seed)
        return {split: source.items(split) for split in SPLITS}

    def features_of(self, row: Item) -> dict[str, Any]:
        return to_row(row)


def build(splits: Mapping[str, Iterable[Item]], config: str, folder: str | Path) -> Path:
    """Write the dataset below `folder`, one item after the other; return its own folder."""
    return write_rows(Scale(config=config, data_dir=str(folder), splits=splits))
