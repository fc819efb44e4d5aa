"""Lines and tables of text files as people have them: with CRLF, byte-order marks, stray quotes."""

import csv
import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from mllm.benchmarks.msr.importers.ledger import Ledger
from mllm.files import require_file


def lines(path: Path, ledger: Ledger) -> Iterator[tuple[int, str]]:
    """Yield (number, line) of the lines that are not blank, without their ends.

    Args:
      path: a file in UTF-8; one whose name ends in ".gz" is unpacked.

    Raises:
      FileNotFoundError: it is not there.
      ValueError: it is not UTF-8 text, or cannot be unpacked.
    """
    require_file(path)
    crlf = 0
    with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as file:
        try:
            for number, data in enumerate(file, 1):
                line = data.decode("utf-8-sig" if number == 1 else "utf-8").removesuffix("\n")
                crlf += line.endswith("\r")
                if line := line.removesuffix("\r"):
                    yield number, line
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}, line {number}: not UTF-8 text ({error})") from None
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path}: cannot be unpacked ({error}); fetch it again") from None
    if crlf:
        ledger.note("repaired_text", f"{path.name}: lines end in CRLF", crlf)


def table(
    path: Path, needed: Sequence[str], ledger: Ledger, *, header: Sequence[str] = ()
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (number, row) of the lines of a table, with the columns by name.

    A row is one line. Columns are separated by tabs where the name ends in ".tsv", by commas
    otherwise, and may be quoted. A quote that is never closed belongs to the text.

    Args:
      needed: columns that the table must have.
      header: the columns of a table that may lack a line of names.

    Raises:
      FileNotFoundError, ValueError: the file cannot be read, lacks columns, or a line has another
        number of columns than the first one; the message names file and line.
    """
    delimiter = "\t" if path.suffix == ".tsv" else ","
    columns: list[str] | None = None
    for number, line in lines(path, ledger):
        if columns is None:
            first = [name.strip() for name in _cells(path, number, line, delimiter, 0, ledger)]
            named = not header or [name.casefold() for name in first] == list(header)
            columns = [name.casefold() for name in first] if named else list(header)
            if absent := [name for name in needed if name not in columns]:
                raise ValueError(
                    f"{path}, line {number}: columns {', '.join(absent)} are missing (found "
                    f"{', '.join(columns)})"
                )
            if len(set(columns)) < len(columns):
                raise ValueError(f"{path}, line {number}: a column is there twice: {line!r}")
            if named:
                continue
        cells = _cells(path, number, line, delimiter, len(columns), ledger)
        if len(cells) != len(columns):
            raise ValueError(
                f"{path}, line {number}: expected {len(columns)} columns ({', '.join(columns)}), "
                f"found {len(cells)}: {line[:80]!r}; put text that holds the separator in quotes, "
                "and each row on one line"
            )
        yield number, dict(zip(columns, cells, strict=True))
    if columns is None:
        raise ValueError(f"{path}: is empty, expected columns {', '.join(needed)}")


def _cells(
    path: Path, number: int, line: str, delimiter: str, count: int, ledger: Ledger
) -> list[str]:
    """Return the columns of a line.

    Args:
      count: of columns, if the last one may hold separators where a quote is not closed.
    """
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error:
        ledger.note("repaired_text", f"{path.name}, line {number}: a stray quote in {line[:60]!r}")
        return line.split(delimiter, max(count - 1, 0) or -1)


def objects(path: Path, ledger: Ledger) -> Iterator[tuple[int, dict]]:
    """Yield (number, object) of the lines of a JSONL file.

    Raises:
      FileNotFoundError, ValueError: the file cannot be read, or a line is not a JSON object.
    """
    for number, line in lines(path, ledger):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"{path}, line {number}: not JSON ({error}); fetch the file again"
            ) from None
        if not isinstance(value, dict):
            raise ValueError(
                f"{path}, line {number}: expected a JSON object, found {type(value).__name__}"
            )
        yield number, value


def identifier(where: str, key: str, value: object) -> str:
    """Return an ID as text.

    Raises:
      ValueError: it is empty, or neither text nor an integer.
    """
    text = str(value).strip() if isinstance(value, str | int) and value is not True else ""
    if not text:
        raise ValueError(f"{where}: {key}: expected an ID, found {value!r}")
    return text


def unique_file(folder: Path, patterns: Sequence[str], what: str) -> Path:
    """Return the one file of a folder that a pattern matches; the first pattern that any matches.

    Raises:
      FileNotFoundError: there is none. ValueError: there are several.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; expected one that holds {what}")
    for pattern in patterns:
        found = sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(path.name for path in found)
            raise ValueError(f"{folder}: expected one {what}, found {names}; leave one there")
    raise FileNotFoundError(f"{folder}: has no {what}; expected {' or '.join(patterns)}")
