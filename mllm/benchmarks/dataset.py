"""TFDS datasets on disk: built whole or not at all, and read row by row without TensorFlow."""

import contextlib
import fcntl
import io
import os
import shutil
import sys
import tempfile
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeVar

import tensorflow_datasets as tfds

from mllm.benchmarks.record import RECORD, check_files, is_outdated, read_record, write_record
from mllm.benchmarks.workers import ending_workers
from mllm.data.source import Mapped
from mllm.files import read_json
from mllm.registry import lookup
from mllm.studies.lock import NO_LOCKS

SHARD = ".array_record"
ROWS_KEPT = 64  # rows of a split that stay in memory; one may hold megabytes of pictures

Row = TypeVar("Row")
Build = Callable[[Path], tuple[Path, Mapping[str, Any]]]


class Dataset:
    """A finished dataset: its record and its rows.

    The files of a split are checked against the record when its rows are first asked for.

    Attributes:
      folder: that TFDS wrote. record: the values of benchmark.json.
    """

    def __init__(self, folder: Path, record: Mapping[str, Any]):
        self.folder, self.record = folder, record
        self._builder = tfds.builder_from_directory(str(folder))
        self.rows = cache(self._rows)
        self._stored = cache(self._open_split)

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
          FileNotFoundError, ValueError: the dataset has no such split, or one of its files is
            missing or damaged.
        """
        lookup(dict.fromkeys(self.splits), split, f"split of {self.folder}")
        return Mapped(self._stored(split), make, kept=ROWS_KEPT)

    def _open_split(self, split: str) -> "StoredRows":
        info = self._builder.info
        shards = [Path(os.fspath(path)) for path in info.splits[split].filepaths]
        if "files" in self.record:  # not yet while the dataset is being built
            check_files(self.folder, self.record, [shard.name for shard in shards])
        encoded = {
            name: KeepEncoded()
            for name, feature in info.features.items()
            if _holds_pictures(feature)
        }
        source = self._builder.as_data_source(split=split, decoders=encoded)
        return StoredRows(source, shards, info.splits[split].shard_lengths)


class StoredRows(Sequence):
    """The rows of a split as TFDS reads them; an error names the file that it comes from."""

    def __init__(self, source: Sequence, shards: Sequence[Path], lengths: Sequence[int]):
        self._source, self._shards, self._ends = source, shards, list(accumulate(lengths))

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, number: int) -> Mapping[str, Any]:
        try:
            return self._source[number]
        except (ValueError, RuntimeError) as error:
            shard = self._shards[bisect_right(self._ends, number)]
            reason = " ".join(str(error).split())[:200]
            raise ValueError(
                f"{shard}: row {number} cannot be read ({reason}); if the file was damaged or "
                f"removed since it was opened, delete {shard.parent} and prepare it again"
            ) from None


class KeepEncoded(tfds.decode.SkipDecoding):
    """Leave pictures encoded; TFDS itself can do so for one picture but not for a sequence."""

    def decode_batch_example_np(self, example: Any) -> Any:
        """Return the pictures as they are stored."""
        return example


def _holds_pictures(feature: Any) -> bool:
    inner = feature.feature if isinstance(feature, tfds.features.Sequence) else feature
    return isinstance(inner, tfds.features.Image)


def open_dataset(folder: Path, **made_from: Any) -> Dataset:
    """Open a dataset that ``build_dataset`` wrote.

    Args:
      made_from: what it must have been made from: values of its record by key.

    Raises:
      FileNotFoundError: it has not been prepared, or one of its files is missing.
      ValueError: it was made from something else, or a file other than those of the rows is not
        what was prepared.
    """
    record = read_record(folder, **made_from)
    check_files(folder, record, [name for name in record["files"] if SHARD not in name])
    return Dataset(folder, record)


def require_imported(folder: Path, source: str | Path) -> None:
    """Check that the files of a source were imported as they are now.

    Args:
      folder: of the dataset, named by the content of the source.

    Raises:
      FileNotFoundError: they were not.
    """
    if not folder.exists():
        raise FileNotFoundError(
            f"{source}: not imported yet, or changed since it was ({folder} not found); import it "
            "with `python -m experiments.prepare` and the same config"
        )


def build_dataset(final: Path, build: Build) -> None:
    """Build a dataset unless it is there; one process at a time does.

    All is built in a folder next to the final one and moved there at the end, so that an
    interrupted build leaves nothing that looks finished; its remains go with the next build. A
    dataset that is there is neither locked nor written to, so it may lie on a disk that is
    read-only. One that an earlier version wrote without digests is made again.

    Args:
      final: the dataset's folder.
      build: writes a dataset below an empty folder; returns the dataset's own folder in it and the
        values of its record, the fingerprint among them.

    Raises:
      ValueError: what is made again has other rows than before.
    """
    if _is_built(final):
        return
    with _only_one(final.parent):
        if _is_built(final):
            return
        temporary = Path(tempfile.mkdtemp(prefix=".building-", dir=final.parent))
        try:
            with ending_workers():
                folder, record = build(temporary)
            write_record(folder, record)
            if _is_built(final):  # by another process, on a disk without locks
                return
            if final.exists():
                _require_same_rows(final, record["fingerprint"])
                os.replace(final, temporary / "earlier")
            os.replace(folder, final)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _is_built(final: Path) -> bool:
    return final.exists() and not is_outdated(final)


def _require_same_rows(final: Path, fingerprint: str) -> None:
    if (before := read_json(final / RECORD).get("fingerprint")) != fingerprint:
        raise ValueError(
            f"{final}: was prepared by an earlier version with fingerprint {str(before)[:12]}, and "
            f"has {fingerprint[:12]} when it is made again; keep it for the runs that used it, and "
            "choose another data_dir"
        )


def write_rows(builder: tfds.core.DatasetBuilder) -> Path:
    """Let a TFDS builder write its rows without printing; return the dataset's own folder."""
    tfds.disable_progress_bar()
    with contextlib.redirect_stdout(io.StringIO()):  # TFDS prints a download of unknown size
        builder.download_and_prepare()
    return Path(builder.data_path)


def aloud(progress: Callable[[str], None]) -> Callable[[str], None]:
    """Let progress print to the present standard output, while that of TFDS is discarded."""
    stdout = sys.stdout

    def say(message: str) -> None:
        with contextlib.redirect_stdout(stdout):
            progress(message)

    return say


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Let one process build in a folder at a time, and remove what a killed one left there.

    On a disk without locks several may build; the first to finish gives the dataset its name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
        else:
            for leftover in folder.glob(".building-*"):
                shutil.rmtree(leftover, ignore_errors=True)
        yield
