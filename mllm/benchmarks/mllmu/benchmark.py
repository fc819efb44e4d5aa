"""Making the benchmark on disk, and reading it."""

import contextlib
import importlib.metadata
import os
from collections.abc import Callable, Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from mllm.benchmarks.dataset import Dataset, build_dataset, open_dataset, require_imported
from mllm.benchmarks.mllmu import celebrities, portraits
from mllm.benchmarks.mllmu.builder import CITATION, CONFIGS, VERSION, build, make_source
from mllm.benchmarks.mllmu.published import source_digest
from mllm.benchmarks.mllmu.schema import SPLITS, Profile, from_row
from mllm.benchmarks.mllmu.sets import TrainingExamples
from mllm.benchmarks.mllmu.tokenizer import train_tokenizer
from mllm.benchmarks.prepared import Prepared
from mllm.benchmarks.record import RECORD
from mllm.benchmarks.tokenizer import TOKENIZER
from mllm.data.conversation import Example
from mllm.data.source import Picked, Source
from mllm.registry import lookup

NAME = "mllmu"
PUBLISHED = "published"  # the config that is imported; the others are generated
AXES = ("set", "task", "modality")
PINNED = ("Faker", "dicebear-core", "dicebear-styles", "resvg-py")


class Benchmark(Prepared):
    """A finished benchmark on disk; open it with `Benchmark.open` or make it with `prepare`."""

    def __init__(self, dataset: Dataset):
        super().__init__(dataset)
        self._ids = cache(lambda split: tuple(profile.id for profile in self.profiles(split)))

    @classmethod
    def open(
        cls,
        data_dir: str | Path,
        config: str = "small",
        *,
        seed: int | None = None,
        published_dir: str | Path | None = None,
    ) -> "Benchmark":
        """Open the dataset of a config.

        Args:
            seed: that the dataset must have been made from, for a generated config; any if None.
            published_dir: the files that the dataset must have been imported from, for config
                "published"; if None, the import that was prepared last is opened.

        Raises:
            ValueError: unknown config, or the dataset was made from something else or changed.
            FileNotFoundError: it has not been prepared, or there is no `published_dir`.
        """
        folder, made_from = _find(data_dir, config, seed, published_dir)
        if published_dir is not None:
            require_imported(folder, published_dir)
        return cls(open_dataset(folder, **made_from))

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits that have rows."""
        return tuple(name for name in SPLITS if name in self._dataset.splits)

    @property
    def forget_ids(self) -> dict[int, tuple[str, ...]]:
        """IDs to forget, by percent, as drawn when the benchmark was made."""
        found = self._dataset.record["forget_ids"]
        return {int(percent): tuple(ids) for percent, ids in found.items()}

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes of the scores."""
        return AXES

    def examples(self, split: str) -> Source[Example]:
        """Return the training pairs of a split as conversations, read when asked for."""
        return TrainingExamples(self.profiles(split))

    def profiles(self, split: str) -> Source[Profile]:
        """Return the rows of a split in the order of its source; they are read when asked for.

        Generated rows are sorted by ID. Published files may have any order, and what a seed draws
        from them depends on it.

        Raises:
            ValueError: an unknown split.
        """
        return self._dataset.rows(split, from_row)

    def profiles_of(self, split: str, ids: Collection[str]) -> Source[Profile]:
        """Return those rows of a split that have one of some IDs, in the order of the split."""
        numbers = [number for number, found in enumerate(self._ids(split)) if found in ids]
        return Picked(self.profiles(split), numbers)

    def ids(self, split: str) -> tuple[str, ...]:
        """Return the IDs of a split, sorted."""
        return tuple(sorted(self._ids(split)))


