"""What an importer finds, and the clips that are made of it."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mllm.benchmarks.hear.importers.options import FLAWS, Options
from mllm.benchmarks.hear.ontology import Ontology
from mllm.benchmarks.hear.row import SPLITS, Clip
from mllm.data.audio import RATE, decode
from mllm.data.conversation import audio
from mllm.files import require_file

SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff")


@dataclass(frozen=True)
class Entry:
    """A clip as the source lists it.

    Attributes:
      where: file and line, for errors.
      id, group: of the clip. split: "" where the source has none.
      tags: concepts; those that others of them are kinds of are dropped.
      path: of the sound. record: what else the source says.
    """

    where: str
    id: str
    group: str
    split: str
    tags: tuple[str, ...]
    path: Path
    record: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """What a folder holds.

    Attributes:
      entries: in the order of the source.
      files: that were read to find them, besides the sounds.
      source, licence: of the clips, unless the options say otherwise.
    """

    ontology: Ontology
    entries: tuple[Entry, ...]
    files: tuple[Path, ...]
    source: str
    licence: str


class Flaws:
    """The flaws of imported clips: each is an error, or is counted and its clip left out."""

    def __init__(self, leave_out: Iterable[str] = ()):
        self._left_out = frozenset(leave_out)
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def note(self, flaw: str, case: str) -> None:
        """Count a case.

        Args:
          flaw: a key of ``FLAWS``. case: where, what was found, and what was expected.

        Raises:
          ValueError: it is to be an error.
        """
        if flaw not in self._left_out:
            raise ValueError(
                f"{case}; mend it, or add {flaw!r} to leave_out: clips are then left out and "
                f"counted where {FLAWS[flaw]}"
            )
        self._counts[flaw] += 1
        self._first.setdefault(flaw, case)

    def record(self) -> dict[str, Any]:
        """Return, of each flaw, the count and the first case."""
        return {
            flaw: {"count": count, "first": self._first[flaw]}
            for flaw, count in sorted(self._counts.items())
        }


def clips(found: Found, options: Options, flaws: Flaws) -> dict[str, Iterator[Clip]]:
    """Return the clips of each split that has some; their sounds are read one by one.

    Raises:
      ValueError: a clip has a flaw that is not to be left out.
    """
    kept: dict[str, list[Entry]] = {split: [] for split in SPLITS}
    seen: set[str] = set()
    homes: dict[str, str] = {}
    for entry in found.entries:
        split = entry.split or split_of(entry.group, options)
        home = homes.setdefault(entry.group, split)
        unknown = [tag for tag in entry.tags if tag not in found.ontology]
        if unknown:
            flaws.note("unknown_tag", f"{entry.where}: found tags {unknown} of no ontology")
        elif not entry.tags:
            flaws.note("no_tag", f"{entry.where}: found no tag, expected at least one")
        elif entry.id in seen:
            flaws.note("repeated_id", f"{entry.where}: id {entry.id!r} was there before")
        elif home != split:
            case = f"{entry.where}: {entry.group!r} is in {split}, expected {home}, as before"
            flaws.note("shared_group", case)
        elif not entry.path.is_file():
            flaws.note("missing_sound", f"{entry.where}: no file {entry.path}")
        else:
            seen.add(entry.id)
            kept[split].append(entry)
    return {
        split: _read(found, entries, split, options, flaws)
        for split, entries in kept.items()
        if entries
    }


def _read(
    found: Found, entries: Iterable[Entry], split: str, options: Options, flaws: Flaws
) -> Iterator[Clip]:
    for entry in entries:
        data = require_file(entry.path).read_bytes()
        try:
            seconds = len(decode(data, str(entry.path))) / RATE
        except ValueError as error:
            flaws.note("unreadable_sound", f"{entry.where}: {error}")
            continue
        yield Clip(
            id=entry.id,
            group=entry.group,
            split=split,
            tags=narrowest(entry.tags, found.ontology),
            sound=audio(data),
            seconds=round(seconds, 3),
            record=dict(entry.record),
            source=found.source,
            licence=options.licence or found.licence,
        )


def narrowest(tags: Iterable[str], ontology: Ontology) -> tuple[str, ...]:
    """Return the tags without those that another of them is a kind of."""
    tags = tuple(dict.fromkeys(tags))
    above = {one for tag in tags for one in ontology.ancestors(tag)}
    return tuple(tag for tag in tags if tag not in above)


def split_of(group: str, options: Options) -> str:
    """Return the split of a group: it follows from the name of the group alone."""
    share = int.from_bytes(hashlib.sha256(group.encode()).digest()[:8], "big") / 2**64
    if share < options.test:
        return "test"
    return "validation" if share < options.test + options.validation else "train"
