"""Which parquet files make up a folder, whatever library wrote and named them."""

import re
from pathlib import Path

_OF = re.compile(r"(.*?)(\d+)-of-(\d+)")  # train-00000-of-00002, data-00000-of-00002-0123abcd
_NUMBERED = re.compile(r"(\D*)(\d+)()")  # 0000, part-0


def shards_of(folder: Path) -> list[Path]:
    """Return the parquet files of a folder in the order of their rows, none if there are none.

    They lie in the folder itself, or in one folder below it, as in the branch that the Hub
    converts (``Full_Set/train/0000.parquet``).

    Raises:
      ValueError: the files are not one whole set of shards.
    """
    found = sorted(
        path
        for path in Path(folder).rglob("*.parquet")
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    homes = sorted({path.parent for path in found})
    if len(homes) > 1:
        shown = ", ".join(str(home.relative_to(folder)) for home in homes)
        raise ValueError(
            f"{folder}: parquet files in several folders ({shown}), expected one; keep the files "
            "of one split"
        )
    if len(found) == 1 and not _OF.match(found[0].stem):
        return found
    return _in_order(Path(folder), found)


def _in_order(folder: Path, files: list[Path]) -> list[Path]:
    shards: dict[int, Path] = {}
    first, before = None, None
    for path in files:
        matched = _OF.match(path.stem) or _NUMBERED.match(path.stem)
        if matched is None:
            other = next(other for other in files if other != path)
            raise _not_one_set(folder, f"{path.name} has no number, next to {other.name}")
        set_of, number = (matched[1], matched[3]), int(matched[2])
        if first is not None and set_of != first:
            raise _not_one_set(folder, f"{before.name} and {path.name} are not of one set")
        if number in shards:
            raise _not_one_set(
                folder, f"{shards[number].name} and {path.name} are both shard {number}"
            )
        first, before, shards[number] = set_of, path, path
    if not shards:
        return []
    start = 0 if first[1] else min(shards)  # of files that are only numbered, the first may be 1
    count = int(first[1]) if first[1] else max(shards) + 1 - start
    if missing := sorted(set(range(start, start + count)) - set(shards)):
        raise _not_one_set(folder, f"shard {missing[0]} of {count} is missing")
    if len(shards) > count:
        raise _not_one_set(folder, f"{shards[max(shards)].name} is beyond its set of {count}")
    return [shards[number] for number in sorted(shards)]


def _not_one_set(folder: Path, found: str) -> ValueError:
    return ValueError(
        f"{folder}: {found}; expected the parquet files of one split of one release: download what "
        "is missing, and delete what is left over"
    )
