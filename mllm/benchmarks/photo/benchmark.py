"""Making the data set on disk, and reading pictures when they are needed."""

import importlib.metadata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mllm.benchmarks.dataset import Dataset, aloud, build_dataset, open_dataset
from mllm.benchmarks.importing import noted
from mllm.benchmarks.photo.builder import CITATION, VERSION, build
from mllm.benchmarks.photo.generate import DRAWING, DRAWN, SIZES, make_split
from mllm.benchmarks.photo.imported import open_imported, prepare_imported
from mllm.benchmarks.photo.importers import IMPORTERS
from mllm.benchmarks.photo.importers.options import Options
from mllm.benchmarks.photo.photographs import PACKAGE, photographs
from mllm.benchmarks.photo.row import SPLITS, Photo, digest, fingerprint, from_row
from mllm.benchmarks.photo.sheet import contact_sheet
from mllm.benchmarks.photo.texts import VOCABULARY, texts
from mllm.benchmarks.prepared import Prepared
from mllm.benchmarks.tokenizer import TOKENIZER, train_tokenizer
from mllm.data.source import Source
from mllm.registry import lookup

NAME, SHEET = "photo", "sheet.png"
SHOWN = 24  # pictures on the sheet
PINNED = (PACKAGE, "numpy", "scipy", "pillow")  # pictures follow them


class Benchmark(Prepared):
    """A finished data set; open it with `Benchmark.open` or make it with `prepare`."""

    sizes = ("long", "counts")

    @classmethod
    def open(
        cls,
        data_dir: str | Path,
        config: str = "tiny",
        *,
        seed: int | None = None,
        source: str | Path = "",
        options: Options | None = None,
    ) -> "Benchmark":
        """Open the data set of a config.

        Args:
          seed: that the data set must have been made from; any if None, and of imports.
          source: of an import: the folder that was imported. options: that it was imported with.

        Raises:
          ValueError: unknown config, or the data set was made from something else or changed.
          FileNotFoundError: it has not been prepared.
        """
        if config in IMPORTERS:
            root, options = Path(data_dir) / NAME, options or Options()
            return cls(open_imported(root, config, source, options))
        made_from: dict[str, Any] = {"config": config, "version": VERSION, "drawing": DRAWING}
        if seed is not None:
            made_from["seed"] = seed
        return cls(open_dataset(_folder(data_dir, config), **made_from))

    def photos(self, split: str) -> Source[Photo]:
        """Return the pictures of a split; each is read when it is asked for.

        Raises:
          ValueError: an unknown split.
        """
        return self._dataset.rows(split, from_row)


def prepare(
    data_dir: str | Path,
    config: str = "tiny",
    *,
    seed: int = 0,
    source: str | Path = "",
    options: Options | None = None,
    processes: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> Benchmark:
    """Make the data set unless it is there, and open it.

    Args:
      data_dir: root of the TFDS data sets.
      config: a key of `SIZES`, or of `importers.IMPORTERS`.
      seed: of everything that is generated.
      source: of an import: the folder with the files. options: what is done with them.
      processes: how many draw; as many as there are cores where None.
      progress: called with a line of text at each stage.

    Raises:
      ValueError: an unknown config, or the data set is there with another seed.
      FileNotFoundError: the package of photographs is not installed, or something to import is
        missing.
    """
    say = aloud(progress or (lambda message: None))
    if config in IMPORTERS:
        root, options = Path(data_dir) / NAME, options or Options()
        return Benchmark(prepare_imported(root, config, source, options, say))

    def build_below(folder: Path) -> tuple[Path, dict]:
        sizes = SIZES[config]
        digests: dict[str, list[str]] = {}

        def made(split: str) -> Iterator[Photo]:
            say(f"drawing {split}: {sizes.count(split)} pictures")
            yield from make_split(sizes, seed, split, processes=processes)

        splits = noted({split: made(split) for split in SPLITS}, digest, digests)
        written = build(splits, config, folder)
        record = {
            "config": config,
            "version": VERSION,
            "seed": seed,
            "drawing": DRAWING,
            "long": sizes.long,
            "versions": {name: importlib.metadata.version(name) for name in PINNED},
            "licences": {"drawn pictures, questions, texts": DRAWN}
            | {name: one.licence for name, one in photographs(sizes.further).items()},
            "counts": {split: len(found) for split, found in digests.items()},
            "fingerprint": fingerprint(digests),
            "citation": CITATION,
        }
        train_tokenizer(texts(), written / TOKENIZER, VOCABULARY)
        shown = Benchmark(Dataset(written, record)).photos("test")
        contact_sheet(shown[:SHOWN], written / SHEET)
        return written, record

    build_dataset(_folder(data_dir, config), build_below)
    return Benchmark.open(data_dir, config, seed=seed)


def _folder(data_dir: str | Path, config: str) -> Path:
    lookup({**SIZES, **IMPORTERS}, config, "config of photo")
    return Path(data_dir) / NAME / config / VERSION
