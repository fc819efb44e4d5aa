"""The TSV files of VLMEvalKit: one question per row, pictures as base64 text.

Columns: index, question, answer; image (base64; a list of base64 texts for several pictures; or the
index of another row, whose picture it shares) or image_path (a path, or a list of paths); options
in the columns A, B, C, D and on; hint and category where there are any. Other columns are ignored.
"""

import ast
import csv
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mllm.benchmarks.scale.importers.rows import MOST_BYTES, Place, item_of_row, read_items
from mllm.benchmarks.scale.item import LETTERS, Item

REFERENCE = 64  # an image text of up to this many characters is the index of another row
NEEDED = ("index", "question", "answer")


def read_tsv(
    path: str | Path,
    *,
    name: str | None = None,
    kind: str | None = None,
    folder: str | Path | None = None,
    absolute: bool = False,
    skip: Callable[[str], None] | None = None,
) -> Iterator[Item]:
    """Yield the items of a TSV file, reading it row by row.

    Args:
      path: the file, in UTF-8 with a row of column names.
      name: of the data set; the file's stem where None.
      kind: names the scorer of rows without options; found from the answer where None.
      folder: where relative paths of `image_path` start; the file's folder where None.
      absolute: whether paths may leave that folder.
      skip: receives the error of each row that cannot be used, which is then left out; where None
        the first such row raises.

    Raises:
      FileNotFoundError: the file is not there.
      ValueError: a row cannot be used; the error names file, line, column, found and expected.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: not found")
    name, shared, seen = name or path.stem, _shared_images(path), set[str]()
    yield from read_items(
        path,
        _rows(path),
        lambda place, row: _item(place, row, name, kind, shared, seen),
        folder=folder,
        absolute=absolute,
        skip=skip,
    )


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (number of the row's first line, columns) of each row."""
    limit = csv.field_size_limit(min(sys.maxsize, 16 * MOST_BYTES))
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter="\t")
            line = 1
            try:
                columns = reader.fieldnames or []
                missing = [column for column in NEEDED if column not in columns]
                if not {"image", "image_path"} & set(columns):
                    missing.append("image or image_path")
                if missing:
                    raise ValueError(
                        f"{path}, line 1: found columns {columns}, expected also {missing}"
                    )
                line = reader.line_num + 1
                for row in reader:
                    yield line, row
                    line = reader.line_num + 1
            except (csv.Error, UnicodeDecodeError) as error:
                raise ValueError(
                    f"{path}, line {line}: found a row that cannot be read ({error}), expected "
                    "tab-separated columns in UTF-8"
                ) from None
    finally:
        csv.field_size_limit(limit)


def _shared_images(path: Path) -> dict[str, str]:
    """Return the image texts of the rows that other rows refer to, by index.

    The file is read for them first, so that only these are held and a row may refer to a later one.
    """
    wanted: set[str] = set()
    for _, row in _rows(path):
        image = (row.get("image") or "").strip()
        if 0 < len(image) <= REFERENCE and not image.startswith("["):
            wanted.add(image)
    if not wanted:
        return {}
    images = ((row["index"], row.get("image") or "") for _, row in _rows(path))
    return {index: image for index, image in images if index in wanted}


def _item(
    place: Place,
    row: dict[str, Any],
    name: str,
    kind: str | None,
    shared: dict[str, str],
    seen: set[str],
) -> Item:
    if None in row:
        place.fail(str(len(row)), row[None], "as many columns as the first line has")
    index = (row["index"] or "").strip()
    if not index or index in seen:
        place.fail("index", index, "a text that no other row has")
    seen.add(index)
    options = [row.get(letter) or "" for letter in LETTERS]
    while options and not options[-1].strip():
        options.pop()
    if not all(option.strip() for option in options):
        blank = LETTERS[[bool(option.strip()) for option in options].index(False)]
        place.fail(blank, "", "an option, as a later column has one")
    return item_of_row(
        place,
        name=name,
        number=index,
        pictures=_pictures(place, row, shared),
        question=row["question"],
        options=[option.strip() for option in options],
        answer=_listed(row["answer"] or ""),
        kind=kind if not options else None,
        hint=row.get("hint") or "",
        category=row.get("category") or "",
    )


def _pictures(place: Place, row: dict[str, Any], shared: dict[str, str]) -> list[bytes]:
    image = (row.get("image") or "").strip()
    if not image:
        paths = _listed(row.get("image_path") or "")
        paths = paths if isinstance(paths, list) else [paths]
        if not any(paths):
            place.fail("image", "", "a picture (or a path in the column image_path)")
        return [place.read(path, "image_path") for path in paths]
    if len(image) <= REFERENCE and not image.startswith("["):
        found = shared.get(image, "").strip()
        if len(found) <= REFERENCE and not found.startswith("["):
            place.fail("image", image, "base64, or the index of a row that has a picture")
        image = found
    texts = _listed(image)
    texts = texts if isinstance(texts, list) else [texts]
    if not texts or not all(isinstance(text, str) and text for text in texts):
        place.fail("image", image, "base64, or a list of base64 texts")
    return [place.decode(text, "image") for text in texts]


def _listed(text: str) -> Any:
    """Return the list that a text such as "['a', 'b']" writes out, else the text."""
    text = text.strip()
    if not (text.startswith("[") and text.endswith("]")):
        return text
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return value if isinstance(value, list) else text
