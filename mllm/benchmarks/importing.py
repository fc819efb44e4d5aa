"""Files that somebody has, as a data set: made once of each content, and read as it was made."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from mllm.benchmarks.dataset import Build, Dataset, build_dataset, open_dataset, require_imported

Row = TypeVar("Row")


def import_once(
    root: Path,
    config: str,
    version: str,
    source: str | Path,
    found: str,
    make: Build,
    again: Callable[[], str],
) -> Dataset:
    """Import files unless their content was imported before, and open the result.

    Args:
      root: folder of the data sets of a benchmark.
      found: see ``open_import``. again: computes it again, when all was read.
      make: as of ``build_dataset``; what every import has is added to its record.

    Raises:
      ValueError: the files changed while they were read.
    """

    def build(folder: Path) -> tuple[Path, Mapping[str, Any]]:
        written, record = make(folder)
        if again() != found:
            raise ValueError(f"{source}: changed while it was read; run the command again")
        return written, {"config": config, "version": version, "source": found, **record}

    build_dataset(_folder(root, config, found, version), build)
    return open_import(root, config, version, source, found)


def open_import(root: Path, config: str, version: str, source: str | Path, found: str) -> Dataset:
    """Open what ``import_once`` made.

    Args:
      found: sha256 (hex) of all that the import depends on: content of the files, options, and the
        version of the importer.

    Raises:
      FileNotFoundError: the files are not there, or were not imported since they changed.
    """
    folder = _folder(root, config, found, version)
    require_imported(folder, source)
    return open_dataset(folder, config=config, version=version, source=found)


def _folder(root: Path, config: str, found: str, version: str) -> Path:
    return root / config / found[:16] / version


def noted(
    splits: Mapping[str, Iterable[Row]], digest: Callable[[Row], str], digests: dict[str, list[str]]
) -> dict[str, Iterator[Row]]:
    """Return the rows of splits; as a row is read its digest is added to those of its split."""

    def rows_of(split: str, rows: Iterable[Row]) -> Iterator[Row]:
        digests[split] = []
        for row in rows:
            digests[split].append(digest(row))
            yield row

    return {split: rows_of(split, rows) for split, rows in splits.items()}
