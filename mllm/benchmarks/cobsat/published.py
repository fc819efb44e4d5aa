"""Importer of the published folder (Hugging Face `yzeng58/CoBSAT`, datasets.zip).

500 pictures `{theme}_{object}/{detail}_{object}.jpg`, named by the words of the vocabularies, and
five CSV files of captions, `{theme}_{kind}.csv`, with at least the columns image (the name of the
picture) and caption.
"""

import csv
import hashlib
from collections.abc import Iterator
from pathlib import Path

from mllm.benchmarks.cobsat.shown import Shown
from mllm.benchmarks.cobsat.tasks import KINDS, THEMES, Pair, pairs
from mllm.data.images import decode
from mllm.files import file_digests, require_file

IMPORTER = 1  # raise it whenever the same files give other rows: they are then imported again
FOLDER = "datasets"
NAMED = 5  # missing things that an error names


def picture_path(pair: Pair) -> str:
    """Return the published path of a picture: "datasets/color_bag/red_bag.jpg"."""
    return f"{FOLDER}/{pair.theme}_{pair.object}/{pair.name}.jpg"


def captions_name(theme: str) -> str:
    """Return the name of the captions of a theme: "color_object.csv"."""
    return f"{theme}_{KINDS[theme]}.csv"


def source_digest(folder: str | Path) -> str:
    """Return sha256 (hex) of what an import depends on: all files that it reads, and this importer.

    Raises:
      FileNotFoundError: a picture or a file of captions is missing.
    """
    pictures, captions = _pictures(Path(folder)), _caption_files(Path(folder))
    paths = [*pictures.values(), *captions.values()]
    digests = file_digests(paths)
    lines = [str(IMPORTER), *(digests[path] for path in paths)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def read_published(folder: str | Path) -> Iterator[Shown]:
    """Yield the 500 published pictures in the order of `tasks.pairs`.

    Args:
      folder: that holds `datasets`, or is that folder itself.

    Raises:
      FileNotFoundError: pictures or files of captions are missing; the message names them.
      ValueError: naming the file: a picture cannot be decoded, or a CSV file lacks a column or a
        caption, or has two for one picture.
    """
    pictures, files = _pictures(Path(folder)), _caption_files(Path(folder))
    captions = {theme: _read_captions(path, theme) for theme, path in files.items()}
    for pair, path in pictures.items():
        encoded = require_file(path).read_bytes()
        decode(encoded, str(path))
        yield Shown(pair, 0, encoded, captions[pair.theme][pair.name])


def _root(folder: Path) -> Path:
    root = folder / FOLDER if (folder / FOLDER).is_dir() else folder
    if not root.is_dir():
        raise FileNotFoundError(
            f"{folder}: no such folder; unpack datasets.zip of yzeng58/CoBSAT there"
        )
    return root


def _pictures(folder: Path) -> dict[Pair, Path]:
    root = _root(folder)
    paths = {pair: root / picture_path(pair).removeprefix(f"{FOLDER}/") for pair in pairs()}
    missing = [str(path.relative_to(root)) for path in paths.values() if not path.is_file()]
    if missing:
        raise FileNotFoundError(
            f"{root}: {len(missing)} of {len(paths)} pictures are missing: {_some(missing)}; "
            "unpack datasets.zip of yzeng58/CoBSAT again"
        )
    return paths


def _caption_files(folder: Path) -> dict[str, Path]:
    """Return the CSV file of each theme, which lies in the folder or next to the pictures."""
    root = _root(folder)
    found = {}
    for theme in THEMES:
        places = [place / captions_name(theme) for place in (root, folder)]
        found[theme] = next((path for path in places if path.is_file()), None)
    if missing := [captions_name(theme) for theme, path in found.items() if path is None]:
        raise FileNotFoundError(
            f"{root}: captions are missing: {_some(missing)}; expected there or in {folder}"
        )
    return found


def _read_captions(path: Path, theme: str) -> dict[str, str]:
    """Return the captions by the names of the pictures without their suffix."""
    with open(require_file(path), encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        if absent := [name for name in ("image", "caption") if name not in columns]:
            raise ValueError(f"{path}: columns {absent} are missing (found: {', '.join(columns)})")
        rows = [(row["image"] or "", row["caption"] or "") for row in reader]
    captions: dict[str, str] = {}
    for number, (image, text) in enumerate(rows, 2):
        name, text = Path(image.strip()).stem, text.strip()
        if captions.setdefault(name, text) != text:
            raise ValueError(f"{path}: row {number}: image {image!r} has another caption before")
        if not text:
            raise ValueError(f"{path}: row {number}: image {image!r} has no caption")
    wanted = [pair.name for pair in pairs(theme)]
    if missing := [name for name in wanted if name not in captions]:
        raise ValueError(
            f"{path}: {len(missing)} of {len(wanted)} captions are missing, those of images "
            f"{_some(missing)}"
        )
    return captions


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
