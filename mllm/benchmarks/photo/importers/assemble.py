"""Questions of rows become pictures with their questions; the same picture is there once."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mllm.benchmarks.photo.importers.ledger import Ledger
from mllm.benchmarks.photo.importers.mcq import Asked
from mllm.benchmarks.photo.importers.pictures import Pictures, read_picture
from mllm.benchmarks.photo.importers.rows import Place, Unusable
from mllm.benchmarks.photo.row import Photo, Question


@dataclass
class Shown:
    """A picture with what rows ask about it."""

    path: Path
    names: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)


def gather(
    asked: Iterable[tuple[Place, Asked]], pictures: Pictures, ledger: Ledger
) -> dict[str, Shown]:
    """Return pictures by the digest of what they show, in the order of the rows.

    Raises:
      ValueError: a flaw that is to be an error.
    """
    found: dict[str, Shown] = {}
    known: dict[str, Place] = {}
    said: set[tuple] = set()
    for place, one in asked:
        try:
            path = pictures.find(place, "image", one.image)
        except Unusable as error:
            ledger.note("unusable_row", str(error))
            continue
        if path is None:
            continue
        digest = pictures.digest(path)
        content = digest, one.question, frozenset(one.options), one.options[one.key]
        if content in said:
            case = place.says("question", one.question, "one that no other row asks of the picture")
            ledger.note("repeated_question", case)
            continue
        id = one.id or f"{path.stem}-{place.at.rpartition(' ')[2]}"
        if id in known:
            case = place.says("id", id, f"an ID of its own, not that of {known[id].at}")
            ledger.note("repeated_id", case)
            continue
        said.add(content)
        known[id] = place
        shown = found.setdefault(digest, Shown(path))
        if one.image not in shown.names:
            shown.names.append(one.image)
        shown.places.append(place.at)
        shown.questions.append(
            Question(id, one.topic, one.subtopic, "", one.question, one.options, one.key)
        )
    ledger.counts["pictures"] = len(found)
    ledger.counts["questions"] = sum(len(shown.questions) for shown in found.values())
    ledger.counts["names_of_pictures_seen_before"] = sum(len(s.names) - 1 for s in found.values())
    return found


def photos_of(found: dict[str, Shown], split: str, licence: str, table: str) -> Iterator[Photo]:
    """Yield the pictures; each is read when its turn comes."""
    for digest, shown in found.items():
        yield Photo(
            id=f"{shown.path.stem}-{digest[:8]}",
            source=digest[:24],
            split=split,
            picture=read_picture(shown.path),
            facts={},
            record={"table": table, "rows": shown.places, "names": shown.names},
            questions=tuple(shown.questions),
            critique=None,
            conversation=(),
            licence=licence,
        )
