"""What comes of a folder of photographs: critiques by topic, and what was passed over, as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mllm.benchmarks.photo.assistant.asking import Remark
from mllm.benchmarks.photo.assistant.files import Passed
from mllm.evaluation.request import Choices

OVERALL = ("description", "weaknesses", "advice")  # parts of a critique that are about the whole
TOPIC = "topic"  # the part of a critique that is about one topic


@dataclass(frozen=True)
class Critiqued:
    """A photograph and what the model says of it.

    Attributes:
      name: path from the folder. size: (width, height) in pixels.
      notes: on how it was read.
      preview: a small JPEG as a data URI.
      remarks: the answers to all questions.
      looks: by encoder, the photograph with where it looked for the first of them, as a data URI.
    """

    name: str
    size: tuple[int, int]
    notes: tuple[str, ...]
    preview: str
    remarks: tuple[Remark, ...]
    looks: Mapping[str, str] = field(default_factory=dict)

    def overall(self, part: str) -> list[Remark]:
        """Return the remarks of a part of ``OVERALL``."""
        return [remark for remark in self.remarks if remark.question.part == part]

    @property
    def topics(self) -> dict[str, list[Remark]]:
        """The remarks about topics, by topic."""
        found: dict[str, list[Remark]] = {}
        for remark in self.remarks:
            if remark.question.part == TOPIC:
                found.setdefault(remark.question.topic, []).append(remark)
        return found


@dataclass
class Results:
    """What is known of a folder.

    Attributes:
      title: of the folder. model: names the weights by their digest.
      encoders: names of what the model sees with; empty where it does not choose among them.
      critiqued, passed: the photographs in their order, and the files that are none.
    """

    title: str
    model: Mapping[str, str]
    encoders: tuple[str, ...] = ()
    critiqued: list[Critiqued] = field(default_factory=list)
    passed: list[Passed] = field(default_factory=list)


def as_json(results: Results) -> dict[str, Any]:
    """Return the content of critique.json."""
    return {
        "schema": 1,
        "folder": results.title,
        "model": dict(results.model),
        "encoders": list(results.encoders),
        "photographs": [_photograph(one, results.encoders) for one in results.critiqued],
        "passed_over": [{"file": one.name, "reason": one.reason} for one in results.passed],
    }


def _photograph(one: Critiqued, encoders: Sequence[str]) -> dict[str, Any]:
    def said(remarks: Sequence[Remark]) -> list[dict[str, Any]]:
        return [_remark(remark, encoders) for remark in remarks]

    return {
        "file": one.name,
        "width": one.size[0],
        "height": one.size[1],
        "notes": list(one.notes),
        **{part: said(one.overall(part)) for part in OVERALL if one.overall(part)},
        "topics": {topic: said(remarks) for topic, remarks in one.topics.items()},
    }


def _remark(remark: Remark, encoders: Sequence[str]) -> dict[str, Any]:
    """Return an answer; without gates of a model that does not choose its encoders."""
    question = remark.question
    values: dict[str, Any] = {"question": question.text, "text": remark.text}
    if question.subtopic:
        values["subtopic"] = question.subtopic
    if isinstance(question.ask, Choices):
        values |= {"options": list(question.ask.texts), "share": remark.share}
        values |= {"sentence": remark.sentence, "advice": remark.advice}
    elif not remark.ended:
        values["cut_off"] = True
    if remark.seen is not None:
        layers = remark.seen.gates
        values["gates"] = [dict(zip(encoders, layer, strict=True)) for layer in layers]
    return values
