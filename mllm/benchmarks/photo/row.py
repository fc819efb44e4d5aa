"""A picture with its record, questions, critique and conversation: one row."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mllm.benchmarks.digests import picture_digest
from mllm.benchmarks.photo.taxonomy import ATTRIBUTES, TOPICS
from mllm.registry import lookup

SPLITS = ("train", "validation", "test")
LETTERS = "ABCD"


@dataclass(frozen=True)
class Question:
    """A question with four options.

    Attributes:
      id: unique in the data set.
      topic, subtopic: of `TOPICS`.
      attribute: whose value is asked; "" in imported questions.
      options: texts, in the order of the letters A to D.
      key: which option is right, 0 to 3.
    """

    id: str
    topic: str
    subtopic: str
    attribute: str
    question: str
    options: tuple[str, str, str, str]
    key: int


@dataclass(frozen=True)
class Critique:
    """What a critic says of a picture.

    Attributes:
      description: what it shows and how. weaknesses: what is wrong. advice: how to improve it.
      statements: sentences by topic.
    """

    description: str
    weaknesses: str
    advice: str
    statements: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Photo:
    """A picture and all that is known of it.

    Attributes:
      id: unique in the data set.
      source: the photograph or the scene; no source is in two splits.
      picture: encoded.
      facts: value by attribute. record: the source and the parameters of every edit.
      critique: None where the source of the data has none.
      conversation: (role, text) of turns about the picture.
      licence: of the picture.
    """

    id: str
    source: str
    split: str
    picture: bytes
    facts: Mapping[str, str]
    record: Mapping[str, Any]
    questions: tuple[Question, ...]
    critique: Critique | None
    conversation: tuple[tuple[str, str], ...]
    licence: str


def validate(photo: Photo) -> None:
    """Raise ValueError, naming the picture and the field, where a row breaks the schema."""
    where = f"photo {photo.id!r}"
    lookup(dict.fromkeys(SPLITS), photo.split, f"split of {where}")
    if not photo.picture:
        raise ValueError(f"{where}: picture is empty, expected an encoded picture")
    for name, value in photo.facts.items():
        attribute = lookup(ATTRIBUTES, name, f"attribute of {where}")
        lookup(dict.fromkeys(attribute.values), value, f"value of {name} of {where}")
    for question in photo.questions:
        _validate_question(question, photo, f"question {question.id!r} of {where}")
    if photo.critique is not None:
        for topic in photo.critique.statements:
            lookup(TOPICS, topic, f"topic of the critique of {where}")
    roles = [role for role, _ in photo.conversation]
    if roles != ["user", "assistant"] * (len(roles) // 2):
        raise ValueError(f"{where}: turns of {roles}, expected user and assistant by turns")


def _validate_question(question: Question, photo: Photo, where: str) -> None:
    subtopics = lookup(TOPICS, question.topic, f"topic of {where}")
    lookup(dict.fromkeys(subtopics), question.subtopic, f"subtopic of {where}")
    if len(question.options) != 4 or len(set(question.options)) != 4:
        raise ValueError(f"{where}: options {question.options}, expected four different ones")
    if question.key not in range(4):
        raise ValueError(f"{where}: key is {question.key}, expected 0 to 3")
    if question.attribute:
        known = lookup(dict(photo.facts), question.attribute, f"attribute of {where}")
        if question.options[question.key] != known:
            raise ValueError(
                f"{where}: the key is {question.options[question.key]!r}, but the record says "
                f"{known!r}"
            )


def to_row(photo: Photo) -> dict[str, Any]:
    """Return the TFDS row of a picture."""
    fields = asdict(photo)
    picture = fields.pop("picture")
    return {"fields": json.dumps(fields, ensure_ascii=False), "picture": picture}


def from_row(row: Mapping[str, Any]) -> Photo:
    """Return the picture of a TFDS row that was read without decoding."""
    fields = json.loads(bytes(row["fields"]).decode("utf-8"))
    questions = tuple(
        Question(**{**one, "options": tuple(one["options"])}) for one in fields.pop("questions")
    )
    critique = fields.pop("critique")
    if critique is not None:
        statements = {topic: tuple(said) for topic, said in critique["statements"].items()}
        critique = Critique(**{**critique, "statements": statements})
    turns = tuple((role, text) for role, text in fields.pop("conversation"))
    return Photo(
        **fields,
        picture=bytes(row["picture"]),
        questions=questions,
        critique=critique,
        conversation=turns,
    )


def digest(photo: Photo) -> str:
    """Return sha256 (hex) over all of a row, independent of how it is stored."""
    fields = asdict(photo)
    fields["picture"] = picture_digest(photo.picture).hex()
    text = json.dumps(fields, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def fingerprint(digests: Mapping[str, Iterable[str]]) -> str:
    """Return sha256 (hex) over the digests of all splits."""
    lines = sorted(f"{split}/{one}" for split, found in digests.items() for one in found)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
