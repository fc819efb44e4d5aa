"""The TFDS builder, in array_record format: building and reading need no TensorFlow."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from mllm.benchmarks.cobsat.generate import PICTURES, SIZES, SPLITS, draw_split
from mllm.benchmarks.cobsat.published import read_published
from mllm.benchmarks.cobsat.shown import Shown, to_row, validate
from mllm.benchmarks.dataset import write_rows

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


class Cobsat(tfds.core.GeneratorBasedBuilder):
    """Drawn or published pictures; rows are stored pair by pair.

    Text features are read back as bytes, pictures (when decoded) as uint8[height, width, 3].
    """

    VERSION = tfds.core.Version(VERSION)
    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(
            name=name, description=f"drawn, {sizes.side} pixels, {sizes.train} views to train on"
        )
        for name, sizes in SIZES.items()
    ] + [tfds.core.BuilderConfig(name=PUBLISHED, description="the published folder, imported")]

    MANUAL_DOWNLOAD_INSTRUCTIONS = "Only config 'published': datasets.zip, unpacked."

    def __init__(
        self,
        *,
        seed: int = 0,
        splits: Mapping[str, Iterable[Shown]] | None = None,
        file_format: str = "array_record",
        **kwargs: Any,
    ):
        """Make a builder of the pictures of `seed`, or of `splits` where they are at hand."""
        self._seed = seed
        self._splits = splits
        super().__init__(file_format=file_format, **kwargs)

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

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict]]]:
        splits = self._splits
        if splits is None and self.builder_config.name == PUBLISHED:
            splits = {PICTURES: read_published(dl_manager.manual_dir)}
        elif splits is None:
            sizes = SIZES[self.builder_config.name]
            names = [split for split in SPLITS if sizes.count(split)]
            splits = {split: draw_split(sizes, self._seed, split) for split in names}
        return {name: self._generate_examples(rows) for name, rows in splits.items()}

    def _generate_examples(self, rows: Iterable[Shown]) -> Iterator[tuple[int, dict]]:
        for number, shown in enumerate(rows):
            validate(shown)
            yield number, to_row(shown)


def build(splits: Mapping[str, Iterable[Shown]], config: str, folder: str | Path) -> Path:
    """Write the dataset below `folder`, one picture after the other; return its own folder."""
    return write_rows(Cobsat(config=config, data_dir=str(folder), splits=splits))
