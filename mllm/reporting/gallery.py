"""A few people of the benchmark with their questions and what each checkpoint answered."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping
from typing import Any

from PIL import Image

from mllm.evaluation.metrics import HEADLINE, METRICS, chosen_by_text
from mllm.files import read_jsonl
from mllm.reporting.collect import Run
from mllm.reporting.figures import data_uri
from mllm.reporting.tables import MODALITY_LABELS, SET_LABELS, TASK_LABELS, Comparison, method_label
from mllm.reporting.text import clean_text, slug

THUMBNAIL = 128
PEOPLE = {"forget": 3, "retain": 2}
# One question of each kind a person: (task, modality).
QUESTIONS = (
    ("classification", "image_text"),
    ("cloze", "text"),
    ("generation", "image_text"),
)
_TEXT_LIMIT = 320
_LOOP_LIMIT = 80  # a reply that repeats itself is known by its beginning
_MAXIMUM_PIXELS = 40_000_000


@dataclasses.dataclass(frozen=True)
class Answer:
    """What one row of the table answered; `right` is None where no rule decides it."""

    method: str
    label: str
    text: str
    state: str
    right: bool | None


@dataclasses.dataclass(frozen=True)
class Sample:
    """One question with the answers of every row; `anchor` is its stable HTML id."""

    anchor: str
    kind: str
    question: str
    gold: str
    answers: tuple[Answer, ...]


@dataclasses.dataclass(frozen=True)
class Person:
    """One profile of the gallery; `portrait` is a data URI, or None."""

    anchor: str
    profile: str
    set_name: str
    portrait: str | None
    samples: tuple[Sample, ...]


def choose_profiles(comparison: Comparison) -> dict[str, tuple[str, ...]]:
    """Returns the profiles of the gallery by set: evenly spaced over the sorted IDs.

    The choice looks at no answer, so it cannot favour a method. The IDs come from the replies of
    vanilla, or of the first run that has any.
    """
    first = comparison.key("vanilla")
    runs = comparison.runs.get(first, []) + [r for runs in comparison.runs.values() for r in runs]
    for run in runs:
        found: dict[str, set[str]] = {name: set() for name in PEOPLE}
        for row in read_jsonl(run.replies_path):
            if row.get("set") in found:
                found[row["set"]].add(str(row.get("profile")))
        if any(found.values()):
            return {name: _spread(sorted(found[name]), PEOPLE[name]) for name in PEOPLE}
    return {name: () for name in PEOPLE}


def _spread(ids: list[str], count: int) -> tuple[str, ...]:
    if len(ids) <= count:
        return tuple(ids)
    return tuple(ids[(2 * place + 1) * len(ids) // (2 * count)] for place in range(count))


def gallery(comparison: Comparison, portraits: Mapping[str, bytes]) -> list[Person]:
    """Returns the people of the gallery with the answers of each row's first seed.

    `portraits` maps a profile ID to an encoded image; people without one are shown without.
    """
    chosen = choose_profiles(comparison)
    wanted = {(name, profile) for name, profiles in chosen.items() for profile in profiles}
    rows = {key: _read_rows(runs[0], wanted) for key, runs in comparison.runs.items()}
    people = []
    for name, profiles in chosen.items():
        for turn, profile in enumerate(profiles):
            samples = []
            for task, modality in QUESTIONS:
                sample = _sample(rows, (name, profile, task, modality), turn, comparison.forget)
                if sample:
                    samples.append(sample)
            people.append(
                Person(
                    anchor=slug("person", comparison.forget, name, profile),
                    profile=clean_text(profile, 60),
                    set_name=SET_LABELS[name],
                    portrait=thumbnail(portraits.get(profile)),
                    samples=tuple(samples),
                )
            )
    return people


def thumbnail(encoded: bytes | None) -> str | None:
    """Returns a JPEG data URI of at most 128 pixels a side, or None where nothing decodes.

    The picture is decoded and written anew, so that no byte of the given file reaches the page.
    """
    if not encoded:
        return None
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            if image.width * image.height > _MAXIMUM_PIXELS:
                return None
            small = image.convert("RGBA")
            small.thumbnail((THUMBNAIL, THUMBNAIL))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    ground = Image.new("RGB", small.size, "white")
    ground.paste(small, mask=small.getchannel("A"))
    buffer = io.BytesIO()
    ground.save(buffer, "JPEG", quality=82)
    return data_uri(buffer.getvalue(), "image/jpeg")


def _read_rows(run: Run, wanted: set[tuple[str, str]]) -> dict[tuple, dict[str, Any]]:
    rows = {}
    for row in read_jsonl(run.replies_path):
        if (row.get("set"), str(row.get("profile"))) in wanted:
            place = tuple(row.get(name) for name in ("task", "modality", "index"))
            rows[(row["set"], str(row["profile"]), *place)] = row
    return rows


def _sample(rows, kind, turn, forget) -> Sample | None:
    """Returns one question of a kind (set, profile, task, modality); `turn` varies which."""
    asked = {place for found in rows.values() for place in found if place[:4] == kind}
    if not asked:
        return None
    ordered = sorted(asked, key=lambda place: str(place[4]).zfill(8))
    place = ordered[turn % len(ordered)]
    task, modality = kind[2:]
    answers, first = [], None
    for key, found in rows.items():
        row = found.get(place)
        if row is None:
            answers.append(Answer(key[0], method_label(*key), "", "no reply", None))
            continue
        first = first or row
        answers.append(_answer(key, row))
    return Sample(
        anchor=slug("sample", forget, *place),
        kind=f"{TASK_LABELS[task]}, {MODALITY_LABELS[modality]}",
        question=clean_text(first.get("question", ""), _TEXT_LIMIT),
        gold=_option_text(first, first.get("gold")),
        answers=tuple(answers),
    )


def _answer(key, row: dict[str, Any]) -> Answer:
    text, state, right = row["reply"], clean_text(row["state"], 20), None
    if state != "error":
        if row["task"] != "generation":
            value = METRICS[row["task"]][HEADLINE[row["task"]]](row)
            right = None if value is None else value == 1
        chosen = chosen_by_text(row) if row["task"] == "classification" else None
        if chosen:
            # The choice by option text is an answer whatever became of the free reply.
            text, state = _option_text(row, chosen[0]), "valid"
    limit = _LOOP_LIMIT if state == "invalid" else _TEXT_LIMIT
    return Answer(key[0], method_label(*key), clean_text(text, limit), state, right)


def _option_text(row: dict[str, Any], letter: Any) -> str:
    options = row.get("options")
    text = options.get(letter, letter) if isinstance(options, dict) else letter
    return clean_text(text, _TEXT_LIMIT)
