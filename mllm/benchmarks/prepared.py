"""A prepared benchmark on disk: what it says of itself, whatever its rows are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from mllm.benchmarks.dataset import Dataset
from mllm.benchmarks.tokenizer import TOKENIZER


class Prepared:
    """A finished data set with its tokenizer; a benchmark adds its rows, ``open`` and ``prepare``.

    Attributes:
      folder: of the data set.
      sizes: keys of its record that say how large it is, for ``info``.
    """

    sizes: ClassVar[tuple[str, ...]] = ()

    def __init__(self, dataset: Dataset):
        self.folder, self._dataset = dataset.folder, dataset

    @property
    def config(self) -> str:
        """The config of its builder."""
        return self._dataset.record["config"]

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits that have rows, sorted."""
        return self._dataset.splits

    @property
    def fingerprint(self) -> str:
        """sha256 (hex) over the content of all rows, independent of how they are stored."""
        return self._dataset.fingerprint

    @property
    def tokenizer_path(self) -> Path:
        """The tokenizer that was trained when the data was made."""
        return self.folder / TOKENIZER

    @property
    def info(self) -> dict[str, Any]:
        """Config, seed, sizes, versions, licences and citation, as far as the record has them."""
        keys = ("config", "seed", *self.sizes, "versions", "licences", "citation")
        return {key: self._dataset.record[key] for key in keys if key in self._dataset.record}


def named(config: Any, options: Callable[..., Any]) -> dict[str, Any]:
    """Return which data set a configuration names, as arguments of ``open`` and ``prepare`` of a
    benchmark that imports files.

    Args:
      options: makes the options of an import of ``config.benchmark.options``.
    """
    chosen = config.benchmark
    return {
        "data_dir": chosen.data_dir,
        "config": chosen.config,
        "seed": chosen.seed,
        "source": chosen.source,
        "options": options(**chosen.options),
    }
