"""Importer of the published parquet folders (Hugging Face `MLLMMU/MLLMU-Bench`).

Ten folders of parquet files: Full_Set, Test_Set, Retain_Set (which holds the celebrities), ft_Data
(the training pairs), forget_5/10/15 and retain_95/90/85. Evaluation rows are taken from the folder
of their own split; training pairs are joined to them by ID.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mllm.benchmarks.mllmu.published_fields import (
    ImageStore,
    Place,
    parse_biography,
    parse_questions,
    parse_training,
)
from mllm.benchmarks.mllmu.schema import FORGET_RATIOS, PICTURES, Profile, TrainingPair
from mllm.benchmarks.mllmu.shards import shards_of
from mllm.files import file_digests, require_file

IMPORTER = 2  # raise it whenever the same files give other rows: they are then imported again
FULL, TEST, CELEBRITY, TRAINING = "Full_Set", "Test_Set", "Retain_Set", "ft_Data"
EVALUATION_COLUMNS = (
    "ID",
    "Classification_Task",
    "Generation_Task",
    "Mask_Task",
)
FOLDERS = (
    FULL,
    TEST,
    CELEBRITY,
    TRAINING,
    *(f"forget_{ratio}" for ratio in FORGET_RATIOS),
    *(f"retain_{100 - ratio}" for ratio in FORGET_RATIOS),
)
ROWS_AT_ONCE = 16  # a row may hold megabytes of pictures


def source_digest(folder: str | Path) -> str:
    """Return sha256 (hex) of what an import depends on: the content of all files, in the order in
    which they are read, and this importer.

    Raises:
        FileNotFoundError, ValueError: as ``read_published`` does, where the files are not all
            there.
    """
    files = {name: _files(Path(folder), name) for name in FOLDERS}
    digests = file_digests(path for paths in files.values() for path in paths)
    content = {name: [digests[path] for path in paths] for name, paths in files.items()}
    return hashlib.sha256(json.dumps([IMPORTER, content]).encode()).hexdigest()


def read_published(
    folder: str | Path, *, progress: Callable[[str], None] | None = None
) -> tuple[dict[str, list[Profile]], dict[int, tuple[str, ...]]]:
    """Read all folders and return (rows by split, forget IDs by percent).

    There are no validation and no captions rows. Questions that a profile lacks are simply not
    there; those that are odd are kept as they are (see ``answerable``). Training pairs with an
    empty question or answer are left out, as in the published loader, and so are those of a row
    whose pairs or picture cannot be read.

    Raises:
        FileNotFoundError: a folder or its parquet files are missing.
        ValueError: naming file, row and field: a missing column, an undecodable image, a
            duplicate ID, a list that is none; or an ID that is in both
            forget_N and retain_M, in a split but not in Full_Set, or without training pairs.
    """
    folder = Path(folder)
    say = progress or (lambda message: None)
    images = ImageStore()

    def read(name: str, kind: str) -> list[Profile]:
        say(f"reading {name}")
        return _read_profiles(folder, name, kind, images)

    full = read(FULL, "fictitious")
    known = {profile.id for profile in full}
    say(f"reading {TRAINING}")
    training = _read_training(folder, full, images)

    def teach(profiles: list[Profile]) -> list[Profile]:
        return [replace(profile, training=training[profile.id]) for profile in profiles]

    splits = {"test": read(TEST, "fictitious"), "celebrity": read(CELEBRITY, "celebrity")}
    _require_known(folder / TEST, splits["test"], known)
    forget_ids = {}
    for ratio in FORGET_RATIOS:
        forget_name, retain_name = f"forget_{ratio}", f"retain_{100 - ratio}"
        forget, retain = read(forget_name, "fictitious"), read(retain_name, "fictitious")
        _require_known(folder / forget_name, forget, known)
        _require_known(folder / retain_name, retain, known)
        forget_ids[ratio] = tuple(sorted(profile.id for profile in forget))
        both = sorted(set(forget_ids[ratio]) & {profile.id for profile in retain})
        if both:
            raise ValueError(
                f"{folder}: ID {both[0]!r} is in both {forget_name} and {retain_name} "
                f"({len(both)} such IDs); a profile is either forgotten or retained"
            )
        splits[forget_name], splits[retain_name] = teach(forget), teach(retain)
    return {"full": teach(full), **splits}, forget_ids


def _read_profiles(folder: Path, name: str, kind: str, images: ImageStore) -> list[Profile]:
    """Read the evaluation rows of one folder, in its order."""
    profiles: list[Profile] = []
    seen: dict[str, Place] = {}
    for place, row in _rows(folder, name, EVALUATION_COLUMNS):
        profile = _text_id(row["ID"], place)
        if profile in seen:
            raise place.error("ID", profile, f"an ID used once; it is also at {seen[profile]}")
        seen[profile] = place
        single = name == TEST and "images" not in row
        biography = parse_biography(row.get("biography"))
        profiles.append(
            Profile(
                id=profile,
                name=str(biography.get("Name", "")),
                kind=kind,
                images=images.read(row, place),
                biography=biography,
                attributes={PICTURES: "single"} if single else {},
                questions=parse_questions(row, profile, place),
            )
        )
    return profiles


def _read_training(
    folder: Path, full: list[Profile], images: ImageStore
) -> dict[str, tuple[TrainingPair, ...]]:
    """Return the training pairs of each ID of Full_Set.

    The ID is in the column ID or in each item of metadata. Older copies have neither: then rows
    are taken in the order of Full_Set, if there are as many and every picture is the same.
    """
    training: dict[str, tuple[TrainingPair, ...]] = {}
    nameless: list[tuple[Place, tuple[bytes, ...], tuple[TrainingPair, ...]]] = []
    known = {profile.id for profile in full}
    for place, row in _rows(folder, TRAINING, ("metadata",)):
        profile, pairs = parse_training(row["metadata"], place)
        try:
            pictures = images.read(row, place)
        except ValueError:  # the published loader leaves out the pairs of such a row, too
            pictures, pairs = (), ()
        if row.get("ID") is not None:
            profile = _text_id(row["ID"], place)
        if profile is None:
            nameless.append((place, pictures, pairs))
            continue
        if profile not in known:
            raise place.error("ID", profile, f"an ID of {FULL}")
        if profile in training:
            raise place.error("ID", profile, "an ID used once")
        training[profile] = pairs
    if nameless:
        place = nameless[0][0]
        if training:
            raise place.error("ID", None, "an ID in each row, as in others of this folder")
        if len(nameless) != len(full):
            raise place.error(
                "ID",
                None,
                f"an ID; without, {TRAINING} must have the {len(full)} rows of {FULL}, not "
                f"{len(nameless)}",
            )
        for profile, (place, pictures, pairs) in zip(full, nameless, strict=True):
            if pictures != profile.images:
                raise place.error(
                    "image", "another picture", f"an ID, or the picture of {profile.id!r} in {FULL}"
                )
            training[profile.id] = pairs
    missing = sorted(known - set(training))
    if missing:
        raise ValueError(
            f"{folder / TRAINING}: no training pairs for ID {missing[0]!r} of {FULL} "
            f"({len(missing)} such IDs); use the {TRAINING} of the same release"
        )
    if known and not any(training.values()):
        raise ValueError(
            f"{folder / TRAINING}: no row has training pairs that can be read; expected metadata "
            'to be JSON of the form [{"Question": ..., "Answer": ...}]'
        )
    return training


def _rows(
    folder: Path, name: str, columns: tuple[str, ...]
) -> Iterator[tuple[Place, Mapping[str, Any]]]:
    """Yield the rows of a folder with their place; ValueError where a column is missing."""
    for path in _files(folder, name):
        label = f"{name}/{path.name}"
        try:
            yield from _rows_of(path, label, columns)
        except (pa.ArrowException, OSError) as error:
            if getattr(error, "errno", None):  # the system's, not about what the file holds
                raise
            reason = " ".join(str(error).split())[:200]
            raise ValueError(
                f"{label}: not a readable parquet file: {reason}; download it again"
            ) from error


def _files(folder: Path, name: str) -> list[Path]:
    """Return the files of one of the folders, in the order of its rows."""
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder}: no such folder; benchmark.published_dir names the folder that holds "
            f"{', '.join(FOLDERS)}"
        )
    files = shards_of(folder / name)
    if not files:
        where = folder / name if (folder / name).is_dir() else folder
        found = ", ".join(sorted(path.name for path in where.iterdir())[:6]) or "nothing"
        raise FileNotFoundError(
            f"{folder / name}: no parquet files (in {where.name} is {found}); download all ten "
            "folders of the dataset, and name the one that holds them"
        )
    return [require_file(path) for path in files]


def _rows_of(
    path: Path, label: str, columns: tuple[str, ...]
) -> Iterator[tuple[Place, Mapping[str, Any]]]:
    with pq.ParquetFile(path, page_checksum_verification=True) as source:
        found = source.schema_arrow.names
        for column in columns:
            if column not in found:
                raise ValueError(f"{label}: column {column!r} is missing; found {', '.join(found)}")
        if "image" not in found and "images" not in found:
            raise ValueError(
                f"{label}: column 'image' or 'images' is missing; found {', '.join(found)}"
            )
        number = 0
        for batch in source.iter_batches(batch_size=ROWS_AT_ONCE):
            for row in batch.to_pylist():
                yield Place(label, number), row
                number += 1


def _text_id(value: Any, place: Place) -> str:
    if value is None or not str(value).strip():
        raise place.error("ID", value, "a text that is not empty")
    if isinstance(value, float) and value.is_integer():  # what pandas makes of numbers and gaps
        value = int(value)
    return str(value).strip()


def _require_known(where: Path, profiles: list[Profile], known: set[str]) -> None:
    strangers = sorted({profile.id for profile in profiles} - known)
    alike = {name.lstrip("0"): name for name in known}
    if strangers and (meant := alike.get(strangers[0].lstrip("0"))):
        raise ValueError(
            f"{where}: ID {strangers[0]!r} is written {meant!r} in {FULL}; a tool made numbers of "
            "the IDs of one folder: write them alike in all of them"
        )
    if strangers:
        raise ValueError(
            f"{where}: ID {strangers[0]!r} is not in {FULL} ({len(strangers)} such IDs); "
            "the folders must be of the same release"
        )
