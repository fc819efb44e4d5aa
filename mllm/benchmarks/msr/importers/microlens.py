"""MicroLens as it is published (MicroLens-50k and larger ones).

    *_pairs.tsv     user, a tab, the items that the user watched, oldest first, separated by spaces
    *_titles.csv    item,title
    *covers*/       {item}.jpg

Times are not published; the place of an item in the user's sequence stands for them.
"""

from pathlib import Path

from mllm.benchmarks.msr.importers.found import Found, FoundItem, add_item, pictures_in
from mllm.benchmarks.msr.importers.ledger import Ledger
from mllm.benchmarks.msr.importers.text import identifier, lines, table, unique_file
from mllm.benchmarks.msr.rows import Interaction

LICENCE = "as stated by the publisher of MicroLens; research use"


def files(folder: Path) -> list[Path]:
    """Return the files that are read; FileNotFoundError where one is missing."""
    pictures = pictures_in(_covers(folder))
    return [_pairs(folder), _titles(folder), *pictures.values()]


def read(folder: Path, ledger: Ledger) -> Found:
    """Read the folder.

    Raises:
      FileNotFoundError: a file is missing.
      ValueError: naming file and line: a line has no user or no items, or a user has two lines; a
        title is there twice.
    """
    covers = pictures_in(_covers(folder))
    items: dict[str, FoundItem] = {}
    for number, row in table(_titles(folder), (), ledger, header=("item", "title")):
        where = f"{_titles(folder)}, line {number}"
        id = identifier(where, "item", row["item"])
        add_item(items, FoundItem(id, row["title"].strip(), picture=covers.get(id)), where)
    for id, path in covers.items():  # a cover without a title is an item too
        items.setdefault(id, FoundItem(id, "", picture=path))
    path, interactions = _pairs(folder), []
    seen: dict[str, int] = {}
    for number, line in lines(path, ledger):
        where = f"{path}, line {number}"
        if '"' in line:
            ledger.note("repaired_text", f"{path.name}, line {number}: quotes in {line[:60]!r}")
            line = line.replace('"', "")
        user, tab, taken = line.partition("\t")
        user = identifier(where, "user", user)
        if not tab or not taken.split():
            raise ValueError(
                f"{where}: expected a user, a tab, and items with spaces between; found "
                f"{line[:80]!r}"
            )
        if seen.setdefault(user, number) != number:
            raise ValueError(f"{where}: user {user!r} is on line {seen[user]} too; join the lines")
        interactions += [Interaction(user, item, place) for place, item in enumerate(taken.split())]
    return Found(interactions, items, (path.name, _titles(folder).name), LICENCE)


def _pairs(folder: Path) -> Path:
    return unique_file(folder, ("*_pairs.tsv", "pairs.tsv"), "file of pairs")


def _titles(folder: Path) -> Path:
    return unique_file(folder, ("*_titles.csv", "titles.csv"), "file of titles")


def _covers(folder: Path) -> Path:
    found = sorted(path for path in folder.glob("*covers*") if path.is_dir())
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise FileNotFoundError(f"{folder}: expected one folder *covers*, found {names}")
    return found[0]
