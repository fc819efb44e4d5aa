"""TFDS datasets on disk: built whole or not at all, and read row by row without TensorFlow."""

import contextlib
import fcntl
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import tensorflow_datasets as tfds

from mllm.data.source import Mapped
from mllm.files import read_json, write_json
from mllm.registry import lookup

RECORD = "benchmark.json"
ROWS_KEPT = 64  # rows of a split that stay in memory; one may hold megabytes of pictures
KEYS = ("schema", "config", "fingerprint")

Row = TypeVar("Row")
Build = Callable[[Path], tuple[Path, Mapping[str, Any]]]


class Dataset:
    """A finished dataset: its record and its rows.

    Attributes:
      folder: that TFDS wrote. record: the values of benchmark.json.
    """

    def __init__(self, folder: Path, record: Mapping[str, Any]):
        self.folder, self.record = folder, record
        self._builder = tfds.builder_from_directory(str(folder))
        self.rows = cache(self._rows)

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits that have rows, sorted."""
        return tuple(sorted(self._builder.info.splits))

    @property
    def fingerprint(self) -> str:
        """sha256 (hex) over the content of all rows, independent of how they are stored."""
        return self.record["fingerprint"]

    def _rows(self, split: str, make: Callable[[Mapping[str, Any]], Row]) -> Mapped[Row]:
        """Return the rows of a split in the order of its source; each is read when asked for.

        Args:
          make: makes a row of its features; text is bytes, pictures are encoded files.

        Raises:
          ValueError: the dataset has no such split.
        """
        lookup(dict.fromkeys(self.splits), split, f"split of {self.folder}")
        features = self._builder.info.features
        encoded = {
            name: KeepEncoded() for name, feature in features.items() if _holds_pictures(feature)
        }
        source = self._builder.as_data_source(split=split, decoders=encoded)
        return Mapped(source, make, kept=ROWS_KEPT)


class KeepEncoded(tfds.decode.SkipDecoding):
    """Leave pictures encoded; TFDS itself can do so for one picture but not for a sequence."""

    def decode_batch_example_np(self, example: Any) -> Any:
        """Return the pictures as they are stored."""
        return example


def _holds_pictures(feature: Any) -> bool:
    inner = feature.feature if isinstance(feature, tfds.features.Sequence) else feature
    return isinstance(inner, tfds.features.Image)


def open_dataset(folder: Path) -> Dataset:
    """Open a dataset that ``build_dataset`` wrote.

    Raises:
      FileNotFoundError: it has not been prepared.
      ValueError: its record lacks a key.
    """
    path = folder / RECORD
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: not found; make it with `python -m experiments.prepare` and the same config"
        )
    record = read_json(path)
    if missing := [key for key in KEYS if key not in record]:
        raise ValueError(
            f"{path}: keys {missing} are missing; delete {folder} and prepare it again"
        )
    return Dataset(folder, record)


def build_dataset(final: Path, build: Build) -> None:
    """Build a dataset unless it is there; one process at a time does.

    All is built in a folder next to the final one and moved there at the end, so that an
    interrupted build leaves nothing that looks finished; its remains go with the next build.

    Args:
      final: the dataset's folder.
      build: writes a dataset below an empty folder; returns the dataset's own folder in it and the
        values of its record, the fingerprint among them.
    """
    with _only_one(final.parent):
        if final.exists():
            return
        temporary = Path(tempfile.mkdtemp(prefix=".building-", dir=final.parent))
        try:
            folder, record = build(temporary)
            write_json(folder / RECORD, {"schema": 1, **record})
            os.replace(folder, final)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def write_rows(builder: tfds.core.DatasetBuilder) -> Path:
    """Let a TFDS builder write its rows without printing; return the dataset's own folder."""
    tfds.disable_progress_bar()
    with contextlib.redirect_stdout(io.StringIO()):  # TFDS prints a download of unknown size
        builder.download_and_prepare()
    return Path(builder.data_path)


def require_seed(dataset: Dataset, seed: int | None) -> None:
    """Check that a dataset was generated from a seed; None for data that no seed makes.

    Raises:
      ValueError: it was made with another one.
    """
    made = dataset.record["seed"]
    if made != seed:
        raise ValueError(
            f"{dataset.folder}: made with seed {made}, not {seed}; delete it or choose another "
            "data_dir"
        )


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Let one process build in a folder at a time, and remove what a killed one left there."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in folder.glob(".building-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield
