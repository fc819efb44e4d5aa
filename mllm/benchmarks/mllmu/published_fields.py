"""Single fields of published rows: pictures, biographies, questions, training pairs."""

import hashlib
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from mllm.benchmarks.mllmu.schema import Question, TrainingPair
from mllm.data.images import decode

MAXIMUM_PIXELS = 50_000_000  # a portrait has well under a million
MODALITY_OF_TYPE = {"Image_Textual": "image_text", "Pure_Text": "text"}
RENAMED = {"Heights": "Height"}
MODALITY_OF_LIST = {"Image_Textual_Questions": "image_text", "Pure_Text_Questions": "text"}


@dataclass(frozen=True)
class Place:
    """Where a value was read: file and row, counted from 0."""

    file: str
    row: int

    def __str__(self) -> str:
        return f"{self.file}: row {self.row}"

    def error(self, field: str, found: Any, expected: str) -> ValueError:
        """Return the error to raise about a field of this row."""
        shown = repr(found)
        if len(shown) > 120:
            shown = f"{shown[:117]}..."
        return ValueError(f"{self}: field {field}: found {shown}, expected {expected}")


class ImageStore:
    """Checks that pictures decode, each distinct one once, and keeps one copy of each."""

    def __init__(self) -> None:
        self._kept: dict[bytes, bytes] = {}

    def read(self, row: Mapping[str, Any], place: Place) -> tuple[bytes, ...]:
        """Return the encoded pictures of column `images` or `image` of a row."""
        if row.get("images") is not None:
            items = [(f"images[{n}]", item) for n, item in enumerate(row["images"])]
        else:
            items = [("image", row.get("image"))]
        if not items:
            raise place.error("images", [], "at least one picture")
        return tuple(self._check(item, place, field) for field, item in items)

    def _check(self, item: Any, place: Place, field: str) -> bytes:
        if isinstance(item, Mapping) and not item.get("bytes") and item.get("path"):
            raise place.error(
                f"{field}.bytes",
                f"none, but the path {item['path']!r}",
                "the encoded picture itself; write the files with embedded pictures",
            )
        encoded = item.get("bytes") if isinstance(item, Mapping) else item
        if not encoded or not isinstance(encoded, bytes):
            raise place.error(f"{field}.bytes", encoded, "an encoded picture")
        key = hashlib.sha256(encoded).digest()
        if key not in self._kept:
            self._require_decodes(encoded, place, f"{field}.bytes")
            self._kept[key] = encoded
        return self._kept[key]

    def _require_decodes(self, encoded: bytes, place: Place, field: str) -> None:
        """Decode a picture as training and evaluation will."""
        try:
            with Image.open(io.BytesIO(encoded)) as image:
                width, height = image.size
            if width * height > MAXIMUM_PIXELS:
                found = f"{width} x {height} pixels"
                raise place.error(field, found, f"at most {MAXIMUM_PIXELS} pixels")
        except (OSError, SyntaxError, Image.DecompressionBombError):
            pass  # ``decode`` says what is wrong with it
        try:
            decode(encoded)
        except ValueError as error:
            reason = str(error).removeprefix("image: ")
            found = f"{len(encoded)} bytes"
            raise place.error(field, found, f"a picture that decodes ({reason})") from error


def parse_biography(text: Any) -> dict[str, Any]:
    """Return a biography with clean keys.

    A row without one has an empty one. A text that is no JSON object is kept under the key "text":
    nothing that is scored depends on it.
    """
    if text is None:
        return {}
    try:
        biography = json.loads(text)
    except (TypeError, ValueError):
        biography = None
    return _clean_keys(biography) if isinstance(biography, dict) else {"text": str(text)}


def parse_questions(row: Mapping[str, Any], profile: str, place: Place) -> tuple[Question, ...]:
    """Return the questions of a row: classification, generation, cloze, each in its order.

    Texts, letters and options are kept as they are, whatever they hold; a type that is unknown
    becomes the modality of that name.
    """
    questions: list[Question] = []
    lists = _mapping(row["Classification_Task"] or {}, place, "Classification_Task")
    for name, modality in MODALITY_OF_LIST.items():
        field = f"Classification_Task.{name}"
        for index, item in enumerate(_items(lists.get(name), place, field)):
            questions.append(
                Question(
                    profile=profile,
                    task="classification",
                    modality=modality,
                    index=index,
                    question=_text(item.get("Question")),
                    options=_options(item, place, f"{field}[{index}]"),
                    answer=_text(item.get("Correct_Answer")),
                    attribute="",
                )
            )
    for task, column in (("generation", "Generation_Task"), ("cloze", "Mask_Task")):
        counts = Counter[str]()
        for item in _items(row[column], place, column):
            modality = MODALITY_OF_TYPE.get(item.get("Type"), str(item.get("Type")))
            questions.append(
                Question(
                    profile=profile,
                    task=task,
                    modality=modality,
                    index=counts[modality],
                    question=_text(item.get("Question")),
                    options=None,
                    answer=_text(item.get("Ground_Truth")),
                    attribute="",
                )
            )
            counts[modality] += 1
    return tuple(questions)


def parse_training(text: Any, place: Place) -> tuple[str | None, tuple[TrainingPair, ...]]:
    """Return (the ID that the pairs of a metadata field carry, or None; the pairs).

    A field that is no JSON has no pairs, and pairs without a question or an answer are left out, as
    in the published loader.
    """
    try:
        metadata = json.loads(text)
    except (TypeError, ValueError):
        return None, ()
    ids: set[str] = set()
    pairs = []
    for item in _items(metadata, place, "metadata"):
        if item.get("ID") is not None:
            ids.add(str(item["ID"]).strip())
        question, answer = item.get("Question"), item.get("Answer")
        if question and answer:
            pairs.append(TrainingPair(str(question), str(answer), "image_text", "", "plain"))
    if len(ids) > 1:
        raise place.error("metadata", sorted(ids), "pairs of one ID")
    return (ids.pop() if ids else None), tuple(pairs)


def _clean_keys(value: Any) -> Any:
    """Strip the colons and blanks that some rows have at the end of their keys."""
    if isinstance(value, dict):
        cleaned = {str(key).strip().rstrip(": "): _clean_keys(item) for key, item in value.items()}
        return {RENAMED.get(key, key): item for key, item in cleaned.items()}
    if isinstance(value, list):
        return [_clean_keys(item) for item in value]
    return value


def _options(item: Mapping[str, Any], place: Place, where: str) -> dict[str, str | None]:
    """Return all options, in the order of the file; one that is empty in this row is None, since
    all rows of a file have the letters of any of them.
    """
    found = _mapping(item.get("Options") or {}, place, f"{where}.Options")
    return {str(letter): _text(text) for letter, text in found.items()}


def _items(value: Any, place: Place, field: str) -> Sequence[Mapping[str, Any]]:
    """Return a list of objects; questions that are missing are no error."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise place.error(field, value, "a list")
    for number, item in enumerate(value):
        _mapping(item, place, f"{field}[{number}]")
    return value


def _mapping(value: Any, place: Place, field: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise place.error(field, value, "an object")
    return value


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
