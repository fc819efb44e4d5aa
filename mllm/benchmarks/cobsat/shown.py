"""A picture of the data set with what it shows: one row."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mllm.benchmarks.cobsat.tasks import KINDS, WORDS, Pair
from mllm.benchmarks.digests import picture_digest
from mllm.registry import lookup


@dataclass(frozen=True)
class Shown:
    """A picture.

    Attributes:
      pair: what it shows. view: 0 for the picture itself, else the seed of the view of it.
      picture: encoded. caption: a sentence about it.
    """

    pair: Pair
    view: int
    picture: bytes
    caption: str


def validate(shown: Shown) -> None:
    """Raise ValueError, naming the picture and the field, where a row breaks the schema."""
    theme, detail, name = shown.pair
    where = f"picture {'/'.join(shown.pair)}"
    lookup(KINDS, theme, f"theme of {where}")
    lookup(dict.fromkeys(WORDS[theme]), detail, f"{theme} of {where}")
    lookup(dict.fromkeys(WORDS[KINDS[theme]]), name, f"{KINDS[theme]} of {where}")
    if not shown.caption.strip():
        raise ValueError(f"{where}: caption is {shown.caption!r}, expected a sentence")
    if not shown.picture:
        raise ValueError(f"{where}: picture is empty, expected an encoded picture")
    if shown.view < 0:
        raise ValueError(f"{where}: view is {shown.view}, expected 0 or the seed of a view")


def to_row(shown: Shown) -> dict[str, Any]:
    """Return the TFDS row of a picture."""
    theme, detail, name = shown.pair
    return {
        "theme": theme,
        "detail": detail,
        "object": name,
        "view": shown.view,
        "picture": shown.picture,
        "caption": shown.caption,
    }


def from_row(row: Mapping[str, Any]) -> Shown:
    """Return the picture of a TFDS row that was read without decoding."""
    words = [bytes(row[name]).decode("utf-8") for name in ("theme", "detail", "object", "caption")]
    return Shown(Pair(*words[:3]), int(row["view"]), bytes(row["picture"]), words[3])


def digest(shown: Shown) -> str:
    """Return sha256 (hex) over all of a picture, independent of how it is stored."""
    said = [*shown.pair, shown.view, shown.caption, picture_digest(shown.picture).hex()]
    return hashlib.sha256(json.dumps(said, ensure_ascii=False).encode("utf-8")).hexdigest()


def fingerprint(digests: Mapping[str, Iterable[str]], source: str) -> str:
    """Return sha256 (hex) over the digests of all splits, and over what made them."""
    lines = [source, *(f"{split}/{one}" for split in digests for one in digests[split])]
    return hashlib.sha256("\n".join([lines[0], *sorted(lines[1:])]).encode()).hexdigest()
