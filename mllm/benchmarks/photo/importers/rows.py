"""Rows of files as people have them: JSONL, JSON, CSV and TSV, with byte-order marks, CRLF, and
cells that hold line breaks.
"""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from mllm.files import require_file

SUFFIXES = (".jsonl", ".json", ".csv", ".tsv")
_MOST_CELL = 10_000_000  # characters


class Unusable(ValueError):
    """A row cannot be used; the message names file, place, key, what was found and expected."""


@dataclass(frozen=True)
class Place:
    """Where a row stands.

    Attributes:
      file: the file. at: "line 7", or "entry 'x.jpg'".
    """

    file: Path
    at: str

    def __str__(self) -> str:
        return f"{self.file}, {self.at}"

    def says(self, key: str, found: Any, expected: str) -> str:
        """Return a sentence that names file, place, key, what was found and what was expected."""
        shown = repr(found)
        shown = shown if len(shown) <= 90 else f"{shown[:70]}… ({len(shown)} characters)"
        return f"{self}, {key!r}: found {shown}, expected {expected}"

    def fail(self, key: str, found: Any, expected: str) -> NoReturn:
        """Raise ``says`` as ``Unusable``."""
        raise Unusable(self.says(key, found, expected))


Row = tuple[Place, dict[str, Any]]


def find_table(folder: Path, file: str = "") -> Path:
    """Return the file of a folder that holds its rows.

    Args:
      folder: or the file itself.
      file: its path from the folder; "" where it is the only table there.

    Raises:
      FileNotFoundError: there is none. ValueError: there are several.
    """
    if folder.is_file():
        return folder
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; expected one that holds the table")
    if file:
        return require_file(folder / file)
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not found:
        raise FileNotFoundError(f"{folder}: has no table; expected a file {', '.join(SUFFIXES)}")
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise ValueError(f"{folder}: expected one table, found {names}; name one with file")
    return found[0]


def rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a table in their order, with where each stands.

    A JSON file holds a list of objects, or an object whose values are objects; the key of each is
    then its column "key".

    Raises:
      FileNotFoundError: it is not there.
      ValueError: naming file and line: it is no UTF-8 text, or not in the format of its suffix.
    """
    require_file(path)
    reader = {".jsonl": _jsonl, ".json": _json}.get(path.suffix.lower(), _table)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path}: found suffix {path.suffix!r}, expected {', '.join(SUFFIXES)}")
    try:
        yield from reader(path)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text ({error}); save it as UTF-8") from None


def _jsonl(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                place = Place(path, f"line {number}")
                yield place, _object(place, _loads(place, line))


def _json(path: Path) -> Iterator[Row]:
    value = _loads(Place(path, "the whole"), path.read_text(encoding="utf-8-sig"))
    if isinstance(value, dict):
        for key, entry in value.items():
            place = Place(path, f"entry {key!r}")
            yield place, {"key": key, **_object(place, entry)}
    elif isinstance(value, list):
        for number, entry in enumerate(value, 1):
            place = Place(path, f"entry {number}")
            yield place, _object(place, entry)
    else:
        raise ValueError(f"{path}: found {type(value).__name__}, expected a list of objects")


def _loads(place: Place, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{place}: not JSON ({error})") from None


def _object(place: Place, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{place}: found {type(value).__name__}, expected an object")
    return value


def _table(path: Path) -> Iterator[Row]:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    csv.field_size_limit(_MOST_CELL)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        names, line = None, 1
        try:
            for cells in reader:
                place, line = Place(path, f"line {line}"), reader.line_num + 1
                if not any(cell.strip() for cell in cells):
                    continue
                if names is None:
                    names = _header(place, cells)
                elif len(cells) != len(names):
                    raise ValueError(
                        f"{place}: found {len(cells)} columns, expected {len(names)} "
                        f"({', '.join(names)}); put text that holds {delimiter!r} in quotes"
                    )
                else:
                    yield place, dict(zip(names, cells, strict=True))
        except csv.Error as error:
            raise ValueError(f"{path}, line {line}: {error}; close the quotes") from None
    if names is None:
        raise ValueError(f"{path}: is empty, expected a line with the names of columns")


def _header(place: Place, cells: list[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"{place}: columns {sorted(twice)} are there twice; name each once")
    return names
