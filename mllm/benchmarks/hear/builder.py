"""The TFDS builder."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from mllm.benchmarks.dataset import write_rows
from mllm.benchmarks.hear.generate import make_split
from mllm.benchmarks.hear.importers import IMPORTERS
from mllm.benchmarks.hear.ontology import Ontology
from mllm.benchmarks.hear.plan import SIZES
from mllm.benchmarks.hear.row import SPLITS, Clip, to_row, validate
from mllm.benchmarks.hear.tree import tree
from mllm.benchmarks.rows_builder import RowsBuilder, Splits

VERSION, ONTOLOGY = "1.0.0", "ontology.json"
CITATION = """@article{coban2024mllms,
  title={What do MLLMs hear? Examining reasoning with text and sound components in Multimodal
         Large Language Models},
  author={{\\c{C}}oban, Enis Berk and Mandel, Michael I. and Devaney, Johanna},
  journal={arXiv preprint arXiv:2406.04615},
  year={2024}
}"""
DESCRIPTION = """Clips of sound with their tags in an ontology. fields holds JSON, sound the encoded
sound."""


class Hear(RowsBuilder):
    """Generated or imported clips; rows are stored in the order of their source."""

    VERSION = tfds.core.Version(VERSION)
    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(
            name=name,
            description=f"{sizes.train} clips of {sizes.seconds} s of each leaf to train on, "
            f"{sizes.validation} and {sizes.test} to validate and to test",
        )
        for name, sizes in SIZES.items()
    ] + [
        tfds.core.BuilderConfig(name=name, description=f"imported: {module.__doc__.split(':')[0]}")
        for name, module in IMPORTERS.items()
    ]

    def __init__(self, *, ontology: Ontology | None = None, **kwargs: Any):
        """Make a builder of clips whose tags are in an ontology, that of generated ones if None."""
        self._ontology = ontology or tree()
        super().__init__(**kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=DESCRIPTION,
            citation=CITATION,
            homepage="https://arxiv.org/abs/2406.04615",
            features=tfds.features.FeaturesDict(
                {
                    "fields": tfds.features.Text(),
                    "sound": tfds.features.Tensor(shape=(), dtype=np.object_),
                }
            ),
            disable_shuffling=True,
        )

    def make_splits(self, config: str, seed: int, downloads: Any) -> Splits:
        return {split: make_split(SIZES[config], seed, split) for split in SPLITS}

    def features_of(self, row: Clip) -> dict[str, Any]:
        validate(row, self._ontology)
        return to_row(row)


def build(
    splits: Mapping[str, Iterable[Clip]], config: str, folder: str | Path, ontology: Ontology
) -> Path:
    """Write the data set below `folder`, one row after the other; return its own folder."""
    builder = Hear(config=config, data_dir=str(folder), splits=splits, ontology=ontology)
    return write_rows(builder)
