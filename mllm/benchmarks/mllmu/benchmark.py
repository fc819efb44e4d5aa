"""Making the benchmark on disk, and reading it."""

import contextlib
import fcntl
import importlib.metadata
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from mllm.benchmarks.mllmu import celebrities, portraits
from mllm.benchmarks.mllmu.builder import CITATION, CONFIGS, VERSION, build, make_source
from mllm.benchmarks.mllmu.schema import SPLITS, Profile, from_row
from mllm.benchmarks.mllmu.tokenizer import train_tokenizer
from mllm.files import read_json, write_json
from mllm.registry import lookup

RECORD = "benchmark.json"
TOKENIZER = "tokenizer.json"
NAME = "mllmu"
PINNED = ("Faker", "dicebear-core", "dicebear-styles", "resvg-py")


class _KeepEncoded(tfds.decode.SkipDecoding):
    """Leave images encoded; TFDS itself can do so for one image but not for a sequence."""

    def decode_batch_example_np(self, example: Any) -> Any:
        return example


class Benchmark:
    """A finished benchmark on disk; open it with `Benchmark.open` or make it with `prepare`."""

    def __init__(self, folder: Path, record: dict[str, Any]):
        self.folder = folder
        self._record = record
        self._builder = tfds.builder_from_directory(str(folder))
        self._cache: dict[str, list[Profile]] = {}

    @classmethod
    def open(cls, data_dir: str | Path, config: str = "small") -> "Benchmark":
        """Open the dataset of a config.

        Raises:
            ValueError: unknown config.
            FileNotFoundError: it has not been prepared.
        """
        folder = dataset_folder(data_dir, config)
        path = folder / RECORD
        if not path.is_file():
            raise FileNotFoundError(
                f"{path}: not found; make it with `python -m experiments.prepare` or "
                f"prepare({str(data_dir)!r}, {config!r})"
            )
        return cls(folder, read_json(path))

    @property
    def config(self) -> str:
        """The builder config: "small", "full" or "published"."""
        return self._record["config"]

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits that have rows."""
        return tuple(name for name in SPLITS if name in self._builder.info.splits)

    @property
    def fingerprint(self) -> str:
        """sha256 (hex) over the content of all rows, independent of how they are stored."""
        return self._record["fingerprint"]

    @property
    def forget_ids(self) -> dict[int, tuple[str, ...]]:
        """IDs to forget, by percent, as drawn when the benchmark was made."""
        return {int(key): tuple(ids) for key, ids in self._record["forget_ids"].items()}

    @property
    def tokenizer_path(self) -> Path:
        """The tokenizer trained on the training pairs."""
        return self.folder / TOKENIZER

    @property
    def info(self) -> dict[str, Any]:
        """Seed, versions, licence, attribution and citation texts."""
        keys = ("config", "seed", "versions", "licences", "citation")
        return {key: self._record[key] for key in keys}

    def profiles(self, split: str) -> list[Profile]:
        """Return the rows of a split in the order of its source; ValueError on an unknown split.

        Generated rows are sorted by ID. Published files may have any order, and what a seed draws
        from them depends on it.
        """
        lookup(dict.fromkeys(self.splits), split, f"split of {self.folder}")
        if split not in self._cache:
            decoders = {"images": _KeepEncoded()}
            source = self._builder.as_data_source(split=split, decoders=decoders)
            self._cache[split] = [from_row(source[number]) for number in range(len(source))]
        return list(self._cache[split])

    def ids(self, split: str) -> tuple[str, ...]:
        """Return the IDs of a split, sorted."""
        return tuple(sorted(profile.id for profile in self.profiles(split)))


def dataset_folder(data_dir: str | Path, config: str) -> Path:
    """Return where a config's dataset lies; ValueError on an unknown config."""
    lookup(CONFIGS, config, "config of mllmu")
    return Path(data_dir) / NAME / config / VERSION


def prepare(
    data_dir: str | Path,
    config: str = "small",
    *,
    seed: int = 0,
    published_dir: str | Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> Benchmark:
    """Make the dataset and its tokenizer unless they are there, and open it.

    All is built in a folder beside the final one and moved there at the end, so that an
    interrupted build leaves nothing that looks finished; its remains go with the next build.

    Args:
        data_dir: root of the TFDS datasets.
        config: "small", "full" or "published".
        seed: of the generated configs.
        published_dir: the published parquet folders, for config "published".
        progress: called with a line of text at each stage.

    Raises:
        ValueError: the dataset is there with another seed, or its source is faulty.
    """
    final = dataset_folder(data_dir, config)
    say = progress or (lambda message: None)
    with _only_one(final.parent):
        if final.exists():
            benchmark = Benchmark.open(data_dir, config)
            made = benchmark.info["seed"]
            if config != "published" and made != seed:
                raise ValueError(
                    f"{final}: made with seed {made}, not {seed}; delete it or use another data_dir"
                )
            return benchmark
        temporary = Path(tempfile.mkdtemp(prefix=".building-", dir=final.parent))
        try:
            splits, forget_ids = make_source(config, seed, published_dir, progress)
            say("writing the dataset")
            folder, digest = build(splits, config, temporary)
            say("training the tokenizer")
            taught = [row for name in SPLITS[:5] for row in splits.get(name, ())]
            train_tokenizer(taught, folder / TOKENIZER)
            record = {
                "schema": 1,
                "config": config,
                "seed": seed if config != "published" else None,
                "fingerprint": digest,
                "forget_ids": {str(ratio): list(ids) for ratio, ids in forget_ids.items()},
                "versions": {name: importlib.metadata.version(name) for name in PINNED},
                "licences": _licences(config),
                "citation": CITATION,
            }
            write_json(folder / RECORD, record)
            os.replace(folder, final)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return Benchmark.open(data_dir, config)


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Let one process build in a folder at a time, and clear what a killed one left there."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in folder.glob(".building-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield


def _licences(config: str) -> dict[str, str]:
    if config == "published":
        return {"data": "as published with MLLMU-Bench; the publisher states no licence"}
    return {
        "data": "generated; CC0 1.0 except for the parts below",
        "portraits": portraits.attribution(),
        "public figures": celebrities.SOURCE,
    }
