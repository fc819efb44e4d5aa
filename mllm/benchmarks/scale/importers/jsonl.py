"""JSONL files with the paths of pictures: one question per line.

Keys: images (paths) or image (one path); question (a text, or a list of wordings); answer (a text,
or a list of accepted texts; with options a letter or the text of an option). Optional: id, options,
kind, hint, category, times (seconds of frames) and layout (texts and numbers of pictures in reading
order). Other keys are ignored.
"""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mllm.benchmarks.scale.importers.rows import Place, item_of_row, read_items
from mllm.benchmarks.scale.item import LETTERS, Item


def read_jsonl(
    path: str | Path,
    *,
    name: str | None = None,
    kind: str | None = None,
    folder: str | Path | None = None,
    absolute: bool = False,
    skip: Callable[[str], None] | None = None,
) -> Iterator[Item]:
    """Yield the items of a JSONL file, reading it line by line.

    Args:
      path: the file, in UTF-8.
      name: of the data set; the file's stem where None.
      kind: names the scorer of lines without options and kind; found from the answer where None.
      folder: where relative paths start; the file's folder where None.
      absolute: whether paths may leave that folder.
      skip: receives the error of each line that cannot be used, which is then left out; where None
        the first such line raises.

    Raises:
      FileNotFoundError: the file is not there.
      ValueError: a line cannot be used; the error names file, line, key, found and expected.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: not found")
    name, seen = name or path.stem, set[str]()
    with open(path, "rb") as file:
        yield from read_items(
            path,
            ((line, data) for line, data in enumerate(file, 1) if data.strip()),
            lambda place, data: _item(place, data, name, kind, seen),
            folder=folder,
            absolute=absolute,
            skip=skip,
        )


def _item(place: Place, data: bytes, name: str, kind: str | None, seen: set[str]) -> Item:
    where = f"{place.file}, line {place.line}"
    try:
        row = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}: found no JSON ({error}), expected an object") from None
    if not isinstance(row, dict):
        raise ValueError(f"{where}: found {type(row).__name__}, expected an object")
    for key in ("question", "answer"):
        if key not in row:
            place.fail(key, None, "a text")
    number = str(row.get("id", place.line))
    if number in seen:
        place.fail("id", number, "a text that no other line has")
    seen.add(number)
    paths = row["images"] if "images" in row else [row.get("image")]
    if not isinstance(paths, list) or not paths:
        place.fail("images", paths, "a list of paths")
    options = _texts(place, row, "options")
    if len(options) > len(LETTERS):
        place.fail("options", len(options), f"at most {len(LETTERS)}")
    times = row.get("times") or []
    if not isinstance(times, list) or not all(_is_number(time) for time in times):
        place.fail("times", times, "a list of seconds")
    layout = row.get("layout")
    if layout is not None and not isinstance(layout, list):
        place.fail("layout", layout, "a list of texts and numbers of pictures")
    if layout is not None and not all(type(part) in (str, int) for part in layout):
        place.fail("layout", layout, "texts and numbers of pictures")
    return item_of_row(
        place,
        name=name,
        number=number,
        pictures=[place.read(path, "images") for path in paths],
        question=row["question"],
        options=options,
        answer=row["answer"],
        kind=row.get("kind") or (None if options else kind),
        layout=layout,
        hint=row.get("hint") or "",
        category=row.get("category") or "",
        times=times,
    )


def _texts(place: Place, row: dict[str, Any], key: str) -> list[str]:
    value = row.get(key) or []
    if not isinstance(value, list) or not all(isinstance(text, str) and text for text in value):
        place.fail(key, value, "a list of texts")
    return value


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
