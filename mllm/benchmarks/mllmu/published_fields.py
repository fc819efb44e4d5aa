"""Single fields of published rows: pictures, biographies, questions, training pairs."""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from mllm.benchmarks.mllmu.schema import LETTERS, Question, TrainingPair
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


def parse_biography(text: Any, place: Place) -> dict[str, Any]:
    """Return a biography with clean keys; a row without one has an empty one."""
    if text is None:
        return {}
    biography = parse_json(text, place, "biography")
    if not isinstance(biography, dict):
        raise place.error("biography", text, "a JSON object")
    return _clean_keys(biography)


def parse_questions(row: Mapping[str, Any], profile: str, place: Place) -> tuple[Question, ...]:
    """Return the questions of a row: classification, generation, cloze, each in its order."""
    questions: list[Question] = []
    lists = _mapping(row["Classification_Task"] or {}, place, "Classification_Task")
    for name, modality in MODALITY_OF_LIST.items():
        field = f"Classification_Task.{name}"
        for index, item in enumerate(_items(lists.get(name), place, field)):
            where = f"{field}[{index}]"
            options = _options(item, place, where)
            letter = str(item.get("Correct_Answer") or "").strip().upper()
            if letter not in options:
                raise place.error(
                    f"{where}.Correct_Answer",
                    item.get("Correct_Answer"),
                    f"one of {', '.join(options)}",
                )
            questions.append(
                Question(
                    profile=profile,
                    task="classification",
                    modality=modality,
                    index=index,
                    question=_text(item, "Question", place, where),
                    options=options,
                    answer=letter,
                    attribute="",
                )
            )
    for task, column in (("generation", "Generation_Task"), ("cloze", "Mask_Task")):
        counts = dict.fromkeys(MODALITY_OF_TYPE.values(), 0)
        for number, item in enumerate(_items(row[column], place, column)):
            where = f"{column}[{number}]"
            modality = MODALITY_OF_TYPE.get(item.get("Type"))
            if modality is None:
                raise place.error(
                    f"{where}.Type", item.get("Type"), f"one of {', '.join(MODALITY_OF_TYPE)}"
                )
            questions.append(
                Question(
                    profile=profile,
                    task=task,
                    modality=modality,
                    index=counts[modality],
                    question=_text(item, "Question", place, where),
                    options=None,
                    answer=_text(item, "Ground_Truth", place, where),
                    attribute="",
                )
            )
            counts[modality] += 1
    return tuple(questions)


def parse_training(text: Any, place: Place) -> tuple[str | None, tuple[TrainingPair, ...]]:
    """Return (the ID that the pairs of a metadata field carry, or None; the pairs)."""
    metadata = parse_json(text, place, "metadata")
    ids: set[str] = set()
    pairs = []
    for item in _items(metadata, place, "metadata"):
        if item.get("ID") is not None:
            ids.add(str(item["ID"]).strip())
        question, answer = (str(item.get(key) or "").strip() for key in ("Question", "Answer"))
        if question and answer:
            pairs.append(TrainingPair(question, answer, "image_text", "", "plain"))
    if len(ids) > 1:
        raise place.error("metadata", sorted(ids), "pairs of one ID")
    return (ids.pop() if ids else None), tuple(pairs)


def parse_json(text: Any, place: Place, field: str) -> Any:
    """Return the value of a JSON text; ValueError naming the place where it is none."""
    try:
        return json.loads(text)
    except (TypeError, ValueError) as error:
        raise place.error(field, text, f"JSON ({error})") from error


def _clean_keys(value: Any) -> Any:
    """Strip the colons and blanks that some rows have at the end of their keys."""
    if isinstance(value, dict):
        cleaned = {str(key).strip().rstrip(": "): _clean_keys(item) for key, item in value.items()}
        return {RENAMED.get(key, key): item for key, item in cleaned.items()}
    if isinstance(value, list):
        return [_clean_keys(item) for item in value]
    return value


def _options(item: Mapping[str, Any], place: Place, where: str) -> dict[str, str]:
    found = _mapping(item.get("Options") or {}, place, f"{where}.Options")
    options = {letter: str(found[letter]) for letter in LETTERS if found.get(letter) is not None}
    if tuple(options) != LETTERS:
        raise place.error(f"{where}.Options", dict(found), f"the letters {', '.join(LETTERS)}")
    return options


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


def _text(item: Mapping[str, Any], key: str, place: Place, where: str) -> str:
    text = item.get(key)
    if not isinstance(text, str) or not text.strip():
        raise place.error(f"{where}.{key}", text, "a text that is not empty")
    return text
