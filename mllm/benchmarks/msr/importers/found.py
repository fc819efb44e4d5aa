"""What an importer finds: interactions, and items whose pictures are still files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mllm.benchmarks.msr.rows import Interaction

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True)
class FoundItem:
    """An item of a table; see `rows.Item`.

    Attributes:
      picture: the file; None where there is none.
    """

    id: str
    title: str
    description: str = ""
    picture: Path | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """What files hold, in their order.

    Attributes:
      interactions: as they stand in the file, repeats and unknown items included.
      items: by ID.
      names: of the files with the interactions and the items, for messages.
      licence: what is known of the terms.
    """

    interactions: list[Interaction]
    items: dict[str, FoundItem]
    names: tuple[str, str]
    licence: str


def pictures_in(folder: Path) -> dict[str, Path]:
    """Return the pictures of a folder by the names of their files without suffix.

    Raises:
      ValueError: two of them differ in the suffix only.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
            if path.stem in found:
                raise ValueError(
                    f"{path}: {found[path.stem].name} is the picture of the same item; remove one"
                )
            found[path.stem] = path
    return found


def add_item(items: dict[str, FoundItem], item: FoundItem, where: str) -> None:
    """Add an item; one that is there already must be the same.

    Raises:
      ValueError: another item has the same ID.
    """
    if (before := items.setdefault(item.id, item)) != item:
        raise ValueError(
            f"{where}: item {item.id!r} is there before with title {before.title!r}, now with "
            f"{item.title!r}; keep one of them"
        )
