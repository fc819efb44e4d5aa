"""Which questions the gallery shows: right, wrong, and right with the right photograph alone."""

from collections.abc import Mapping, Set
from typing import Any

from mllm.benchmarks.photo.report.study import Record, Study, Subject

MOST = 4  # questions of a kind
RIGHT, WRONG, DEPENDS = (
    "Answered right",
    "Answered wrong",
    "Right with the photograph, wrong with another",
)
_GOLDEN = 0.6180339887498949  # multiples of it are spread evenly over [0, 1)


def picked(study: Study, preferred: Set[str]) -> list[tuple[str, Record]]:
    """Return (what a question stands for, its record of the fused model).

    Args:
      preferred: keys of the questions of which most is known; others follow where there are few.
    """
    found, used = [], set()
    for at, (kind, pool) in enumerate(_pools(study).items()):
        known = [record for record in pool if record["key"] in preferred]
        chosen = _spread(study, known, used, at)
        taken = used | {record["photo"] for record in chosen}
        chosen += _spread(study, pool, taken, at)[: MOST - len(chosen)]
        found += [(kind, record) for record in chosen]
        used |= {record["photo"] for record in chosen}
    return found


def right(record: Mapping[str, Any]) -> bool:
    """Return whether a question was answered right; an option as likely as the right one is not."""
    return record["chosen"] is not None and record["chosen"] == record["right"]


def by_question(subject: Subject | None, reading: str) -> dict[str, Record]:
    """Return the records of a reading by question, none of a method that was not run."""
    if subject is None:
        return {}
    return {record["question"]: record for record in subject.asked(reading)}


def _pools(study: Study) -> dict[str, list[Record]]:
    asked = [record for record in study.fused.asked() if record["state"] == "valid"]
    other = by_question(study.subject("wrong_photo"), "text")
    return {
        RIGHT: [record for record in asked if right(record)],
        WRONG: [record for record in asked if not right(record)],
        DEPENDS: [
            record
            for record in asked
            if right(record)
            and record["question"] in other
            and not right(other[record["question"]])
        ],
    }


def _spread(study: Study, pool: list[Record], used: set[str], at: int) -> list[Record]:
    """Return one question of each topic in turn, beginning with another topic for each kind, of
    photographs that are not used yet.
    """
    topics = [topic for topic in study.topics if any(r["topic"] == topic for r in pool)]
    first = at * MOST % max(len(topics), 1)
    found, photos = [], set(used)
    for place, topic in enumerate([*topics[first:], *topics[:first]]):
        left = [r for r in pool if r["topic"] == topic and r["photo"] not in photos]
        if left and len(found) < MOST:
            chosen = left[int((at + place + 0.5) * _GOLDEN % 1 * len(left))]
            found.append(chosen)
            photos.add(chosen["photo"])
    return found
