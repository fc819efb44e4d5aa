"""What the TFDS builders of all benchmarks do alike: rows are stored in the order of their source,
in array_record format, so that building and reading need no TensorFlow.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import tensorflow_datasets as tfds

Splits = Mapping[str, Iterable[Any]]


class RowsBuilder(tfds.core.GeneratorBasedBuilder):
    """A builder of rows that a benchmark makes, or that are at hand.

    Text features are read back as bytes, pictures (when decoded) as uint8[height, width, 3].
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        splits: Splits | None = None,
        file_format: str = "array_record",
        **kwargs: Any,
    ):
        """Make a builder of the rows of ``seed``, or of ``splits`` where the rows are at hand."""
        self._seed = seed
        self._splits = splits
        super().__init__(file_format=file_format, **kwargs)

    @abstractmethod
    def make_splits(self, config: str, seed: int, downloads: Any) -> Splits:
        """Return the rows of each split.

        Args:
          config: name of the builder config.
          downloads: of TFDS; ``manual_dir`` is the folder of what is imported.
        """

    @abstractmethod
    def features_of(self, row: Any) -> dict[str, Any]:
        """Return the features of a row.

        Raises:
          ValueError: the row is not what the benchmark expects.
        """

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict]]]:
        splits = self._splits
        if splits is None:
            splits = self.make_splits(self.builder_config.name, self._seed, dl_manager)
        return {name: self._generate_examples(rows) for name, rows in splits.items()}

    def _generate_examples(self, rows: Iterable[Any]) -> Iterator[tuple[int, dict]]:
        for number, row in enumerate(rows):
            yield number, self.features_of(row)
