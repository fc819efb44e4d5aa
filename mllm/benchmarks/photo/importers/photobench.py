"""PhotoBench as a table: a question a row, with its topic and sub-topic, and the picture's name.

    NAME.jsonl | .json | .csv | .tsv    question, options (or A, B, C, D), answer, topic, subtopic,
                                        image[, id]
    images/                             the pictures

The published file names DPChallenge photographs, which have to be fetched by their owner.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from mllm.benchmarks.photo.importers.assemble import gather, photos_of
from mllm.benchmarks.photo.importers.ledger import Ledger
from mllm.benchmarks.photo.importers.mcq import Asked, Reader
from mllm.benchmarks.photo.importers.options import Options
from mllm.benchmarks.photo.importers.pictures import Pictures
from mllm.benchmarks.photo.importers.rows import Place, Row, find_table, rows
from mllm.benchmarks.photo.row import Photo


def read(folder: Path, options: Options, ledger: Ledger, work: Path) -> dict[str, Iterable[Photo]]:
    """Return the pictures of the split that options name.

    Args:
      work: not used; there is nothing to keep.

    Raises:
      FileNotFoundError, ValueError: a file is missing, or a row cannot be used.
    """
    table = find_table(folder, options.file)
    return read_rows(folder, rows(table), table, Reader(options, ledger), options, ledger)


def read_rows(
    folder: Path,
    found: Iterable[Row],
    table: Path,
    reader: Reader,
    options: Options,
    ledger: Ledger,
) -> dict[str, Iterable[Photo]]:
    """Return the pictures that rows ask about."""
    root = folder if folder.is_dir() else folder.parent
    pictures = Pictures(root, options.pictures, ledger)
    shown = gather(_asked(found, reader, ledger), pictures, ledger)
    if not shown:
        raise ValueError(f"{table}: no row is left to import; {'; '.join(ledger.lines())}")
    return {options.split: photos_of(shown, options.split, options.licence, table.name)}


def _asked(found: Iterable[Row], reader: Reader, ledger: Ledger) -> Iterator[tuple[Place, Asked]]:
    for place, row in found:
        ledger.counts["rows"] += 1
        asked = reader.question(place, row)
        if asked is not None:
            yield place, asked
