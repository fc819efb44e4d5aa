"""Sounds to play with their spectrograms, what models say of them, and what they answer."""

import functools
import io
from collections.abc import Iterator, Mapping
from typing import Any

from mllm.benchmarks.hear.classified import evaluated
from mllm.benchmarks.hear.incontext import PLAIN
from mllm.benchmarks.hear.relations import NEAR, RELATIONS
from mllm.benchmarks.hear.report.layout import label
from mllm.benchmarks.hear.report.picked import MOST, asked_about, picked
from mllm.benchmarks.hear.report.recognition import DIRECT
from mllm.benchmarks.hear.report.study import Study
from mllm.benchmarks.hear.row import Clip
from mllm.benchmarks.hear.sheet import spectrogram
from mllm.benchmarks.subject import Record, Subject
from mllm.data.audio import RATE, decode
from mllm.reporting.pictures import thumbnail
from mllm.reporting.section import Answer, Card, Gallery, Paragraph, Sample, Section, Sound
from mllm.reporting.sounds import SECONDS, sound_uri
from mllm.reporting.text import clean_text, join_words, slug

SHOWN = ("T", "A", "C")  # conditions whose answers are shown
CAPTION = "caption_lexical"  # the task whose records hold captions
_TEXT = 300  # characters that are shown
_SIDE = 220  # pixels of the longer side of a spectrogram
_UNSAID = ("seed", "seconds")  # of how a clip was made
_RULE = (
    "Clips that {} recognises and reasons about, that it recognises and is wrong about though it "
    "is right given the label, and that it does not recognise; up to {} of each, of different "
    "labels, taken at places that are spread evenly, so that the choice looks at nothing but right "
    "and wrong. Sounds are cut after {:g} s. Time runs to the right, low frequencies are at the "
    "bottom. The questions ask whether this is the sound of a term; the right answer is in "
    "brackets, and the mark judges the answer from the sound."
)
_NO_DATA = "The data set is not on this machine: sounds and how they were made are left out."


def gallery_section(study: Study) -> Section | None:
    """Return the gallery; None where no relation question was answered."""
    if study.main is None or not (chosen := picked(study)):
        return None
    source = _Source(study)
    cards = tuple(_card(source, kind, clip) for kind, clip in chosen)
    notes = [_RULE.format(study.main.label, MOST, SECONDS)]
    notes += [_NO_DATA] if study.benchmark is None else []
    blocks = (Paragraph(" ".join(notes), note=True), Gallery(cards))
    return Section("gallery", "Sounds, captions and answers", blocks, "Gallery")


class _Source:
    """What the gallery draws from: clips, and records of the first seed of each model by clip."""

    def __init__(self, study: Study):
        self.study = study
        self.questions = {one.key: asked_about(one.records[0]) for one in study.models}

    @functools.cached_property
    def clips(self) -> dict[str, Clip]:
        """Return the clips of the split that was asked about, by id."""
        if self.study.benchmark is None:
            return {}
        protocol = self.study.main.runs[0].manifest.get("protocol") or {}
        return {clip.id: clip for clip in self.study.benchmark.clips(protocol.get("split", "test"))}

    @functools.cached_property
    def classes(self) -> dict[tuple, Record]:
        """Return (row, task, clip) -> the record of its class or caption."""
        return {
            (one.key, record["task"], record["clip"]): record
            for one in self.study.models
            for record in evaluated(one.records[0])
            if record["task"] in (DIRECT, CAPTION) and record["condition"] == PLAIN
        }


def _card(source: _Source, kind: str, clip: str) -> Card:
    asked = source.questions[source.study.main.key][clip]
    samples = [_sound(source, kind, clip, asked[0])]
    samples += [_questions(source, kind, clip, one) for one in source.study.models]
    return Card(
        id=slug("card", kind, clip),
        title=f"{kind}: {clean_text(asked[0]['label'], 40)}",
        subtitle=f"clip {clean_text(clip, 60)}",
        samples=tuple(samples),
    )