def _find(
    data_dir: str | Path, config: str, seed: int | None, published_dir: str | Path | None
) -> tuple[Path, dict[str, Any]]:
    """Return where a dataset lies, and what it must have been made from, by key of its record.

    An import lies in a folder that is named by the content of the published files, so that other
    files never take its place.
    """
    lookup(CONFIGS, config, "config of mllmu")
    home = Path(data_dir) / NAME / config
    made_from = {"config": config, "version": VERSION}
    if config != PUBLISHED:
        if published_dir is not None:
            raise ValueError(
                f"benchmark.published_dir is {str(published_dir)!r}, but benchmark.config is "
                f"{config!r}, which is generated; set benchmark.config to {PUBLISHED!r}, or leave "
                "published_dir empty"
            )
        if seed is not None:
            made_from["seed"] = seed
        return home / VERSION, made_from
    if published_dir is not None:
        source = source_digest(published_dir)
        return home / f"{VERSION}-{source[:16]}", {**made_from, "source": source}
    prepared = list(home.glob(f"{VERSION}-*/{RECORD}"))
    if not prepared:
        raise FileNotFoundError(
            f"{home}: nothing has been imported yet; run `python -m experiments.prepare` with "
            "config.benchmark.published_dir, the folder that holds Full_Set/, Test_Set/, "
            "Retain_Set/, ft_Data/, forget_5/ ... with their parquet files"
        )
    return max(prepared, key=lambda path: path.stat().st_mtime_ns).parent, made_from


def open_section(section: Mapping[str, Any]) -> Benchmark:
    """Open the benchmark of a section ``benchmark`` of a run's configuration, for a report.

    Where the published files are no longer on this machine, the import that was prepared last is
    opened: its fingerprint says whether it is the one of the run.
    """
    published = section["published_dir"] or None
    if published is not None and not Path(published).is_dir():
        published = None
    return Benchmark.open(
        section["data_dir"], section["config"], seed=section["seed"], published_dir=published
    )


def prepare(
    data_dir: str | Path,
    config: str = "small",
    *,
    seed: int = 0,
    published_dir: str | Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> Benchmark:
    """Make the dataset and its tokenizer unless they are there, and open it.

    Args:
        data_dir: root of the TFDS datasets.
        config: "small", "full" or "published".
        seed: of the generated configs.
        published_dir: the published parquet folders, for config "published"; if None, the import
            that was prepared last is opened.
        progress: called with a line of text at each stage.

    Raises:
        FileNotFoundError: there is no `published_dir`, or nothing was imported.
        ValueError: the dataset is there with another seed, or its source is faulty.
    """
    final, made_from = _find(data_dir, config, seed, published_dir)
    say = progress or (lambda message: None)

    def build_below(folder: Path) -> tuple[Path, dict]:
        splits, forget_ids = make_source(config, seed, published_dir, progress)
        say("writing the dataset")
        written, digest = build(splits, config, folder)
        say("training the tokenizer")
        taught = [row for name in SPLITS[:5] for row in splits.get(name, ())]
        train_tokenizer(taught, written / TOKENIZER)
        if config == PUBLISHED and source_digest(published_dir) != made_from["source"]:
            raise ValueError(
                f"{published_dir}: its files changed while they were read; run the command again"
            )
        return written, {
            "config": config,
            "version": VERSION,
            "seed": made_from.get("seed"),
            "source": made_from.get("source"),
            "fingerprint": digest,
            "forget_ids": {str(percent): list(ids) for percent, ids in forget_ids.items()},
            "versions": {name: importlib.metadata.version(name) for name in PINNED},
            "licences": _licences(config),
            "citation": CITATION,
        }

    build_dataset(final, build_below)
    dataset = open_dataset(final, **made_from)
    with contextlib.suppress(OSError):  # a disk that is read-only says nothing about the last one
        os.utime(final / RECORD)
    return Benchmark(dataset)


def _licences(config: str) -> dict[str, str]:
    if config == PUBLISHED:
        return {"data": "as published with MLLMU-Bench; the publisher states no licence"}
    return {
        "data": "generated; CC0 1.0 except for the parts below",
        "portraits": portraits.attribution(),
        "public figures": celebrities.SOURCE,
    }
