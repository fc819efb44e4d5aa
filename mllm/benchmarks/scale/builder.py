"""The TFDS builder, in array_record format: building and reading need no TensorFlow."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from mllm.benchmarks.dataset import write_rows
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


class Scale(tfds.core.GeneratorBasedBuilder):
    """Generated items; rows are stored in the order drawn, cell by cell.

    Text features are read back as bytes, pictures (when decoded) as uint8[height, width, 3].
    """

    VERSION = tfds.core.Version(VERSION)
    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(
            name=name,
            description=f"{sizes.train}, {sizes.validation} and {sizes.test} items a cell, "
            f"pictures of {sizes.side} pixels",
        )
        for name, sizes in SIZES.items()
    ] + [tfds.core.BuilderConfig(name="imported", description="items of a file")]

    def __init__(
        self,
        *,
        seed: int = 0,
        splits: Mapping[str, Iterable[Item]] | None = None,
        file_format: str = "array_record",
        **kwargs: Any,
    ):
        """Make a builder of the items of `seed`, or of `splits` where items are at hand."""
        self._seed = seed
        self._splits = splits
        super().__init__(file_format=file_format, **kwargs)

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

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict]]]:
        splits = self._splits
        if splits is None:
            source = Source(SIZES[self.builder_config.name], self._seed)
            splits = {split: source.items(split) for split in SPLITS}
        return {name: self._generate_examples(items) for name, items in splits.items()}

    def _generate_examples(self, items: Iterable[Item]) -> Iterator[tuple[int, dict]]:
        for number, item in enumerate(items):
            yield number, to_row(item)


def build(splits: Mapping[str, Iterable[Item]], config: str, folder: str | Path) -> Path:
    """Write the dataset below `folder`, one item after the other; return its own folder."""
    return write_rows(Scale(config=config, data_dir=str(folder), splits=splits))
