"""Comments on photographs, such as those of DPC2022, made into critiques and conversations.

    NAME.jsonl | .json | .csv | .tsv    image, and comments (a list) or comment (one a row)
    images/                             the pictures

clean      sentences about the photograph stay; greetings, scores and contest talk go
summarise  the writer makes one critique of them
filter     the writer says whether it is good enough
convert    the writer makes description, weaknesses and advice of it, and a question; one that it
           answers right without the photograph, in all orders of the options, is dropped

What was rejected, in which step and why, is in the ledger's list.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mllm.benchmarks.photo.importers.ledger import Ledger
from mllm.benchmarks.photo.importers.options import Options
from mllm.benchmarks.photo.importers.pictures import Pictures, read_picture
from mllm.benchmarks.photo.importers.pipeline import Commented, Written, write
from mllm.benchmarks.photo.importers.rows import Place, Row, Unusable, find_table, rows
from mllm.benchmarks.photo.importers.subjects import by_topic
from mllm.benchmarks.photo.importers.writers import sentences_of, writer_of
from mllm.benchmarks.photo.row import Critique, Photo
from mllm.benchmarks.photo.words import DESCRIBE, IMPROVE, WEAKNESSES

LOT = 256  # photographs whose comments are written about together
COLUMNS = {
    "image": ("image", "image_id", "image_path", "id", "key", "filename"),
    "comments": ("comments", "comment", "text"),
}


def read(folder: Path, options: Options, ledger: Ledger, work: Path) -> dict[str, Iterable[Photo]]:
    """Return the pictures of all splits; which one a picture is in follows from what it shows.

    Args:
      work: a folder where replies are kept.

    Raises:
      FileNotFoundError, ValueError: a file is missing, or a row cannot be used; the writer failed.
    """
    table = find_table(folder, options.file)
    root = folder if folder.is_dir() else folder.parent
    pictures = Pictures(root, options.pictures, ledger)
    found = _commented(rows(table), pictures, options, ledger)
    writer = writer_of(options, work)
    written = [one for lot in _lots(found) for one in write(lot, writer, ledger)]
    ledger.rejected += [
        {"picture": one.one.path.name, **one.record(table.name)} for one in written if one.step
    ]
    kept = [one for one in written if not one.step]
    ledger.counts["pictures"] = len(kept)
    ledger.counts["questions"] = sum(len(one.questions) for one in kept)
    if not kept:
        raise ValueError(f"{table}: no comments became a critique; {'; '.join(ledger.lines())}")
    made: dict[str, list[Written]] = {}
    for one in kept:
        made.setdefault(split_of(one.one.digest, options), []).append(one)
    identity = dict(writer.identity)
    return {
        split: _photos(made[split], split, options, table.name, identity)
        for split in ("train", "validation", "test")
        if split in made
    }


def _commented(
    found: Iterable[Row], pictures: Pictures, options: Options, ledger: Ledger
) -> list[Commented]:
    """Return the comments on each picture, those of all its names together."""
    columns = options.named(COLUMNS)
    paths: dict[str, Path] = {}
    places: dict[str, list[Place]] = {}
    comments: dict[str, list[str]] = {}
    for place, row in found:
        ledger.counts["rows"] += 1
        try:
            key, name = _cell(place, row, columns["image"])
            said = _comments(place, *_cell(place, row, columns["comments"]))
            path = pictures.find(place, key, name)
        except Unusable as error:
            ledger.note("unusable_row", str(error))
            continue
        if path is None:
            continue
        digest = pictures.digest(path)
        paths.setdefault(digest, path)
        places.setdefault(digest, []).append(place)
        comments.setdefault(digest, []).extend(said)
        ledger.counts["comments"] += len(said)
    return [
        Commented(path, digest, tuple(places[digest]), tuple(comments[digest]))
        for digest, path in paths.items()
    ]


def _cell(place: Place, row: dict[str, Any], columns: Sequence[str]) -> tuple[str, Any]:
    for column in columns:
        if row.get(column) not in (None, ""):
            return column, row[column]
    place.fail(columns[0], sorted(row), f"a value of column {' or '.join(map(repr, columns))}")


def _comments(place: Place, key: str, value: Any) -> list[str]:
    said = value if isinstance(value, list) else [value]
    texts = [one.get("text", one.get("comment")) if isinstance(one, dict) else one for one in said]
    if not all(isinstance(text, str) for text in texts):
        place.fail(key, value, "a text, or a list of texts")
    return texts


def _lots(found: Sequence[Commented]) -> Iterator[Sequence[Commented]]:
    for first in range(0, len(found), LOT):
        yield found[first : first + LOT]


def split_of(digest: str, options: Options) -> str:
    """Return the split of a picture; it follows from the picture alone."""
    share = int(hashlib.sha256(digest.encode()).hexdigest()[:12], 16) / 16**12
    if share < options.test:
        return "test"
    return "validation" if share < options.test + options.validation else "train"


def _photos(
    written: Sequence[Written], split: str, options: Options, table: str, writer: dict[str, Any]
) -> Iterator[Photo]:
    for one in written:
        parts, digest = one.parts, one.one.digest
        said = (parts.description, parts.weaknesses, parts.advice)
        sentences = [sentence for text in said for sentence in sentences_of(text)]
        place = int(digest[:8], 16)
        prompts = [texts[place % len(texts)] for texts in (DESCRIBE, WEAKNESSES, IMPROVE)]
        turns = [
            turn
            for prompt, text in zip(prompts, said, strict=True)
            if text
            for turn in (("user", prompt), ("assistant", text))
        ]
        yield Photo(
            id=f"{one.one.path.stem}-{digest[:8]}",
            source=digest[:24],
            split=split,
            picture=read_picture(one.one.path),
            facts={},
            record=one.record(table) | {"writer": writer},
            questions=one.questions,
            critique=Critique(*said, by_topic(sentences)),
            conversation=tuple(turns),
            licence=options.licence,
        )
