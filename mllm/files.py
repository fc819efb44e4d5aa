"""Files that are whole or absent: JSON read with errors that name the file, written aside and
renamed, and sealed where a number depends on it.
"""

import contextlib
import glob
import hashlib
import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

SEAL = "seal"  # the key of a sealed object that holds the digest of all its other keys


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path next to ``path``; on success it takes its place, on failure it is
    removed. What a killed process left there for the same path is removed too.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_left_over(path)
    writer = f"{threading.get_ident()}.{os.getpid()}"  # threads may write the same file at once
    temporary = path.with_name(f".{path.name}.{writer}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _remove_left_over(path: Path) -> None:
    """Remove the temporary files of a path whose processes have ended."""
    for found in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        process = found.name.removesuffix(".tmp").rpartition(".")[2]
        if process.isdigit() and not _runs(int(process)):
            found.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except PermissionError:  # somebody else's
        return True
    except OSError:
        return False
    return True


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Write indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


# How files begin that were left in the place of others, and what to do about it.
_STAND_INS = {
    b"version https://git-lfs.github.com/spec/": (
        "a Git LFS pointer, which only names the file; fetch its content with `git lfs install` "
        "and `git lfs pull` in the clone, or download the file again"
    ),
    b"/annex/objects/": (
        "a git-annex pointer, which only names the file; fetch its content with `git annex get`"
    ),
    **dict.fromkeys(
        (b"<!doctype html", b"<html"),
        "a web page, perhaps one that shows the file or asks to log in; download the file itself "
        "(on the Hugging Face Hub, /resolve/ instead of /blob/)",
    ),
}


def require_file(path: Path) -> Path:
    """Return the path of a file after checking that it holds content of its own.

    Raises:
      FileNotFoundError: there is no such file, or a link leads nowhere.
      ValueError: the file is only a pointer of Git LFS or git-annex, or a web page.
    """
    path = Path(path)
    if path.is_symlink() and not path.exists():
        raise FileNotFoundError(
            f"{path}: is a link to {os.readlink(path)}, which is not there; fetch the file again, "
            "or mount the disk that it lies on"
        )
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    with path.open("rb") as file:
        start = file.read(64).lstrip().lower()
    for begin, what in _STAND_INS.items():
        if start.startswith(begin):
            raise ValueError(f"{path}: is {what}")
    return path


def read_text(path: Path) -> str:
    """Read UTF-8 text.

    Raises:
      FileNotFoundError, ValueError: naming the file.
    """
    require_file(path)
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text ({error})") from None


def read_json(path: Path) -> dict:
    """Read a JSON object.

    Raises:
      FileNotFoundError, ValueError: naming the file.
    """
    path = require_file(path)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not JSON ({error})") from None
    if not isinstance(value, dict):
        raise ValueError(f"{path}: expected a JSON object, found {type(value).__name__}")
    return value


def read_jsonl(path: Path) -> list[dict]:
    """Return the objects of an append-only file, none if it is missing.

    A torn last line, left by a kill, is skipped.

    Raises:
      ValueError: a whole line is not a JSON object; the message names file and line.
    """
    if not Path(path).is_file():
        return []
    lines = Path(path).read_bytes().split(b"\n")
    records = []
    for number, line in enumerate(lines[:-1], 1):  # what follows the last newline is unfinished
        try:
            record = json.loads(line)
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{path}, line {number}: not JSON ({error})") from None
        if not isinstance(record, dict):
            found = type(record).__name__
            raise ValueError(f"{path}, line {number}: expected a JSON object, found {found}")
        records.append(record)
    return records


def file_digest(path: Path, stopped: threading.Event | None = None) -> str:
    """Return sha256 (hex) of a file's content, or of its beginning once ``stopped`` is set."""
    total, buffer = hashlib.sha256(), bytearray(1 << 20)
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(buffer):
            if stopped is not None and stopped.is_set():
                break
            total.update(memoryview(buffer)[:count])
    return total.hexdigest()


def file_digests(paths: Iterable[Path]) -> dict[Path, str]:
    """Return sha256 (hex) of the content of files, several of which are read at once.

    An interrupt does not wait for the end of the files.
    """
    paths, stopped = list(paths), threading.Event()
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        try:
            found = list(pool.map(file_digest, paths, [stopped] * len(paths)))
        except BaseException:
            stopped.set()
            raise
    return dict(zip(paths, found, strict=True))


def seal(value: Mapping[str, Any], *context: Any) -> dict[str, Any]:
    """Return a JSON object with the key "seal", a digest of its other keys and of JSON values that
    it belongs to.
    """
    bare = without_seal(value)
    return {**bare, SEAL: _digest(bare, context)}


def without_seal(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON object without its seal."""
    return {key: part for key, part in value.items() if key != SEAL}


def is_sealed(value: Mapping[str, Any], *context: Any) -> bool:
    """Return whether an object is as ``seal`` returned it in the same context."""
    return SEAL in value and value[SEAL] == seal(value, *context)[SEAL]


def _digest(value: Mapping[str, Any], context: tuple) -> str:
    text = json.dumps([value, context], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def write_sealed(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object with its seal."""
    write_json(path, seal(value))


def read_sealed(path: Path) -> dict:
    """Read a JSON object that ``write_sealed`` wrote, without its seal.

    Raises:
      FileNotFoundError, ValueError: naming the file; also where it was changed since.
    """
    value = read_json(path)
    if not is_sealed(value):
        found = "was changed after it was written" if SEAL in value else f"has no key {SEAL!r}"
        raise ValueError(f"{path}: {found}; put back the file as it was written, or make it again")
    return without_seal(value)


def read_run(path: Path) -> dict:
    """Read a run.json without its seal. One from before they were sealed names no files.

    Raises:
      FileNotFoundError, ValueError: naming the file; also where it was changed since.
    """
    value = read_json(path)
    return read_sealed(path) if SEAL in value or "files" in value else value
