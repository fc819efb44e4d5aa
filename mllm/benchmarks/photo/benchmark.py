"""Making the data set on disk, and reading pictures when they are needed."""

import importlib.metadata
from collections.abc import Callable, Iterator
from pathlib import Path

from mllm.benchmarks.dataset import Dataset
from mllm.benchmarks.importable import Importable
from mllm.benchmarks.importing import noted
from mllm.benchmarks.photo import imported
from mllm.benchmarks.photo.builder import CITATION, VERSION, build
from mllm.benchmarks.photo.generate import DRAWING, DRAWN, SIZES, make_split
from mllm.benchmarks.photo.importers import IMPORTERS
from mllm.benchmarks.photo.importers.options import Options
from mllm.benchmarks.photo.photographs import PACKAGE, photographs
from mllm.benchmarks.photo.row import SPLITS, Photo, digest, fingerprint, from_row
from mllm.benchmarks.photo.sheet import contact_sheet
from mllm.benchmarks.photo.texts import VOCABULARY, texts
from mllm.benchmarks.tokenizer import TOKENIZER, train_tokenizer
from mllm.data.source import Source

NAME, SHEET = "photo", "sheet.png"
SHOWN = 24  # pictures on the sheet
PINNED = (PACKAGE, "numpy", "scipy", "pillow")  # pictures follow them


class Benchmark(Importable):
    """A finished data set; open it with `Benchmark.open` or make it with `prepare`."""

    name, version, generator = NAME, VERSION, {"drawing": DRAWING}
    generated, importers, imported, options = SIZES, IMPORTERS, imported, Options
    sizes = ("long", "counts")

    def photos(self, split: str) -> Source[Photo]:
        """Return the pictures of a split; each is read when it is asked for.

        Raises:
          ValueError: an unknown split.
        """
        return self._dataset.rows(split, from_row)

    @classmethod
    def generate(
        cls,
        config: str,
        seed: int,
        folder: Path,
        processes: int | None,
        say: Callable[[str], None],
    ) -> tuple[Path, dict]:
        """Draw the data set of a config; see `Importable.generate`."""
        sizes = SIZES[config]
        digests: dict[str, list[str]] = {}

        def made(split: str) -> Iterator[Photo]:
            say(f"drawing {split}: {sizes.count(split)} pictures")
            yield from make_split(sizes, seed, split, processes=processes)

        splits = noted({split: made(split) for split in SPLITS}, digest, digests)
        written = build(splits, config, folder)
        record = {
            "long": sizes.long,
            "versions": {name: importlib.metadata.version(name) for name in PINNED},
            "licences": {"drawn pictures, questions, texts": DRAWN}
            | {name: one.licence for name, one in photographs(sizes.further).items()},
            "counts": {split: len(found) for split, found in digests.items()},
            "fingerprint": fingerprint(digests),
            "citation": CITATION,
        }
        train_tokenizer(texts(), written / TOKENIZER, VOCABULARY)
        contact_sheet(cls(Dataset(written, record)).photos("test")[:SHOWN], written / SHEET)
        return written, record


prepare = Benchmark.prepare
