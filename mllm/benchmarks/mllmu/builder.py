"""The TFDS builder."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from mllm.benchmarks.dataset import write_rows
from mllm.benchmarks.mllmu.generate import SIZES, generate
from mllm.benchmarks.mllmu.published import read_published
from mllm.benchmarks.mllmu.schema import Profile, fingerprint, to_row, validate
from mllm.benchmarks.rows_builder import RowsBuilder

VERSION = "1.1.0"
CONFIGS = {
    "small": "60 fictitious people and 18 public figures, generated",
    "full": "500 fictitious people and 153 public figures, generated",
    "published": "the published parquet folders, imported",
}
CITATION = """@inproceedings{liu2025mllmu,
  title={Protecting Privacy in Multimodal Large Language Models with {MLLMU-Bench}},
  author={Liu, Zheyuan and Dou, Guangyao and Jia, Mengzhao and Tan, Zhaoxuan and Zeng, Qingkai
          and Yuan, Yongle and Jiang, Meng},
  booktitle={Proceedings of NAACL-HLT},
  year={2025}
}"""
DESCRIPTION = """Machine unlearning for multimodal models: profiles of people, 18 questions each,
training pairs, and forget and retain splits by profile. biography, attributes, questions and
training hold JSON."""

Splits = Mapping[str, Sequence[Profile]]


def make_source(
    config: str,
    seed: int,
    published_dir: str | Path | None,
    progress: Callable[[str], None] | None = None,
) -> tuple[Splits, dict[int, tuple[str, ...]]]:
    """Return (rows by split, forget IDs by percent) of a builder config."""
    if config in SIZES:
        return generate(SIZES[config], seed, progress=progress)
    if published_dir is None:
        raise ValueError(
            "config 'published' needs published_dir: the folder that holds Full_Set/, Test_Set/, "
            "Retain_Set/, ft_Data/, forget_5/ ... with their parquet files"
        )
    return read_published(published_dir, progress=progress)


class Mllmu(RowsBuilder):
    """MLLMU-Bench with the published structure, generated from a seed or imported."""

    VERSION = tfds.core.Version(VERSION)
    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(name=name, description=text) for name, text in CONFIGS.items()
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = "Only config 'published': the folder of the parquet folders."

    def _info(self) -> tfds.core.DatasetInfo:
        text = tfds.features.Text()
        return tfds.core.DatasetInfo(
            builder=self,
            description=DESCRIPTION,
            citation=CITATION,
            homepage="https://huggingface.co/datasets/MLLMMU/MLLMU-Bench",
            features=tfds.features.FeaturesDict(
                {
                    "id": text,
                    "name": text,
                    "kind": text,
                    "images": tfds.features.Sequence(tfds.features.Image()),
                    "biography": text,
                    "attributes": text,
                    "questions": text,
                    "training": text,
                }
            ),
            disable_shuffling=True,
        )

    def make_splits(self, config: str, seed: int, downloads: Any) -> Splits:
        manual = None if config in SIZES else downloads.manual_dir
        splits, _ = make_source(config, seed, manual)
        return {name: rows for name, rows in splits.items() if rows}

    def features_of(self, row: Profile) -> dict[str, Any]:
        validate(row)
        return to_row(row)


def build(splits: Splits, config: str, folder: str | Path) -> tuple[Path, str]:
    """Write the dataset below `folder`; return its own folder and its fingerprint."""
    builder = Mllmu(config=config, data_dir=str(folder), splits=splits)
    return write_rows(builder), fingerprint(splits)
