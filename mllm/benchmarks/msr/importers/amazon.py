"""Amazon Reviews 2023 as it is published: one category in JSONL, packed or not.

    NAME.jsonl[.gz]         a review a line: user_id, parent_asin, timestamp, rating
    meta_NAME.jsonl[.gz]    an item a line: parent_asin, title, description, images, …
    images/                 {parent_asin}.jpg: pictures that somebody fetched

The addresses of pictures are kept as the attribute "image_url", the first one of size "large" (else
"hi_res" or "thumb"), and never asked.
"""

from pathlib import Path
from typing import Any

from mllm.benchmarks.msr.importers.found import Found, FoundItem, add_item, pictures_in
from mllm.benchmarks.msr.importers.ledger import Ledger
from mllm.benchmarks.msr.importers.text import identifier, objects, unique_file
from mllm.benchmarks.msr.importers.times import time_of
from mllm.benchmarks.msr.rows import Interaction

LICENCE = "as stated by the publisher of Amazon Reviews 2023 (McAuley Lab)"
META = ("meta_*.jsonl", "meta_*.jsonl.gz")
ATTRIBUTES = ("main_category", "store")


def files(folder: Path) -> list[Path]:
    """Return the files that are read; FileNotFoundError where one is missing."""
    return [*_tables(folder), *pictures_in(folder / "images").values()]


def read(folder: Path, ledger: Ledger, least_rating: float = 0.0) -> Found:
    """Read the folder.

    Args:
      least_rating: reviews with fewer stars are left out, and counted.

    Raises:
      FileNotFoundError: a file is missing.
      ValueError: naming file and line: it is not JSON, or lacks a user, an item, a time or stars.
    """
    reviews, meta = _tables(folder)
    pictures = pictures_in(folder / "images")
    items: dict[str, FoundItem] = {}
    addresses = 0
    for number, row in objects(meta, ledger):
        where = f"{meta}, line {number}"
        id = identifier(where, "parent_asin", row.get("parent_asin"))
        attributes = {key: str(row[key]) for key in ATTRIBUTES if row.get(key)}
        if (address := _address(row.get("images"))) and id not in pictures:
            addresses += 1
        attributes |= {"image_url": address} if address else {}
        description = _joined(row.get("description"))
        title = str(row.get("title") or "").strip()
        add_item(items, FoundItem(id, title, description, pictures.get(id), attributes), where)
    interactions, low = [], 0
    for number, row in objects(reviews, ledger):
        where = f"{reviews}, line {number}"
        user = identifier(where, "user_id", row.get("user_id"))
        item = identifier(where, "parent_asin", row.get("parent_asin"))
        time = time_of(where, "timestamp", row.get("timestamp"))
        rating = row.get("rating")
        if least_rating and type(rating) not in (int, float):
            raise ValueError(f"{where}: rating: expected a number of stars, found {rating!r}")
        if least_rating and rating < least_rating:
            low += 1
        else:
            interactions.append(Interaction(user, item, time))
    ledger.numbers |= {
        "interactions_rated_lower": low,
        "addresses_of_pictures_not_asked": addresses,
    }
    return Found(interactions, items, (reviews.name, meta.name), LICENCE)


def _tables(folder: Path) -> tuple[Path, Path]:
    meta = unique_file(folder, META, "file of items")
    name = meta.name.removeprefix("meta_").removesuffix(".gz")
    return unique_file(folder, (name, f"{name}.gz"), "file of reviews"), meta


def _joined(value: Any) -> str:
    """Return a description, which is a list of paragraphs or one text."""
    parts = value if isinstance(value, list) else [value or ""]
    return " ".join(str(part).strip() for part in parts if part).strip()


def _address(images: Any) -> str:
    """Return the address of the first picture; images are a list of dicts, or a dict of lists."""
    if isinstance(images, dict):
        images = [
            {key: value}
            for key in ("large", "hi_res", "thumb")
            for value in (images.get(key) or [])
            if value
        ]
    for key in ("large", "hi_res", "thumb"):
        for image in images or ():
            if isinstance(image, dict) and image.get(key):
                return str(image[key])
    return ""
