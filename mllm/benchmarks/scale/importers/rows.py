"""Where a row stands, its pictures checked, and the item that it becomes."""

import base64
import binascii
import io
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from PIL import Image, UnidentifiedImageError

from mllm.benchmarks.scale.item import KINDS, LETTERS, Item, validate
from mllm.benchmarks.scale.scorers import score
from mllm.data.images import as_png, decode
from mllm.files import require_file

MOST_BYTES = 50_000_000
MOST_PIXELS = 50_000_000
KEPT = ("PNG", "JPEG")  # formats that are stored as they are; others are stored as PNG
IMPORTED = tuple(kind for kind in KINDS if kind != "format")  # whose rule a generator states
EXAMPLES = {"yes_no": "yes", "number": "7", "box": "[10, 20, 30, 40]", "order": "2, 1, 3"}
Row = TypeVar("Row")
TAGS = {"number": "F2", "box": "F3", "transcript": "F4", "order": "F6"}


@dataclass(frozen=True)
class Place:
    """A row of a file, for errors and for relative paths.

    Attributes:
      file: the file.
      line: of the row, from 1.
      folder: where relative paths of pictures start, and end.
      absolute: whether absolute paths, and paths that leave the folder, are allowed.
    """

    file: Path
    line: int
    folder: Path
    absolute: bool = False

    def fail(self, column: str, found: Any, expected: str) -> NoReturn:
        """Raise the ValueError that names file, line, column, found and expected."""
        shown = repr(found)
        shown = shown if len(shown) <= 80 else shown[:60] + f"… ({len(shown)} characters)"
        raise ValueError(
            f"{self.file}, line {self.line}, column {column!r}: found {shown}, expected {expected}"
        )

    def decode(self, text: str, column: str) -> bytes:
        """Return the checked picture of a base64 text, with or without the head of a data URL."""
        if text.startswith("data:"):
            text = text.partition(",")[2]
        if len(text) > MOST_BYTES * 4 // 3:
            self.fail(column, f"{len(text)} characters", f"a picture of at most {MOST_BYTES} bytes")
        try:
            return self.check(base64.b64decode("".join(text.split()), validate=True), column)
        except binascii.Error:
            self.fail(column, text, "base64")

    def read(self, name: Any, column: str) -> bytes:
        """Return the checked picture of a file named in the row."""
        if not isinstance(name, str) or not name or "\0" in name:
            self.fail(column, name, "the path of a picture")
        path = Path(name)
        if not self.absolute:
            folder = self.folder.resolve()
            if path.is_absolute() or not (folder / path).resolve().is_relative_to(folder):
                self.fail(
                    column, name, f"a path within {self.folder} (or pass absolute=True if you trust"
                    " the file)",
                )  # fmt: skip
        path = self.folder / path
        try:
            if not path.is_file():
                self.fail(column, name, f"a file; {path} is not there")
            if path.stat().st_size > MOST_BYTES:
                self.fail(column, name, f"a file of at most {MOST_BYTES} bytes")
            data = path.read_bytes()
        except OSError as error:
            self.fail(column, name, f"a file that can be read ({error.strerror or error})")
        try:
            require_file(path)
        except ValueError as error:
            self.fail(column, name, f"the picture itself; {error}")
        return self.check(data, column, name)

    def check(self, data: bytes, column: str, name: str = "") -> bytes:
        """Return a picture that decodes, as PNG or JPEG."""
        found = name or f"{len(data)} bytes"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return _decoded(data)
        except _TooLarge as error:
            self.fail(column, str(error), f"a picture of at most {MOST_PIXELS} pixels")
        except UnidentifiedImageError:
            self.fail(column, found, "a picture")
        except Exception as error:  # Pillow raises errors of a dozen types at damaged files
            self.fail(column, found, f"a picture that is whole ({error})")


class _TooLarge(Exception):
    """A picture has too many pixels."""


def _decoded(data: bytes) -> bytes:
    """Decode a picture, and return it as PNG or JPEG."""
    try:
        image = Image.open(io.BytesIO(data))
    except Image.DecompressionBombError as error:
        raise _TooLarge(str(error)) from None
    with image:
        width, height = image.size
        if width * height > MOST_PIXELS:
            raise _TooLarge(f"{width} x {height} pixels")
        found = image.format
    if found not in KEPT:
        return as_png(data)
    decode(data)
    return data


