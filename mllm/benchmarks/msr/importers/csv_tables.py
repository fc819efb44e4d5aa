"""Any log of interactions, as two tables.

    interactions.csv | .tsv    user,item,time[,rating]
    items.csv | .tsv           item,title[,description][,picture][, …]

`picture` is the path of a file, from the folder; other columns become attributes. Times are numbers
or dates.
"""

from pathlib import Path

from mllm.benchmarks.msr.importers.found import Found, FoundItem, add_item
from mllm.benchmarks.msr.importers.ledger import Ledger
from mllm.benchmarks.msr.importers.text import identifier, table, unique_file
from mllm.benchmarks.msr.importers.times import time_of
from mllm.benchmarks.msr.rows import Interaction

LICENCE = "as stated by the owner of the tables"
KNOWN = ("item", "title", "description", "picture")


def files(folder: Path) -> list[Path]:
    """Return the files that are read; FileNotFoundError where one is missing."""
    items = _items(folder, Ledger())
    pictures = [item.picture for item in items.values() if item.picture is not None]
    return [_table(folder, "interactions"), _table(folder, "items"), *sorted(set(pictures))]


def read(folder: Path, ledger: Ledger, least_rating: float = 0.0) -> Found:
    """Read the folder.

    Args:
      least_rating: interactions rated lower are left out, and counted.

    Raises:
      FileNotFoundError: a table is missing.
      ValueError: naming file and line: a column is missing, or a line has no user, item or time.
    """
    path, interactions, low = _table(folder, "interactions"), [], 0
    needed = ("user", "item", "time", *(("rating",) if least_rating else ()))
    for number, row in table(path, needed, ledger):
        where = f"{path}, line {number}"
        user, item = (identifier(where, key, row[key]) for key in ("user", "item"))
        time = time_of(where, "time", row["time"])
        if least_rating and _rating(where, row["rating"]) < least_rating:
            low += 1
        else:
            interactions.append(Interaction(user, item, time))
    if least_rating:
        ledger.numbers["interactions_rated_lower"] = low
    return Found(
        interactions, _items(folder, ledger), (path.name, _table(folder, "items").name), LICENCE
    )


def _items(folder: Path, ledger: Ledger) -> dict[str, FoundItem]:
    path, items = _table(folder, "items"), {}
    for number, row in table(path, ("item", "title"), ledger):
        where = f"{path}, line {number}"
        more = {key: text.strip() for key, text in row.items() if key not in KNOWN and text.strip()}
        item = FoundItem(
            identifier(where, "item", row["item"]),
            row["title"].strip(),
            row.get("description", "").strip(),
            _picture(where, folder, row.get("picture", "").strip()),
            more,
        )
        add_item(items, item, where)
    return items


def _picture(where: str, folder: Path, name: str) -> Path | None:
    """Return the file of a picture; None where it is missing.

    Raises:
      ValueError: the path leaves the folder, or is none.
    """
    if "\0" in name:
        raise ValueError(f"{where}: picture: expected the path of a file, found {name!r}")
    path = (folder / name).resolve()
    if name and not path.is_relative_to(folder.resolve()):
        raise ValueError(f"{where}: picture: {name!r} leaves {folder}; put the file below it")
    return path if name and path.is_file() else None


def _rating(where: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{where}: rating: expected a number, found {text!r}") from None


def _table(folder: Path, name: str) -> Path:
    return unique_file(folder, (f"{name}.csv", f"{name}.tsv"), f"table of {name}")
