"""Making the data set on disk, and reading clips when they are needed."""

import importlib.metadata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mllm.benchmarks.dataset import Dataset, aloud, build_dataset, open_dataset
from mllm.benchmarks.hear.builder import CITATION, ONTOLOGY, VERSION, build
from mllm.benchmarks.hear.generate import RENDERED, RENDERING, make_split
from mllm.benchmarks.hear.imported import open_imported, prepare_imported
from mllm.benchmarks.hear.importers import IMPORTERS
from mllm.benchmarks.hear.importers.options import Options
from mllm.benchmarks.hear.ontology import Ontology
from mllm.benchmarks.hear.plan import SIZES
from mllm.benchmarks.hear.row import SPLITS, Clip, digest, fingerprint, from_row
from mllm.benchmarks.hear.sheet import contact_sheet
from mllm.benchmarks.hear.texts import SPECIAL, VOCABULARY, texts
from mllm.benchmarks.hear.tree import RARE, tree
from mllm.benchmarks.importing import noted
from mllm.benchmarks.prepared import Prepared
from mllm.benchmarks.tokenizer import TOKENIZER, train_tokenizer
from mllm.data.source import Source
from mllm.registry import lookup

NAME, SHEET = "hear", "sheet.png"
PINNED = ("numpy", "scipy", "soundfile")  # sounds follow them


class Benchmark(Prepared):
    """A finished data set; open it with `Benchmark.open` or make it with `prepare`.

    Attributes:
      ontology: of the tags.
      rare: leaves with few clips to train on.
    """

    sizes = ("seconds", "counts", "rare")

    def __init__(self, dataset: Dataset):
        super().__init__(dataset)
        self.ontology = Ontology.read(self.folder / ONTOLOGY)
        self.rare: tuple[str, ...] = tuple(dataset.record["rare"])

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
        made_from: dict[str, Any] = {"config": config, "version": VERSION, "rendering": RENDERING}
        if seed is not None:
            made_from["seed"] = seed
        return cls(open_dataset(_folder(data_dir, config), **made_from))

    def clips(self, split: str) -> Source[Clip]:
        """Return the clips of a split; each is read when it is asked for.

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
      processes: how many render; as many as there are cores where None.
      progress: called with a line of text at each stage.

    Raises:
      ValueError: an unknown config, or the data set is there with another seed.
      FileNotFoundError: something to import is missing.
    """
    say = aloud(progress or (lambda message: None))
    if config in IMPORTERS:
        root, options = Path(data_dir) / NAME, options or Options()
        return Benchmark(prepare_imported(root, config, source, options, say))

    def build_below(folder: Path) -> tuple[Path, dict]:
        sizes, ontology = SIZES[config], tree()
        digests: dict[str, list[str]] = {}

        def made(split: str) -> Iterator[Clip]:
            say(f"rendering {split}")
            yield from make_split(sizes, seed, split, processes=processes)

        splits = noted({split: made(split) for split in SPLITS}, digest, digests)
        written = build(splits, config, folder, ontology)
        ontology.write(written / ONTOLOGY)
        train_tokenizer(texts(ontology), written / TOKENIZER, VOCABULARY, SPECIAL)
        record = {
            "config": config,
            "version": VERSION,
            "seed": seed,
            "rendering": RENDERING,
            "seconds": sizes.seconds,
            "rare": list(RARE),
            "versions": {name: importlib.metadata.version(name) for name in PINNED},
            "licences": {"rendered sounds, ontology": RENDERED},
            "counts": {split: len(found) for split, found in digests.items()},
            "fingerprint": fingerprint(digests, ontology),
            "citation": CITATION,
        }
        rows = Dataset(written, record).rows("test", from_row)
        contact_sheet(rows, ontology, written / SHEET)
        return written, record

    build_dataset(_folder(data_dir, config), build_below)
    return Benchmark.open(data_dir, config, seed=seed)


def _folder(data_dir: str | Path, config: str) -> Path:
    lookup({**SIZES, **IMPORTERS}, config, "config of hear")
    return Path(data_dir) / NAME / config / VERSION
