"""Making the data set on disk, and reading clips when they are needed."""

import importlib.metadata
from collections.abc import Callable, Iterator
from pathlib import Path

from mllm.benchmarks.dataset import Dataset
from mllm.benchmarks.hear import imported
from mllm.benchmarks.hear.builder import CITATION, ONTOLOGY, VERSION, build
from mllm.benchmarks.hear.generate import RENDERED, RENDERING, make_split
from mllm.benchmarks.hear.importers import IMPORTERS
from mllm.benchmarks.hear.importers.options import Options
from mllm.benchmarks.hear.ontology import Ontology
from mllm.benchmarks.hear.plan import SIZES
from mllm.benchmarks.hear.row import SPLITS, Clip, digest, fingerprint, from_row
from mllm.benchmarks.hear.sheet import contact_sheet
from mllm.benchmarks.hear.texts import SPECIAL, VOCABULARY, texts
from mllm.benchmarks.hear.tree import RARE, tree
from mllm.benchmarks.importable import Importable
from mllm.benchmarks.importing import noted
from mllm.benchmarks.tokenizer import TOKENIZER, train_tokenizer
from mllm.data.source import Source

SHEET = "sheet.png"
PINNED = ("numpy", "scipy", "soundfile")  # sounds follow them


class Benchmark(Importable):
    """A finished data set; open it with `Benchmark.open` or make it with `prepare`.

    Attributes:
      ontology: of the tags.
      rare: leaves with few clips to train on.
    """

    name, version, generator = "hear", VERSION, {"rendering": RENDERING}
    generated, importers, imported, options = SIZES, IMPORTERS, imported, Options
    sizes = ("seconds", "counts", "rare")

    def __init__(self, dataset: Dataset):
        super().__init__(dataset)
        self.ontology = Ontology.read(self.folder / ONTOLOGY)
        self.rare: tuple[str, ...] = tuple(dataset.record["rare"])

    def clips(self, split: str) -> Source[Clip]:
        """Return the clips of a split; each is read when it is asked for.

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
        """Render the data set of a config; see `Importable.generate`."""
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


prepare = Benchmark.prepare
