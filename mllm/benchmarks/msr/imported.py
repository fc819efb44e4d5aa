"""A log that somebody has, as a data set: what is written, and what names it."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from mllm.benchmarks.msr.assemble import Assembled, assemble
from mllm.benchmarks.msr.checks import check
from mllm.benchmarks.msr.importers import IMPORTERS, RATED
from mllm.benchmarks.msr.importers.found import FoundItem
from mllm.benchmarks.msr.importers.ledger import Ledger, lines_of
from mllm.benchmarks.msr.options import Options
from mllm.benchmarks.msr.rows import ITEMS, LOGS, Item, Row
from mllm.files import file_digests
from mllm.registry import lookup

IMPORTER = 1  # raise it whenever the same files give other rows: they are then imported again


def source_digest(config: str, folder: str | Path, options: Options) -> str:
    """Return sha256 (hex) of what an import depends on: all files that it reads, and the options.

    Raises:
      ValueError: no folder is given, or the importer is unknown.
      FileNotFoundError: a file is missing.
    """
    if not str(folder):
        raise ValueError(f"config {config!r} needs source: the folder with the files to import")
    paths = lookup(IMPORTERS, config, "importer").files(Path(folder))
    digests = file_digests(paths)
    said = [IMPORTER, config, options.record(), [[path.name, digests[path]] for path in paths]]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def read_import(
    config: str, folder: str | Path, options: Options, seed: int, say: Callable[[str], None]
) -> tuple[dict[str, Iterable[Row]], dict[str, Any]]:
    """Return the rows of all splits of an import, and what its record says of them.

    Pictures are read when the rows of the items are.

    Raises:
      FileNotFoundError, ValueError: a file is missing or cannot be used; see the importers and
        `assemble.assemble`.
    """
    ledger, folder = Ledger(options.actions), Path(folder)
    rated = (options.least_rating,) if config in RATED else ()
    if options.least_rating and not rated:
        raise ValueError(f"least_rating: {config} has no ratings; set it to 0")
    say(f"importing {folder}")
    found = IMPORTERS[config].read(folder, ledger, *rated)
    made = assemble(found, options, seed, ledger)
    check(
        made.users,
        made.logs,
        {item.id for item in made.items},
        negatives={"train": 1, "validation": 1, "test": options.test_negatives},
        disjoint=options.split == "by_user",
    )
    record = {
        "options": options.record(),
        "negatives": options.negatives,
        "steps": made.steps,
        "flaws": ledger.record(),
        "numbers": ledger.numbers,
        "licences": {"data": found.licence},
    }
    for line in lines_of(record["flaws"], record["numbers"]):
        say(f"  {line}")
    return {ITEMS: _items(made), LOGS: made.logs, **made.users}, record


def _items(made: Assembled) -> Iterator[Item]:
    for found in made.items:
        yield replace(
            _with_picture(found),
            popularity=made.popularity[found.id],
            cold=not made.popularity[found.id],
        )


def _with_picture(found: FoundItem) -> Item:
    picture = None if found.picture is None else found.picture.read_bytes()
    return Item(found.id, found.title, found.description, picture, dict(found.attributes))
