"""The record of a dataset on disk: what it was made from, and the digest of each of its files.

benchmark.json   schema, config, version, fingerprint, what the benchmark adds (such as seed),
                 files {name: sha256}, and a digest of all this
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mllm.files import SEAL, file_digests, is_sealed, read_json, require_file, write_sealed

RECORD = "benchmark.json"
SCHEMA = 2
KEYS = ("schema", "config", "fingerprint", "files", SEAL)


def write_record(folder: Path, values: Mapping[str, Any]) -> None:
    """Write the record of a dataset whose files are all there."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    digests = file_digests(paths)
    files = {path.relative_to(folder).as_posix(): digests[path] for path in paths}
    write_sealed(folder / RECORD, {"schema": SCHEMA, **values, "files": files})


def read_record(folder: Path, **made_from: Any) -> dict[str, Any]:
    """Return the record of a dataset.

    Args:
      made_from: what the dataset must have been made from: values of the record by key.

    Raises:
      FileNotFoundError: the dataset has not been prepared, or its record is gone.
      ValueError: the record was changed, or the dataset was made from something else.
    """
    path = folder / RECORD
    if not folder.exists():
        raise FileNotFoundError(
            f"{path}: not found; make it with `python -m experiments.prepare` and the same config"
        )
    again = f"delete {folder} and prepare it again"
    try:
        record = read_json(path)
    except (FileNotFoundError, ValueError) as error:
        raise type(error)(f"{error}; {again}") from None
    if is_outdated(folder):
        raise ValueError(
            f"{path}: was written by an earlier version, without digests of its files; run "
            "`python -m experiments.prepare` with the same config, which makes it again"
        )
    if missing := [key for key in KEYS if key not in record]:
        raise ValueError(f"{path}: keys {missing} are missing; {again}")
    if not is_sealed(record):
        raise ValueError(f"{path}: was changed since the dataset was prepared; {again}")
    for key, wanted in made_from.items():
        if (found := record.get(key)) != wanted:
            raise ValueError(
                f"{folder}: made with {key} {found}, not {wanted}; delete it or choose another "
                "data_dir"
            )
    return record


def is_outdated(folder: Path) -> bool:
    """Whether a dataset was prepared before records held the digests of files."""
    try:
        return read_json(folder / RECORD).get("schema") == 1
    except (FileNotFoundError, ValueError):  # ``read_record`` says what is wrong
        return False


def check_files(folder: Path, record: Mapping[str, Any], names: Iterable[str]) -> None:
    """Check files of a dataset against the digests of its record.

    Raises:
      FileNotFoundError, ValueError: naming the first file that is missing, or is not what was
        prepared.
    """
    again = f"delete {folder} and prepare it again"
    paths = {folder / name: record["files"].get(name) for name in names}
    if missing := [path for path in paths if not path.is_file()]:
        raise FileNotFoundError(f"{missing[0]}: no such file; {again}")
    for path, found in file_digests(paths).items():
        if found != paths[path]:
            require_file(path)
            raise ValueError(
                f"{path}: is damaged or was changed since the dataset was prepared (sha256 "
                f"{found[:12]}, in {RECORD} {str(paths[path])[:12]}); {again}"
            )
