"""A clip of sound with its tags and how it was made: one row."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from mllm.benchmarks.digests import sound_digest
from mllm.benchmarks.hear.ontology import Ontology
from mllm.data.conversation import Media, audio
from mllm.registry import lookup

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Clip:
    """A clip and all that is known of it.

    Attributes:
      id: unique in the data set.
      group: what it was made from, such as a recording; no group is in two splits.
      split: of ``SPLITS``.
      tags: concepts that are heard, the loudest first; leaves in generated clips.
      sound: encoded, of kind "audio".
      seconds: how long it lasts.
      record: the parameters that it was rendered from, or what the source of the data says of it.
      source: the name of where it comes from.
      licence: of the sound.
    """

    id: str
    group: str
    split: str
    tags: tuple[str, ...]
    sound: Media
    seconds: float
    record: Mapping[str, Any]
    source: str
    licence: str


FIELDS = tuple(field.name for field in fields(Clip) if field.name != "sound")


def validate(clip: Clip, ontology: Ontology) -> None:
    """Raise ValueError, naming the clip and the field, where a row breaks the schema."""
    where = f"clip {clip.id!r}"
    lookup(dict.fromkeys(SPLITS), clip.split, f"split of {where}")
    if clip.sound.kind != "audio" or not clip.sound.data:
        raise ValueError(f"{where}: sound is empty or no sound, expected an encoded sound")
    if not clip.group or clip.seconds <= 0:
        raise ValueError(
            f"{where}: group is {clip.group!r} and seconds {clip.seconds}, expected a name and "
            "more than 0"
        )
    if not clip.tags or len(set(clip.tags)) != len(clip.tags):
        raise ValueError(f"{where}: tags are {clip.tags}, expected at least one, each once")
    for tag in clip.tags:
        if tag not in ontology:
            lookup(dict.fromkeys(ontology), tag, f"tag of {where}")


def to_row(clip: Clip) -> dict[str, Any]:
    """Return the TFDS row of a clip."""
    values = {name: getattr(clip, name) for name in FIELDS}
    return {"fields": json.dumps(values, ensure_ascii=False), "sound": clip.sound.data}


def from_row(row: Mapping[str, Any]) -> Clip:
    """Return the clip of a TFDS row."""
    values = json.loads(bytes(row["fields"]).decode("utf-8"))
    values["tags"] = tuple(values["tags"])
    return Clip(**values, sound=audio(bytes(row["sound"])))


def digest(clip: Clip) -> str:
    """Return sha256 (hex) over all of a row, independent of how it is stored."""
    values = asdict(clip) | {"sound": sound_digest(clip.sound.data).hex()}
    text = json.dumps(values, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def fingerprint(digests: Mapping[str, Iterable[str]], ontology: Ontology) -> str:
    """Return sha256 (hex) over the digests of all splits and the ontology."""
    lines = sorted(f"{split}/{one}" for split, found in digests.items() for one in found)
    lines.append(json.dumps(ontology.to_json(), ensure_ascii=False, sort_keys=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
