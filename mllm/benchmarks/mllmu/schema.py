"""What a row of the benchmark is, and its form on disk.

A row is one `Profile`. Nested parts are stored as JSON text, because TFDS without TensorFlow
neither writes nor reads nested sequences.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mllm.benchmarks.digests import picture_digest

TASKS = ("classification", "generation", "cloze")
MODALITIES = ("image_text", "text")
FORMS = ("plain", "blank", "sentence")
KINDS = ("fictitious", "celebrity", "caption")
LETTERS = ("A", "B", "C", "D")
BLANK = "__"
PICTURES = "pictures"  # an attribute: "single" where a test row has one picture and no list of them

FORGET_RATIOS = (5, 10, 15)
SPLITS = (
    "full",
    "test",
    "celebrity",
    "validation",
    "captions",
    *(f"forget_{ratio}" for ratio in FORGET_RATIOS),
    *(f"retain_{100 - ratio}" for ratio in FORGET_RATIOS),
)


@dataclass(frozen=True)
class Question:
    """One evaluation question, as its source has it.

    `index` counts within (task, modality) of the profile. `options` maps the letters A-D, in
    order, to texts and is None outside classification, where `answer` is the letter; elsewhere
    `answer` is the text. `attribute` is "" where the source does not say what is asked.

    Published rows may be odd: other letters, an option, a text or an answer that is None, an
    unknown modality. `mllm.benchmarks.mllmu.answerable` says which of these are asked.
    """

    profile: str
    task: str
    modality: str
    index: int
    question: str | None
    options: dict[str, str | None] | None
    answer: str | None
    attribute: str

    @property
    def answer_text(self) -> str:
        """The text of the answer, also for classification."""
        return self.options[self.answer] if self.options else self.answer


@dataclass(frozen=True)
class TrainingPair:
    """One question and answer to learn from; never an evaluation question."""

    question: str
    answer: str
    modality: str
    attribute: str
    form: str


@dataclass(frozen=True)
class Profile:
    """A person (or, for kind "caption", a drawing of an invented one) with pictures and questions.

    `images` are encoded files (PNG or JPEG bytes), `attributes` what was drawn, in words.
    """

    id: str
    name: str
    kind: str
    images: tuple[bytes, ...]
    biography: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)
    questions: tuple[Question, ...] = ()
    training: tuple[TrainingPair, ...] = ()

    @property
    def drawn(self) -> bool:
        """Whether the published script draws one of its pictures, even if there is only one: not
        where the source has a single picture instead of a list.
        """
        return self.attributes.get(PICTURES) != "single"


def to_row(profile: Profile) -> dict[str, Any]:
    """Return the TFDS row of a profile."""
    return {
        "id": profile.id,
        "name": profile.name,
        "kind": profile.kind,
        "images": list(profile.images),
        "biography": dump_json(profile.biography),
        "attributes": dump_json(profile.attributes),
        "questions": dump_json([dataclasses.asdict(q) for q in profile.questions]),
        "training": dump_json([dataclasses.asdict(p) for p in profile.training]),
    }


def from_row(row: Mapping[str, Any]) -> Profile:
    """Return the profile of a TFDS row whose images were read without decoding."""

    def text(key: str) -> str:
        value = row[key]
        return value.decode("utf-8") if isinstance(value, bytes) else str(value)

    return Profile(
        id=text("id"),
        name=text("name"),
        kind=text("kind"),
        images=tuple(bytes(image) for image in row["images"]),
        biography=json.loads(text("biography")),
        attributes=json.loads(text("attributes")),
        questions=tuple(Question(**item) for item in json.loads(text("questions"))),
        training=tuple(TrainingPair(**item) for item in json.loads(text("training"))),
    )


def dump_json(value: Any) -> str:
    """Return compact JSON that keeps the order of keys and all characters."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def validate(profile: Profile) -> None:
    """Raise ValueError, naming profile and field, where a profile breaks the schema.

    Questions may be odd, since the published ones are kept as they are.
    """

    def require(condition: bool, where: str, found: Any, expected: str) -> None:
        if not condition:
            raise ValueError(f"profile {profile.id!r}: {where} is {found!r}, expected {expected}")

    require(bool(profile.id), "id", profile.id, "a text that is not empty")
    require(profile.kind in KINDS, "kind", profile.kind, f"one of {KINDS}")
    require(bool(profile.images), "images", profile.images, "at least one encoded image")
    for number, item in enumerate(profile.questions):
        where = f"questions[{number}]"
        require(item.profile == profile.id, f"{where}.profile", item.profile, repr(profile.id))
        require(item.task in TASKS, f"{where}.task", item.task, f"one of {TASKS}")
        if item.task == "classification":
            require(item.options is not None, f"{where}.options", None, "options by letter")
        else:
            require(item.options is None, f"{where}.options", item.options, "none")
    for number, pair in enumerate(profile.training):
        where = f"training[{number}]"
        require(pair.form in FORMS, f"{where}.form", pair.form, f"one of {FORMS}")
        require(pair.modality in MODALITIES, f"{where}.modality", pair.modality, str(MODALITIES))
        require(bool(pair.question), f"{where}.question", pair.question, "a text")
        require(bool(pair.answer), f"{where}.answer", pair.answer, "a text")


def fingerprint(splits: Mapping[str, Iterable[Profile]]) -> str:
    """Return sha256 (hex) over all rows of all splits, independent of how they are stored.

    Their order counts where it is not that of the IDs: what a seed draws depends on it.
    """
    images: dict[bytes, bytes] = {}
    total = hashlib.sha256()
    for split in sorted(splits):
        rows = list(splits[split])
        ids = [profile.id for profile in rows]
        if ids != sorted(ids):
            total.update(json.dumps([split, ids]).encode())
        for profile in sorted(rows, key=lambda profile: profile.id):
            row = to_row(profile)
            encoded = row.pop("images")
            text = json.dumps([split, row], ensure_ascii=False, sort_keys=True)
            total.update(hashlib.sha256(text.encode("utf-8")).digest())
            for image in encoded:
                if image not in images:
                    images[image] = picture_digest(image)
                total.update(images[image])
    return total.hexdigest()
