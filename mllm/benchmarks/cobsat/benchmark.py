"""Making the data set on disk, drawn or imported, and looking its pictures up."""

import hashlib
import importlib.metadata
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from mllm.benchmarks.cobsat import captions
from mllm.benchmarks.cobsat.builder import CITATION, PUBLISHED, VERSION, build
from mllm.benchmarks.cobsat.draw.glyphs import PACKAGE
from mllm.benchmarks.cobsat.generate import DRAWING, PICTURES, SIZES, SPLITS, draw_split
from mllm.benchmarks.cobsat.prompt_lists import SHOTS, distinct
from mllm.benchmarks.cobsat.prompt_lists import count as count_of
from mllm.benchmarks.cobsat.published import picture_path, read_published, source_digest
from mllm.benchmarks.cobsat.sheet import contact_sheet
from mllm.benchmarks.cobsat.shown import Shown, digest, fingerprint, from_row
from mllm.benchmarks.cobsat.tasks import Pair, pairs
from mllm.benchmarks.cobsat.texts import VOCABULARY, texts
from mllm.benchmarks.dataset import Dataset, aloud, build_dataset, open_dataset, require_imported
from mllm.benchmarks.prepared import Prepared
from mllm.benchmarks.tokenizer import TOKENIZER, train_tokenizer
from mllm.data.source import Source
from mllm.files import write_json
from mllm.registry import lookup

NAME = "cobsat"
MANIFEST, SHEET = "manifest.json", "sheet.png"
PINNED = (PACKAGE, "resvg-py", "pillow", "fonttools", "contourpy", "scipy")  # drawings follow them
DRAWN_LICENCES = {
    "data": "generated; CC0 1.0",
    "fonts": f"shapes are outlines of Noto Emoji ({PACKAGE}), SIL Open Font License 1.1",
}
PUBLISHED_LICENCES = {"data": "MIT, as stated by the publisher (yzeng58/CoBSAT)"}


