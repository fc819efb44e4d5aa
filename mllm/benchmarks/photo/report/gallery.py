"""Photographs with their edits, a question, what each encoder attends to, answers and critiques."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mllm.benchmarks.photo.album import Album
from mllm.benchmarks.photo.develop import encode, from_record
from mllm.benchmarks.photo.prompts import LETTERS
from mllm.benchmarks.photo.report.gates import looks_of
from mllm.benchmarks.photo.report.layout import CONTROLS, READING, label
from mllm.benchmarks.photo.report.picked import DEPENDS, MOST, by_question, picked, right
from mllm.benchmarks.photo.report.study import Record, Study, Subject
from mllm.benchmarks.photo.row import Photo
from mllm.benchmarks.photo.sheet import unedited
from mllm.reporting.overlay import overlay
from mllm.reporting.pictures import thumbnail
from mllm.reporting.section import Answer, Bars, Card, Gallery, Paragraph, Sample, Section
from mllm.reporting.text import clean_text, join_words, slug

_SIDE, _SMALL = 120, 72  # pixels of the longer side of a picture
_TEXT, _RECORD = 600, 900  # characters that are shown
_RULE = (
    "Questions that {} answers right, that it answers wrong, and that it answers right with the "
    "photograph but not with another; up to {} of each, of different topics and photographs, taken "
    "at places that are spread evenly, so that the choice looks at nothing but right and wrong. "
    "Bars of options: the log-probabilities per token, by which it chooses, normalised over the "
    "four; the right option is bold. Heat over the photograph in grey: the attention of the fusion "
    "to the tokens of one encoder, the mean over heads, queries and layers; yellow is most, and "
    "each picture has its own scale."
)
_NO_DATA = "The data set is not on this machine: photographs, questions and records are left out."
_NO_LOOKS = "No attention was recorded: evaluate {} again with a larger --config.evaluation.looks."


def gallery_section(study: Study) -> Section | None:
    """Return the gallery; None where the fused model was not asked."""
    if study.fused is None or not study.fused.asked():
        return None
    source = _Source(study)
    cards = tuple(_card(source, kind, record) for kind, record in picked(study, source.preferred))
    if not cards:
        return None
    notes = [_RULE.format(study.fused.label, MOST)]
    notes += [_NO_DATA] if source.album is None else []
    notes += [_NO_LOOKS.format(study.fused.label)] if not source.shown else []
    blocks = (Paragraph(" ".join(notes), note=True), Gallery(cards))
    return Section("gallery", "Photographs, questions and critiques", blocks, "Gallery")


class _Source:
    """What the gallery draws from: records by question and by photograph, photographs, attention.

    Attributes:
      album: the photographs; None where the data set is not on this machine.
      looks: gates and attention of the fused model; None where they were not recorded.
      shown: key of a request -> its place among the attention maps.
    """

    def __init__(self, study: Study):
        self.study = study
        run = study.fused.run
        self.album = None
        if study.benchmark is not None:
            split = (run.manifest.get("protocol") or {}).get("split", "test")
            self.album = Album(study.benchmark.photos(split), run.seed)
        self.looks = looks_of(run)
        self.places, self.shown = {}, {}
        if self.looks is not None:
            self.places = {key: place for place, key in enumerate(self.looks.keys)}
            self.shown = {self.looks.keys[row]: k for k, row in enumerate(self.looks.shown)}

    @functools.cached_property
    def critiques(self) -> dict[tuple[str, str], Record]:
        """Return (method, photograph) -> the record of its critique."""
        subjects = (self.study.fused, self.study.subject("wrong_photo"))
        return {
            (one.key[0], record["photo"]): record
            for one in subjects
            if one is not None
            for record in one.asked("critique")
        }

    @functools.cached_property
    def answers(self) -> dict[tuple[str, str], dict[str, Record]]:
        """Return (method, reading) -> question -> its record."""
        made = {(one.key[0], READING): by_question(one, READING) for one in rows_of(self.study)}
        fused = self.study.fused
        return made | {(fused.key[0], r): by_question(fused, r) for r in ("letter", "generated")}

    @property
    def preferred(self) -> set[str]:
        """Return the keys of the questions of which most is known: attention, else a critique."""
        described = {photo for _, photo in self.critiques}
        asked = self.study.fused.asked()
        with_map = {record["key"] for record in asked if record["key"] in self.shown}
        with_text = {record["key"] for record in asked if record["photo"] in described}
        return (with_map & with_text) or with_map or with_text

    def photo(self, id: str) -> Photo | None:
        """Return a photograph, None where it is not on this machine."""
        return None if self.album is None else self.album.photo(id)


def rows_of(study: Study) -> list[Subject]:
    """Return the models and controls whose answers are shown."""
    return [*study.models, *study.controls]


def _card(source: _Source, kind: str, record: Record) -> Card:
    photo = source.photo(record["photo"])
    topic = f"{label('topic', record['topic'])}, {label('subtopic', record['subtopic'])}"
    samples = (_question(source, kind, record, photo), _look(source, kind, record, photo))
    return Card(
        id=slug("card", kind, record["question"]),
        title=f"{kind}: {topic}",
        subtitle=f"photograph {clean_text(record['photo'], 60)}",
        samples=tuple(one for one in samples if one is not None),
    )


def _question(source: _Source, kind: str, record: Record, photo: Photo | None) -> Sample:
    """Return the question with the photograph, its options and what every model answers."""
    pictures = _pictures(source, record, photo)
    asked = (
        next((q for q in photo.questions if q.id == record["question"]), None) if photo else None
    )
    options = record["options"]
    bars = ()
    if shares := _shares(record):
        rows = tuple((_option(options, at), share) for at, share in enumerate(shares))
        bars = (Bars(f"Options, probability by {source.study.fused.label}", rows,
                     (record["right"],)),)  # fmt: skip
    listed = "" if bars else " / ".join(_option(options, at) for at in range(len(options)))
    text = clean_text(asked.question, _TEXT) if asked else f"attribute {record['attribute']}"
    return Sample(
        id=slug("question", kind, record["question"]),
        title=f"Question {clean_text(record['question'], 60)}",
        question=clean_text(f"{text} {listed}".strip(), _TEXT),
        gold=_option(options, record["right"]),
        answers=tuple(_answers(source, kind, record)),
        pictures=tuple(pictures.values()),
        captions=tuple(pictures),
        bars=bars,
    )


def _pictures(source: _Source, record: Record, photo: Photo | None) -> dict[str, str]:
    """Return caption -> data URI of the photograph and of the attention of each encoder."""
    if photo is None:
        return {}
    found = {"photograph": thumbnail(photo.picture, _SIDE, enlarge=True)}
    at = source.shown.get(record["key"])
    if at is not None:
        for name, maps in source.looks.attention.items():
            weights = np.asarray(maps[at], float).mean(0)
            found[clean_text(f"attention to {name}", 40)] = overlay(photo.picture, weights, _SIDE)
    return {caption: uri for caption, uri in found.items() if uri}


def _shares(record: Record) -> list[float]:
    """Return the share of each option by log-probabilities, none where there are none."""
    values = record.get("per_token") or record["logprobs"]
    if not values or any(value is None for value in values):
        return []
    values = np.exp(np.asarray(values, float) - max(values))
    return (values / values.sum()).tolist()


def _option(options: Sequence[str], at: int | None) -> str:
    if at is None:
        return "(no single option)"
    return f"{LETTERS[at]}. {clean_text(options[at], 120)}"


def _answers(source: _Source, kind: str, record: Record):
    """Yield the answer of every model, then the other readings of the fused one."""
    question, fused = record["question"], source.study.fused
    for one in rows_of(source.study):
        found = source.answers[one.key[0], READING].get(question)
        picture = ""
        if kind == DEPENDS and one.key[0] == "wrong_photo" and found is not None:
            other = source.photo(found["other"])
            picture = (thumbnail(other.picture, _SMALL) if other else "") or ""
        yield _answer(one.label, found, picture)
    for reading in ("letter", "generated"):
        if found := source.answers[fused.key[0], reading].get(question):
            yield _answer(f"{fused.label}, {label('reading', reading).lower()}", found)


def _answer(name: str, record: Record | None, picture: str = "") -> Answer:
    if record is None:
        return Answer(name, "not asked", "not asked")
    text = _option(record["options"], record["chosen"])
    if record["chosen"] is None and record["reply"] is not None:
        text = clean_text(record["reply"], 120)
    return Answer(name, text, record["state"], right(record), picture)


def _look(source: _Source, kind: str, record: Record, photo: Photo | None) -> Sample | None:
    """Return what is known of the photograph: its record, the gate, and its critique."""
    answers = []
    if photo is not None:
        answers.append(Answer("Edits", record_text(photo.record)))
        if photo.licence:
            answers.append(Answer("Licence", clean_text(photo.licence, 200)))
    answers += _critique(source, source.study.fused, record["photo"], "Critique")
    if kind == DEPENDS:
        name = f"Critique, {CONTROLS['wrong_photo'].lower()}"
        answers += _critique(source, source.study.subject("wrong_photo"), record["photo"], name)
    bars = ()
    row = source.places.get(record["key"])
    if row is not None:
        gates = np.asarray(source.looks.gates[row], float)
        bars = tuple(
            Bars(title, tuple(zip(source.looks.encoders, shares, strict=True)))
            for title, shares in _layers(gates)
        )
    if not answers and not bars:
        return None
    before = None if source.study.imported or photo is None else _before(photo)
    return Sample(
        id=slug("look", kind, record["question"]),
        title="How the photograph was made, the gate, and the critique",
        question="",
        gold="",
        answers=tuple(answers),
        pictures=(before,) if before else (),
        captions=("before the edits",) if before else (),
        bars=bars,
    )


def _before(photo: Photo) -> str | None:
    """Return the data URI of what was in front of the camera, without edits; None where the
    photographs are not installed on this machine.
    """
    try:
        picture = encode(unedited(*from_record(photo.record)))
    except FileNotFoundError:
        return None
    return thumbnail(picture, _SIDE, enlarge=True)


def _layers(gates: np.ndarray) -> list[tuple[str, list[float]]]:
    """Return (title, weight of each encoder) of the mean over layers, gates [layers, encoders]."""
    layers = f", mean of {len(gates)} layers" if len(gates) > 1 else ""
    return [(f"Weight of each encoder{layers}", gates.mean(0).tolist())]


def _critique(source: _Source, subject: Subject | None, photo: str, name: str) -> list[Answer]:
    """Return a critique and which topics of the record it covers, nothing where none was asked."""
    found = None if subject is None else source.critiques.get((subject.key[0], photo))
    if found is None:
        return []
    said = [Answer(name, clean_text(found["reply"] or "", _TEXT), found["state"])]
    if found["topics"]:
        kinds = {
            words: [label("topic", topic) for topic, made in found["topics"].items() if made == yes]
            for words, yes in (("says what was done to", True), ("misses", False))
        }
        text = "; ".join(f"{words} {join_words(names)}" for words, names in kinds.items() if names)
        said.append(Answer("Covered", text))
    return said


def record_text(record: Mapping[str, Any]) -> str:
    """Return what was done to a photograph, edit by edit; other records as their keys say."""
    edits = record.get("edits")
    if not isinstance(edits, Sequence) or isinstance(edits, str):
        return clean_text("; ".join(f"{key}: {_value(v)}" for key, v in record.items()), _RECORD)
    words = []
    for edit in edits:
        parameters = {k: v for k, v in (edit.get("parameters") or {}).items() if k != "seed"}
        numbers = ", ".join(f"{key} {_value(value)}" for key, value in parameters.items())
        setting = f"{edit.get('operation')}: {edit.get('setting')}".replace("_", " ")
        words.append(f"{setting} ({numbers.replace('_', ' ')})" if numbers else setting)
    return clean_text("; ".join(words) or "none", _RECORD)


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} {_value(one)}" for key, one in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "(" + ", ".join(map(_value, value)) + ")"
    return clean_text(value, 80)