def read_items(
    path: Path,
    rows: Iterable[tuple[int, Row]],
    make: Callable[[Place, Row], Item],
    *,
    folder: str | Path | None,
    absolute: bool,
    skip: Callable[[str], None] | None,
) -> Iterator[Item]:
    """Yield the items of a file's rows.

    Args:
      path: the file.
      rows: (number of the row's first line, row) of each row.
      make: makes an item of a row; ValueError where the row cannot be used.
      folder: where relative paths start; the file's folder where None.
      absolute: whether paths may leave that folder.
      skip: receives the error of each row that cannot be used, which is then left out; where None
        the first such row raises.
    """
    pictures = Path(folder) if folder is not None else path.parent
    for line, row in rows:
        try:
            yield make(Place(path, line, pictures, absolute), row)
        except ValueError as error:
            if skip is None:
                raise
            skip(str(error))


def item_of_row(
    place: Place,
    *,
    name: str,
    number: str,
    pictures: Sequence[bytes],
    question: Any,
    options: Sequence[str] = (),
    answer: Any,
    kind: str | None = None,
    layout: Sequence[str | int] | None = None,
    hint: Any = "",
    category: Any = "",
    times: Sequence[float] = (),
) -> Item:
    """Return the item of a row.

    Args:
      place: of the row.
      name: of the data set; it is the item's suite and begins its ID.
      number: names the row in the data set.
      pictures: checked files.
      question: one text, or several wordings.
      options: texts; with them the answer is a letter, or the text of one of them.
      answer: one text, or several that are accepted.
      kind: names the scorer; found from options and answer where None.
      layout: as in `Item`; the pictures and then the hint where None.
      hint: shown after the pictures where it is not empty.
      category: the item's capability.
      times: seconds of frames.
    """
    questions = tuple(question) if isinstance(question, (list, tuple)) else (question,)
    if not questions or not all(isinstance(text, str) and text.strip() for text in questions):
        place.fail("question", question, "a text")
    answers = tuple(answer) if isinstance(answer, (list, tuple)) else (answer,)
    if not answers or not all(isinstance(text, (str, int, float)) for text in answers):
        place.fail("answer", answer, "a text, or a list of texts")
    answers = tuple(str(text).strip() for text in answers)
    if not all(answers):
        place.fail("answer", answer, "a text that is not empty")
    if options:
        if kind not in (None, "choice"):
            place.fail("kind", kind, "'choice', as there are options")
        kind, answers = "choice", (_option(place, options, answers[0]),)
    kind = kind or _kind_of(answers)
    if kind not in IMPORTED or (kind == "choice" and not options):
        place.fail("kind", kind, f"one of {IMPORTED}, and options for 'choice'")
    if kind == "yes_no":
        answers = tuple(text.lower() for text in answers)
    shown: list[str | int] = list(layout) if layout is not None else list(range(len(pictures)))
    form = _format_of(shown, times)
    if isinstance(hint, str) and hint.strip():
        shown.append(f"Hint: {hint.strip()}")
    item = Item(
        id=f"{name}/{number}",
        suite=name,
        format=form,
        capability=str(category).strip() or "uncategorised",
        pictures=tuple(pictures),
        layout=tuple(shown),
        questions=questions,
        kind=kind,
        options=tuple(options),
        answers=answers,
        candidates=tuple(options) if options else ("yes", "no") if kind == "yes_no" else (),
        tag=TAGS.get(kind, "F1"),
        times=tuple(times),
    )
    try:
        validate(item, generated=False)
    except ValueError as error:
        raise ValueError(f"{place.file}, line {place.line}: {error}") from None
    readable = kind != "order" or any(map(str.isdecimal, answers[0]))
    if kind in EXAMPLES and not (readable and score(item, answers[0]).value == 1):
        place.fail("answer", answer, f"an answer of kind {kind!r}, such as {EXAMPLES[kind]}")
    return item


def _option(place: Place, options: Sequence[str], answer: str) -> str:
    """Return the text of the option that an answer names by its letter, or as it is."""
    letter = answer.rstrip(".)").upper()
    if len(letter) == 1 and letter in LETTERS[: len(options)]:
        return options[LETTERS.index(letter)]
    if answer in options:
        return answer
    place.fail("answer", answer, f"a letter A-{LETTERS[len(options) - 1]}, or one of {options}")


def _format_of(layout: Sequence[str | int], times: Sequence[float]) -> str:
    if times:
        return "frames"
    if any(isinstance(part, str) for part in layout):
        return "interleaved"
    return "single" if len(layout) == 1 else "multi"


def _kind_of(answers: Sequence[str]) -> str:
    if all(answer.lower() in ("yes", "no") for answer in answers):
        return "yes_no"
    digits = answers[0].replace(",", "").removeprefix("-")
    return "number" if digits.replace(".", "", 1).isdecimal() else "text"
