"""What the data hold: items, users with a history and candidates, and the log to train on."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mllm.benchmarks.digests import picture_digest

ITEMS, GALLERY, LOGS = "items", "gallery", "logs"  # splits of the data set that hold no users
SPLITS = ("train", "validation", "test")


class Interaction(NamedTuple):
    """A user took an item at a time.

    Attributes:
      time: grows with time; its unit is that of the source, seconds since 1970 in generated data,
        and the place in the user's sequence where the source knows only the order.
    """

    user: str
    item: str
    time: int


@dataclass(frozen=True)
class Item:
    """Something that users take.

    Attributes:
      title, description: "" where the source has none.
      picture: encoded; None where the source has none.
      attributes: what a source says besides; of generated items, what they show and tell.
      cold: nobody takes the item in the log.
      popularity: how often the log has it.
    """

    id: str
    title: str
    description: str = ""
    picture: bytes | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    cold: bool = False
    popularity: int = 0


@dataclass(frozen=True)
class User:
    """A history, and the candidates for what comes next.

    Attributes:
      id: of the user. In a leave-one-out split a user has a row in each split.
      split: one of `SPLITS`.
      history: IDs of items, oldest first, without the target. times: of the history.
      target: ID of the item that the user took next. target_time: when.
      negatives: IDs of items that the user never took: 1 to learn from, 20 in the test.
    """

    id: str
    split: str
    history: tuple[str, ...]
    times: tuple[int, ...]
    target: str
    negatives: tuple[str, ...]
    target_time: int = 0

    @property
    def candidates(self) -> tuple[str, ...]:
        """The target, then the negatives."""
        return (self.target, *self.negatives)


@dataclass(frozen=True)
class Log:
    """All that is known of a user.

    Attributes:
      user: ID. items, times: what models may learn from, oldest first.
      left_out: targets of validation and test, which are in no log; no negative is one of them.
    """

    user: str
    items: tuple[str, ...]
    times: tuple[int, ...]
    left_out: tuple[str, ...] = ()


Row = Item | User | Log
_TUPLES = ("history", "times", "negatives", "items", "left_out")


def to_row(row: Row) -> dict[str, Any]:
    """Return the TFDS row of an item, a user or a log."""
    fields = dict(vars(row))
    picture = fields.pop("picture", None)
    return {
        "fields": json.dumps(fields, ensure_ascii=False),
        "pictures": [] if picture is None else [picture],
    }


def item_from(row: Mapping[str, Any]) -> Item:
    """Return the item of a TFDS row that was read without decoding."""
    fields, pictures = _fields(row), list(row["pictures"])
    return Item(**fields, picture=bytes(pictures[0]) if pictures else None)


def user_from(row: Mapping[str, Any]) -> User:
    """Return the user of a TFDS row."""
    return User(**_fields(row))


def log_from(row: Mapping[str, Any]) -> Log:
    """Return the log of a TFDS row."""
    return Log(**_fields(row))


def _fields(row: Mapping[str, Any]) -> dict[str, Any]:
    fields = json.loads(bytes(row["fields"]).decode("utf-8"))
    return {key: tuple(value) if key in _TUPLES else value for key, value in fields.items()}


def digest(row: Row) -> str:
    """Return sha256 (hex) over all of a row, independent of how it is stored."""
    picture = getattr(row, "picture", None)
    fields = {name: value for name, value in vars(row).items() if name != "picture"}
    said = [fields, "" if picture is None else picture_digest(picture).hex()]
    text = json.dumps(said, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def fingerprint(digests: Mapping[str, Iterable[str]]) -> str:
    """Return sha256 (hex) over the digests of all splits."""
    lines = sorted(f"{split}/{one}" for split, found in digests.items() for one in found)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