class Benchmark(Prepared):
    """A finished data set; open it with `Benchmark.open` or make it with `prepare`."""

    sizes = ("side", "counts")

    def __init__(self, dataset: Dataset):
        super().__init__(dataset)
        self._places = {pair: place for place, pair in enumerate(pairs())}
        # A study shows each of the 500 again and again: those asked for stay in memory.
        self._shown = cache(self._read)

    @classmethod
    def open(
        cls,
        data_dir: str | Path,
        config: str = "tiny",
        *,
        seed: int | None = None,
        published_dir: str | Path = "",
    ) -> "Benchmark":
        """Open the data set of a config.

        Args:
          seed: of the views, that it must have been made with; any if None.
          published_dir: of config "published": the folder that was imported.

        Raises:
          ValueError: unknown config, or the data set was made from something else or changed.
          FileNotFoundError: it has not been prepared.
        """
        made_from: dict[str, Any] = {"config": config, "version": VERSION}
        if config == PUBLISHED:
            made_from["source"] = _source(published_dir)
            folder = _folder(data_dir, config, made_from["source"])
            require_imported(folder, published_dir)
        else:
            folder = _folder(data_dir, config)
            made_from |= {"drawing": DRAWING} | ({} if seed is None else {"seed": seed})
        return cls(open_dataset(folder, **made_from))

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits: "pictures", and those of views."""
        return tuple(self._dataset.record["counts"])

    def rows(self, split: str) -> Source[Shown]:
        """Return the pictures of a split, pair by pair; each is read when it is asked for.

        Raises:
          ValueError: an unknown split.
        """
        return self._dataset.rows(split, from_row)

    def shown(self, theme: str, detail: str, object: str) -> Shown:
        """Return the picture of a pair with its caption.

        Raises:
          ValueError: there is no such picture.
        """
        place = self._places.get(Pair(theme, detail, object))
        if place is None:
            names = dict.fromkeys(map("/".join, self._places))
            lookup(names, f"{theme}/{detail}/{object}", "picture")
        return self._shown(place)

    def picture(self, theme: str, detail: str, object: str) -> bytes:
        """Return the picture of a pair, encoded; ValueError where there is none."""
        return self.shown(theme, detail, object).picture

    def caption(self, theme: str, detail: str, object: str, wording: int = 0) -> str:
        """Return a caption of the picture of a pair.

        Args:
          wording: 0 for its own; drawn pictures have others, see `captions.WORDINGS`.
        """
        if wording:
            return captions.caption(Pair(theme, detail, object), wording)
        return self.shown(theme, detail, object).caption

    def _read(self, place: int) -> Shown:
        return self.rows(PICTURES)[place]


def prepare(
    data_dir: str | Path,
    config: str = "tiny",
    *,
    seed: int = 0,
    published_dir: str | Path = "",
    processes: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> Benchmark:
    """Make the data set unless it is there, and open it.

    Args:
      data_dir: root of the TFDS datasets.
      config: a key of `SIZES`, or "published".
      seed: of the views.
      published_dir: of config "published": the folder to import.
      processes: how many draw; as many as there are cores where None.
      progress: called with a line of text at each stage.

    Raises:
      ValueError: an unknown config, or the data set is there with another seed; or what is
        imported cannot be read.
      FileNotFoundError: something to import is missing.
    """
    say = aloud(progress or (lambda message: None))
    if config == PUBLISHED:
        source = _source(published_dir)
        final = _folder(data_dir, config, source)
        made_from: dict[str, Any] = {"source": source, "licences": PUBLISHED_LICENCES}
    else:
        source = f"drawing {DRAWING}"
        final = _folder(data_dir, config)
        made_from = {
            "seed": seed,
            "drawing": DRAWING,
            "side": SIZES[config].side,
            "versions": {name: importlib.metadata.version(name) for name in PINNED},
            "licences": DRAWN_LICENCES,
        }

    def read(split: str) -> Iterator[Shown]:
        if config == PUBLISHED:
            say(f"importing {published_dir}")
            return read_published(published_dir)
        say(f"drawing {split}: {SIZES[config].count(split)} of each of {len(pairs())} pairs")
        return draw_split(SIZES[config], seed, split, processes=processes)

    def build_below(folder: Path) -> tuple[Path, dict]:
        digests: dict[str, list[str]] = {}
        files: dict[str, dict] = {}

        def noted(split: str) -> Iterator[Shown]:
            digests[split] = []
            for shown in read(split):
                digests[split].append(digest(shown))
                if split == PICTURES:
                    hashed = hashlib.sha256(shown.picture).hexdigest()
                    files[picture_path(shown.pair)] = {
                        "sha256": hashed, "bytes": len(shown.picture), "caption": shown.caption,
                    }  # fmt: skip
                yield shown

        written = build({split: noted(split) for split in _splits(config)}, config, folder)
        if config == PUBLISHED and _source(published_dir) != source:
            raise ValueError(f"{published_dir}: changed while it was read; run the command again")
        record = {
            "config": config,
            "version": VERSION,
            **made_from,
            "counts": {split: len(found) for split, found in digests.items()},
            "fingerprint": fingerprint(digests, source),
            "citation": CITATION,
        }
        write_json(written / MANIFEST, files)
        train_tokenizer(texts(), written / TOKENIZER, VOCABULARY)
        made = Benchmark(Dataset(written, record))
        contact_sheet(made.rows(PICTURES), written / SHEET)
        return written, record

    build_dataset(final, build_below)
    if config == PUBLISHED:
        return Benchmark.open(data_dir, config, published_dir=published_dir)
    return Benchmark.open(data_dir, config, seed=seed)


def summary(benchmark: Benchmark) -> list[str]:
    """Return lines that say what a data set and the prompt lists hold."""
    lines = [f"{split:<10} {count:5} pictures" for split, count in benchmark.info["counts"].items()]
    for mode, shots in (*(("default", shots) for shots in SHOTS), ("ft_test", 2), ("ft_test", 4)):
        number, differ = count_of(mode, shots), distinct(mode, shots)
        lines.append(f"{mode:<10} {number:5} prompts a task with {shots} shots, {differ} distinct")
    return [*lines, f"all pictures on one sheet: {benchmark.folder / SHEET}"]


def _splits(config: str) -> Iterable[str]:
    if config == PUBLISHED:
        return (PICTURES,)
    return [split for split in SPLITS if SIZES[config].count(split)]


def _folder(data_dir: str | Path, config: str, source: str = "") -> Path:
    lookup({**SIZES, PUBLISHED: None}, config, "config of cobsat")
    return Path(data_dir) / NAME / config / source[:16] / VERSION


def _source(published_dir: str | Path) -> str:
    if not str(published_dir):
        raise ValueError(
            "config 'published' needs published_dir: the folder that holds datasets/ of CoBSAT"
        )
    return source_digest(published_dir)
