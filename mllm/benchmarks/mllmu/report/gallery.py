"""A few people of the benchmark with their questions and what each checkpoint answered."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mllm.benchmarks.mllmu.metrics import HEADLINE, HEADLINES, METRICS, chosen_by_text
from mllm.benchmarks.mllmu.report.layout import MODALITIES, SETS, TASKS
from mllm.files import read_jsonl
from mllm.reporting.comparison import Comparison
from mllm.reporting.pictures import thumbnail
from mllm.reporting.runs import Run
from mllm.reporting.section import Answer, Card, Sample
from mllm.reporting.text import clean_text, slug
from mllm.reporting.words import word_changes

PEOPLE = {"forget": 3, "retain": 2}
# One question of each kind for each person: (task, modality).
QUESTIONS = (
    ("classification", "image_text"),
    ("cloze", "text"),
    ("generation", "image_text"),
)
_WRITTEN = ("cloze", "generation")  # replies that are compared with vanilla's word by word
_TEXT_LIMIT = 320
_LOOP_LIMIT = 80  # a reply that repeats itself is recognised by its beginning


def choose_profiles(comparison: Comparison) -> dict[str, tuple[str, ...]]:
    """Return the profiles of the gallery by set: evenly spaced over the sorted IDs.

    The choice looks at no answer, so it cannot favour a method. The IDs come from the replies of
    vanilla, or of the first run that has any.
    """
    first = comparison.key("vanilla")
    runs = comparison.runs.get(first, []) + [r for runs in comparison.runs.values() for r in runs]
    for run in runs:
        found: dict[str, set[str]] = {name: set() for name in PEOPLE}
        for row in read_jsonl(run.records_path):
            if row.get("set") in found:
                found[row["set"]].add(str(row.get("profile")))
        if any(found.values()):
            return {name: _spread(sorted(found[name]), PEOPLE[name]) for name in PEOPLE}
    return {name: () for name in PEOPLE}


def _spread(ids: list[str], count: int) -> tuple[str, ...]:
    if len(ids) <= count:
        return tuple(ids)
    return tuple(ids[(2 * place + 1) * len(ids) // (2 * count)] for place in range(count))


def gallery(comparison: Comparison, portraits: Mapping[str, bytes]) -> list[Card]:
    """Return the people of the gallery with the answers of each row's first seed.

    `portraits` maps a profile ID to an encoded image; people without one are shown without.
    """
    chosen = choose_profiles(comparison)
    wanted = {(name, profile) for name, profiles in chosen.items() for profile in profiles}
    rows = {key: _read_rows(runs[0], wanted) for key, runs in comparison.runs.items()}
    cards = []
    for name, profiles in chosen.items():
        for turn, profile in enumerate(profiles):
            samples = [
                _sample(comparison, rows, (name, profile, task, modality), turn)
                for task, modality in QUESTIONS
            ]
            picture = thumbnail(portraits.get(profile))
            shown = clean_text(profile, 60)
            cards.append(
                Card(
                    id=slug("person", comparison.group, name, profile),
                    title=f"{SETS.label(name)} set",
                    subtitle=f"profile {shown}",
                    samples=tuple(sample for sample in samples if sample),
                    pictures=(picture,) if picture else (),
                    picture_text=f"Portrait of profile {shown}",
                )
            )
    return cards


def _read_rows(run: Run, wanted: set[tuple[str, str]]) -> dict[tuple, dict[str, Any]]:
    rows = {}
    for row in read_jsonl(run.records_path):
        if (row.get("set"), str(row.get("profile"))) in wanted:
            place = tuple(row.get(name) for name in ("task", "modality", "index"))
            rows[(row["set"], str(row["profile"]), *place)] = row
    return rows


def _sample(comparison: Comparison, rows, kind: tuple[str, ...], turn: int) -> Sample | None:
    """Return one question of a kind (set, profile, task, modality); `turn` varies which."""
    asked = {place for found in rows.values() for place in found if place[:4] == kind}
    if not asked:
        return None
    ordered = sorted(asked, key=lambda place: str(place[4]).zfill(8))
    place = ordered[turn % len(ordered)]
    task, modality = kind[2:]
    answers, first = [], None
    vanilla = comparison.key("vanilla")
    start = rows.get(vanilla, {}).get(place) if task in _WRITTEN else None
    before = "" if start is None else _answer("", start, comparison.protocol).text
    for key, found in rows.items():
        row, label = found.get(place), comparison.label(key)
        if row is None:
            answers.append(Answer(label, "", "no reply"))
            continue
        first = first or row
        answer = _answer(label, row, comparison.protocol)
        if key != vanilla and answer.state != "invalid":
            answer = replace(answer, changes=word_changes(before, answer.text))
        answers.append(answer)
    return Sample(
        id=slug("sample", comparison.group, *place),
        title=f"{TASKS.label(task)}, {MODALITIES.label(modality)}",
        question=clean_text(first.get("question", ""), _TEXT_LIMIT),
        gold=_option_text(first, first.get("gold")),
        answers=tuple(answers),
    )


def _answer(label: str, row: dict[str, Any], protocol: str) -> Answer:
    headline = HEADLINES.get(protocol, HEADLINE)
    text, state, right = row["reply"], clean_text(row["state"], 20), None
    if state != "error":
        if row["task"] != "generation":
            value = METRICS[row["task"]][headline[row["task"]]](row)
            right = None if value is None else value == 1
        by_text = headline[row["task"]] == "accuracy_text"
        chosen = chosen_by_text(row) if by_text else None
        if chosen:
            # The choice by option text is an answer whatever became of the free reply.
            text, state = _option_text(row, chosen[0]), "valid"
    limit = _LOOP_LIMIT if state == "invalid" else _TEXT_LIMIT
    return Answer(label, clean_text(text, limit), state, right)


def _option_text(row: dict[str, Any], letter: Any) -> str:
    options = row.get("options")
    text = options.get(letter, letter) if isinstance(options, dict) else letter
    return clean_text(text, _TEXT_LIMIT)