def _sound(source: _Source, kind: str, clip: str, record: Record) -> Sample:
    """Return the sound with its spectrogram, its tags, and what models make of it."""
    found, answers = source.clips.get(clip), []
    for one in source.study.models:
        answers += _class_answers(source, one, clip)
    pictures, sounds = (), ()
    if found is not None:
        answers.append(Answer("Made from", record_text(found)))
        answers.append(Answer("Licence", clean_text(found.licence, 120)))
        samples = decode(found.sound.data, f"clip {clip}")
        pictures = tuple(filter(None, (_picture(found),)))
        sounds = (Sound(sound_uri(samples, RATE), f"{found.seconds:.1f} s"),)
    return Sample(
        id=slug("sound", kind, clip),
        title=f"Clip {clean_text(clip, 60)}",
        question="",
        gold=clean_text(join_words(list(record["tags"])), _TEXT),
        answers=tuple(answers),
        pictures=pictures,
        captions=("spectrogram",) * len(pictures),
        sounds=sounds,
    )


def _picture(clip: Clip) -> str | None:
    """Return the data URI of the spectrogram of a clip."""
    file = io.BytesIO()
    spectrogram(clip.sound.data).save(file, "PNG")
    return thumbnail(file.getvalue(), _SIDE, enlarge=True)


def _class_answers(source: _Source, one: Subject, clip: str) -> Iterator[Answer]:
    """Yield the caption of a model and its class by log-probability."""
    caption = source.classes.get((one.key, CAPTION, clip))
    if caption is not None:
        text = clean_text(caption["caption"] or "", _TEXT)
        yield Answer(f"{one.label}, caption", text, caption["state"])
    chosen = source.classes.get((one.key, DIRECT, clip))
    if chosen is not None:
        right = chosen["metrics"].get("accuracy") == 1.0 if chosen["metrics"] else None
        text = clean_text(chosen["top"] or "(several)", 60)
        yield Answer(f"{one.label}, class", text, chosen["state"], right)


def _questions(source: _Source, kind: str, clip: str, one: Subject) -> Sample:
    """Return the relation questions about a clip with the answers in each condition."""
    found: dict[tuple, dict[str, Record]] = {}
    for record in source.questions[one.key].get(clip, ()):
        place = RELATIONS.index(record["relation"]), not record["yes"], record["term"]
        # The right term of these is the label again.
        repeated = record["relation"] in NEAR and record["yes"]
        if record["condition"] in SHOWN and not repeated:
            found.setdefault(place, {})[record["condition"]] = record
    answers = []
    for (relation, _, term), records in sorted(found.items(), key=lambda item: item[0]):
        gold = "yes" if next(iter(records.values()))["yes"] else "no"
        name = f"{label('relation', RELATIONS[relation])}: {clean_text(term, 40)}? ({gold})"
        said = " / ".join(_word(records.get(condition)) for condition in SHOWN)
        heard = records.get("A")
        right = None if heard is None else heard["metrics"]["accuracy"] == 1.0
        answers.append(Answer(name, said, "valid", right))
    given = " / ".join(label("condition", condition).lower() for condition in SHOWN)
    return Sample(
        id=slug("questions", one.method, one.key[1], kind, clip),
        title=f"{one.label}, given {given}",
        question="",
        gold="",
        answers=tuple(answers),
    )


def _word(record: Record | None) -> str:
    return "–" if record is None else {True: "yes", False: "no", None: "either"}[record["said"]]


def record_text(clip: Clip) -> str:
    """Return how a clip was made, as its keys say, without seeds."""
    return clean_text(_value(clip.record) or clip.source, _TEXT)


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, Mapping):
        kept = {key: one for key, one in value.items() if key not in _UNSAID}
        return ", ".join(f"{key.replace('_', ' ')} {_value(one)}" for key, one in kept.items())
    if isinstance(value, (list, tuple)):
        return "; ".join(map(_value, value))
    return clean_text(value, 60)
