"""CSV tables as people have them: byte-order marks, CRLF, quotes, comments before the rows."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from mllm.files import require_file

Row = tuple[str, dict[str, str]]


def table(path: Path, needed: Sequence[str]) -> Iterator[Row]:
    """Yield (file and line, row) of a CSV file whose first line names the columns.

    Args:
      needed: columns that must be there.

    Raises:
      FileNotFoundError: it is not there.
      ValueError: naming file and line: it is no UTF-8 text, a column is missing, or a row has
        another number of cells.
    """
    lines = _cells(path)
    where, names = next(lines, (f"{path}", []))
    names = [name.strip() for name in names]
    if missing := [name for name in needed if name not in names]:
        raise ValueError(f"{where}: found columns {names}, expected {missing} among them")
    if len(set(names)) < len(names):
        raise ValueError(f"{where}: found columns {names}, expected each name once")
    for where, cells in lines:
        yield where, _row(where, names, cells)


def bare_table(path: Path, names: Sequence[str]) -> Iterator[Row]:
    """Yield (file and line, row) of a CSV file without a line of names; lines of # are skipped.

    Raises:
      FileNotFoundError, ValueError: as `table`.
    """
    for where, cells in _cells(path):
        if not cells[0].startswith("#"):
            yield where, _row(where, names, cells)


def _cells(path: Path) -> Iterator[tuple[str, list[str]]]:
    require_file(path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, skipinitialspace=True, strict=True)
        try:
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield f"{path}, line {reader.line_num}", cells
        except csv.Error as error:
            raise ValueError(f"{path}, line {reader.line_num}: {error}; mend the quotes") from None
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: not UTF-8 text ({error}); save it as UTF-8") from None


def _row(where: str, names: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    if len(cells) != len(names):
        raise ValueError(
            f"{where}: found {len(cells)} cells, expected {len(names)} ({', '.join(names)}); put "
            "text that holds a comma in quotes"
        )
    return {name: cell.strip() for name, cell in zip(names, cells, strict=True)}
