"""Files that somebody has, as a data set: imported once, then read like generated pictures."""

import hashlib
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from mllm.benchmarks.dataset import Dataset
from mllm.benchmarks.importing import import_once, noted, open_import
from mllm.benchmarks.photo.builder import CITATION, VERSION, build
from mllm.benchmarks.photo.importers import IMPORTERS
from mllm.benchmarks.photo.importers.ledger import Ledger
from mllm.benchmarks.photo.importers.options import Options
from mllm.benchmarks.photo.importers.pictures import SUFFIXES
from mllm.benchmarks.photo.importers.rows import find_table
from mllm.benchmarks.photo.row import Photo, digest, fingerprint
from mllm.benchmarks.photo.texts import VOCABULARY, texts
from mllm.benchmarks.tokenizer import TOKENIZER, train_tokenizer
from mllm.files import file_digests, write_text

IMPORTER = 1  # raise it whenever the same files give other rows: they are then imported again
REJECTED = "rejected.jsonl"
WORK = "work"  # folder of the replies of writers, which all imports of a kind share


def prepare_imported(
    data_dir: Path,
    config: str,
    source: str | Path,
    options: Options,
    say: Callable[[str], None],
) -> Dataset:
    """Import files unless their content was imported before with the same options.

    Args:
      data_dir: root of the TFDS data sets, that of this benchmark.
      config: a key of `importers.IMPORTERS`.
      source: the folder with the files.

    Raises:
      FileNotFoundError, ValueError: a file is missing, or a row cannot be used.
    """

    def make(folder: Path) -> tuple[Path, dict]:
        say(f"importing {source}")
        ledger, digests = Ledger(options.actions), {}
        work = data_dir / config / WORK
        splits = IMPORTERS[config].read(Path(source), options, ledger, work)
        said: list[str] = []

        def digest_of(photo: Photo) -> str:
            said.extend(_texts_of(photo))
            return digest(photo)

        written = build(noted(splits, digest_of, digests), config, folder)
        for line in ledger.lines():
            say(f"  {line}")
        if ledger.rejected:
            lines = (json.dumps(one, ensure_ascii=False) + "\n" for one in ledger.rejected)
            write_text(written / REJECTED, "".join(lines))
        train_tokenizer((*texts(), *said), written / TOKENIZER, VOCABULARY)
        return written, {
            "options": options.record(),
            **ledger.record(),
            "licences": {"data": options.licence},
            "counts": {split: len(one) for split, one in digests.items()},
            "fingerprint": fingerprint(digests),
            "citation": CITATION,
        }

    again = partial(source_digest, config, source, options)
    return import_once(data_dir, config, VERSION, source, again(), make, again)


def open_imported(data_dir: Path, config: str, source: str | Path, options: Options) -> Dataset:
    """Open what `prepare_imported` made of files with their present content.

    Raises:
      FileNotFoundError: they are not there, or were not imported since they changed.
    """
    found = source_digest(config, source, options)
    return open_import(data_dir, config, VERSION, source, found)


def source_digest(config: str, source: str | Path, options: Options) -> str:
    """Return sha256 (hex) of what an import depends on: the table, all pictures below its folder,
    and the options.

    Raises:
      ValueError: no folder is given, or it holds several tables.
      FileNotFoundError: there is no table.
    """
    if not str(source):
        raise ValueError(f"config {config!r} needs source: the folder with the files to import")
    root, table = Path(source), find_table(Path(source), options.file)
    root = root if root.is_dir() else root.parent
    pictures = [path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES]
    names = {path: path.relative_to(root).as_posix() for path in pictures if path.is_file()}
    digests = file_digests([table, *names])
    held = sorted([name, digests[path]] for path, name in names.items())
    said = [IMPORTER, config, options.record(), [table.name, digests[table]], held]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _texts_of(photo: Photo) -> Iterator[Any]:
    """Yield what is asked and said of a picture, for the tokenizer."""
    for question in photo.questions:
        yield question.question
        yield from (f" {option}" for option in question.options)
    yield from (text for _, text in photo.conversation)
