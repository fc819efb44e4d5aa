"""Failures side by side: a few items of each capability with what every model answered."""

import io
from collections.abc import Mapping, Sequence
from typing import TypeVar

from PIL import Image

from mllm.benchmarks.scale.failures import FAILURES, Tagged
from mllm.benchmarks.scale.item import LETTERS
from mllm.benchmarks.scale.report.gaps import capability_gaps
from mllm.benchmarks.scale.report.layout import label
from mllm.benchmarks.scale.report.study import Study, Subject
from mllm.benchmarks.scale.score import Record
from mllm.benchmarks.scale.scorers import RIGHT
from mllm.reporting.pictures import THUMBNAIL, thumbnail
from mllm.reporting.section import Answer, Card, Gallery, Paragraph, Sample, Section
from mllm.reporting.text import clean_text, slug

_TEXT_LIMIT, _LOOP_LIMIT = 320, 80
_NARROW = 112  # side in pixels if four pictures share a row
_GOLDEN = 0.6180339887498949  # multiples of it are spread evenly over [0, 1)
_RULE = (
    "For each capability one item that the large model gets wrong, whatever the small one says, "
    "and one that the small model gets wrong and the large one does not, where there are any. Such "
    "items are sorted by id, and one is taken at a place that moves from capability to capability: "
    "the choice looks at nothing but right and wrong. The tag of a wrong answer stands at its "
    "right."
)
_T = TypeVar("_T")


def gallery_section(study: Study, tagged: Mapping[str, Tagged]) -> Section | None:
    """Return the gallery; None where no pair is compared or nothing failed."""
    if study.large is None:
        return None
    places = [place for place, _ in capability_gaps(study)]
    cards = [_card(study, tagged, place, at) for at, place in enumerate(places)]
    shown = tuple(card for card in cards if card.samples)
    if not shown:
        return None
    blocks = (Paragraph(_RULE, note=True), Gallery(shown))
    return Section("gallery", "Failures side by side", blocks, "Gallery")


def chosen(study: Study, place: tuple[str, str], at: int) -> dict[str, str]:
    """Return title -> id of the items that stand for a capability.

    Args:
      place: suite and capability.
      at: the place of the capability among all; it decides which of the items is taken.
    """
    right, wrong = _marked(study, study.large, place)
    small_wrong = _marked(study, study.small, place)[1]
    large, small = study.large.label, study.small.label
    pools = {
        f"{large} is wrong": sorted(wrong),
        f"{small} is wrong, {large} is right": sorted(small_wrong & right),
    }
    return {title: _spread(pool, at) for title, pool in pools.items() if pool}


def _marked(study: Study, subject: Subject, place: tuple[str, str]) -> tuple[set[str], set[str]]:
    """Return (ids of the items of a place that a model got right, those that it got wrong)."""
    values = {
        record["item"]: record["value"]
        for record in study.asked(subject)
        if (record["suite"], record["capability"]) == place and record["value"] is not None
    }
    right = {id for id, value in values.items() if value >= RIGHT}
    return right, values.keys() - right


def _spread(pool: Sequence[_T], at: int) -> _T:
    """Return an entry; over many capabilities the entries are evenly spread."""
    return pool[int((at + 0.5) * _GOLDEN % 1 * len(pool))]


def _card(study: Study, tagged, place: tuple[str, str], at: int) -> Card:
    suite, capability = place
    rows = {
        one.label: {record["item"]: record for record in study.asked(one)} for one in study.models
    }
    samples = tuple(
        _sample(study, tagged, rows, title, id) for title, id in chosen(study, place, at).items()
    )
    return Card(
        id=slug("card", suite, capability),
        title=label("capability", capability),
        subtitle=f"{suite} suite",
        samples=samples,
    )


def _sample(study: Study, tagged, rows, title: str, id: str) -> Sample:
    records = {name: found[id] for name, found in rows.items() if id in found}
    first = next(iter(records.values()))
    return Sample(
        id=slug("sample", title, id),
        title=f"{title} · {first['format']} · {id}",
        question=_question(study, first),
        gold=_gold(first),
        answers=tuple(
            _answer(name, records.get(name), tagged.get(name)) for name in rows
        ),
        pictures=_shown(study.pictures(id)),
    )  # fmt: skip


def _shown(pictures: Sequence[bytes]) -> tuple[str, ...]:
    side = THUMBNAIL if len(pictures) < 4 else _NARROW
    return tuple(uri for data in pictures if (uri := thumbnail(enlarged(data), side)))


def _question(study: Study, record: Record) -> str:
    """Return the question with the texts among its pictures and its options."""
    parts = []
    if study.has_items:
        layout = study.item(record["item"]).layout
        if any(isinstance(part, str) for part in layout):
            parts += [f"[{part + 1}]" if isinstance(part, int) else part for part in layout]
    parts.append(record["question"])
    if record["options"] and record["form"] != "letter":
        parts.append(f"({' / '.join(record['options'])})")
    return clean_text(" ".join(parts), _TEXT_LIMIT)


def _gold(record: Record) -> str:
    gold = record["answers"][0]
    if record["form"] == "letter":
        gold = f"{gold}. {record['options'][LETTERS.index(gold)]}"
    return clean_text(gold, _TEXT_LIMIT)


def _answer(name: str, record: Record | None, tagged: Tagged | None) -> Answer:
    if record is None:
        return Answer(name, "", "not asked")
    state, right = record["state"], None
    if record["value"] is not None:
        right = record["value"] >= RIGHT
    said = record["parsed"] if record["form"] == "options" else record["reply"]
    if record["form"] == "options" and said is None:
        said = "(several options alike)"
    limit = _LOOP_LIMIT if state == "invalid" else _TEXT_LIMIT
    tag = tagged.wrong.get(record["item"]) if tagged else None
    if tag:
        # A state that is not valid explains itself; a valid answer is explained by its tag.
        state = f"{tag} {FAILURES[tag]}" if state == "valid" else f"{state}, {tag}"
    return Answer(name, clean_text(said or "", limit), state, right)


def enlarged(encoded: bytes) -> bytes:
    """Return a small picture enlarged by a whole factor, with hard edges; others unchanged."""
    with Image.open(io.BytesIO(encoded)) as image:
        factor = THUMBNAIL // max(image.size)
        if factor < 2:
            return encoded
        large = image.convert("RGB").resize(
            (image.width * factor, image.height * factor), Image.Resampling.NEAREST
        )
    buffer = io.BytesIO()
    large.save(buffer, "PNG")
    return buffer.getvalue()
