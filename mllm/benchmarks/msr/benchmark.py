"""Making the data set on disk, and reading items and users when they are needed."""

import importlib.metadata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from mllm.benchmarks.dataset import Dataset, aloud, build_dataset, open_dataset
from mllm.benchmarks.msr.builder import CITATION, VERSION, build
from mllm.benchmarks.msr.draw import PACKAGE
from mllm.benchmarks.msr.generate import DRAWING, SIZES, generated_splits, make_world
from mllm.benchmarks.msr.negatives import draw_negatives
from mllm.benchmarks.msr.people import Habits, People
from mllm.benchmarks.msr.rows import (
    GALLERY,
    ITEMS,
    LOGS,
    SPLITS,
    Interaction,
    Item,
    Log,
    Row,
    User,
    digest,
    fingerprint,
    item_from,
    log_from,
    user_from,
)
from mllm.benchmarks.msr.texts import VOCABULARY, texts
from mllm.benchmarks.tokenizer import train_tokenizer
from mllm.data.source import Source
from mllm.files import read_json, write_json
from mllm.registry import lookup

NAME = "msr"
INDEX, TOKENIZER = "items.json", "tokenizer.json"
PINNED = (PACKAGE, "resvg-py", "pillow", "fonttools", "contourpy", "scipy", "numpy")
LICENCES = {
    "data": "generated; CC0 1.0",
    "fonts": f"subjects are outlines of Noto Emoji ({PACKAGE}), SIL Open Font License 1.1",
}


class Benchmark:
    """A finished data set; open it with `Benchmark.open` or make it with `prepare`.

    Attributes:
      folder: of the data set.
    """

    def __init__(self, dataset: Dataset):
        self.folder, self._dataset = dataset.folder, dataset

    @classmethod
    def open(
        cls, data_dir: str | Path, config: str = "tiny", *, seed: int | None = None
    ) -> "Benchmark":
        """Open the data set of a config.

        Args:
          seed: that the data set must have been made from; any if None.

        Raises:
          ValueError: unknown config, or the data set was made from something else or changed.
          FileNotFoundError: it has not been prepared.
        """
        made_from: dict[str, Any] = {"config": config, "version": VERSION, "drawing": DRAWING}
        made_from |= {} if seed is None else {"seed": seed}
        return cls(open_dataset(_folder(data_dir, config), **made_from))

    @property
    def config(self) -> str:
        """The builder config."""
        return self._dataset.record["config"]

    @property
    def fingerprint(self) -> str:
        """sha256 (hex) over the content of all rows, independent of how they are stored."""
        return self._dataset.fingerprint

    @property
    def tokenizer_path(self) -> Path:
        """The tokenizer trained on what the items say."""
        return self.folder / TOKENIZER

    @property
    def info(self) -> dict[str, Any]:
        """What the data were made from: config, seed, counts, versions, licences and citation."""
        left_out = ("schema", "files", "seal")
        return {key: value for key, value in self._dataset.record.items() if key not in left_out}

    @property
    def items(self) -> Source[Item]:
        """All items; each is read when it is asked for."""
        return self._dataset.rows(ITEMS, item_from)

    @property
    def gallery(self) -> Source[Item]:
        """Items that no user can take, to learn seeing from; imported data have none.

        Raises:
          ValueError: the data were imported.
        """
        return self._dataset.rows(GALLERY, item_from)

    def item(self, id: str) -> Item:
        """Return the item of an ID; ValueError where there is none."""
        return self.items[lookup(self._places, id, f"item of {self.folder}")]

    @property
    def item_ids(self) -> tuple[str, ...]:
        """The IDs of all items, in the order of `items`."""
        return tuple(self._places)

    @property
    def log_ids(self) -> tuple[str, ...]:
        """The IDs of the items that the log has: all but the cold ones."""
        return tuple(id for id in self._places if self.popularity[id])

    @cached_property
    def popularity(self) -> dict[str, int]:
        """How often the log has each item."""
        return read_json(self.folder / INDEX)

    def users(self, split: str) -> Source[User]:
        """Return the users of a split; each is read when it is asked for.

        Raises:
          ValueError: an unknown split.
        """
        lookup(dict.fromkeys(SPLITS), split, f"split of {self.folder}")
        return self._dataset.rows(split, user_from)

    @cached_property
    def log(self) -> tuple[Interaction, ...]:
        """What models may learn from, user by user, oldest first.

        It holds all interactions of users to train on, and the histories of the others; targets of
        validation and test are left out.
        """
        return tuple(
            Interaction(log.user, item, time)
            for log in self._logs.values()
            for item, time in zip(log.items, log.times, strict=True)
        )

    def sequence(self, user: str) -> tuple[str, ...]:
        """Return the items that the log has of a user, oldest first; ValueError if unknown."""
        return lookup(self._logs, user, f"user of {self.folder}").items

    def negatives_of(self, user: User, count: int, seed: int) -> tuple[str, ...]:
        """Return items that a user never took, other ones for other seeds.

        For users to train on they come from the items of the log: a cold item is right for none of
        these users, so a model would learn to tell it by that. For others, all items count.

        Args:
          count: how many; they are distinct.

        Raises:
          ValueError: there are fewer.
        """
        log = self._logs[user.id]
        taken = {*log.items, *log.left_out, *user.history, user.target}
        ids = self.log_ids if user.split == "train" else self.item_ids
        rule = self._dataset.record["negatives"]
        weights = self.popularity if rule == "popularity" else None
        name = f"{seed}/{user.split}/{user.id}"
        return draw_negatives(ids, taken, count, name, weights)

    def truth(self, user: User) -> dict[str, float]:
        """Return the true log-probability that each candidate is what a generated user takes next.

        The history is given, taste is not; so no ranking of the candidates is better on average.

        Raises:
          ValueError: the data were imported, and nobody knows.
        """
        expected = self.expected(user)
        return {id: expected[id] for id in user.candidates}

    def expected(self, user: User) -> dict[str, float]:
        """Return `truth` for all items that the user had not taken."""
        if self._people is None:
            raise ValueError(f"{self.folder}: imported data have no truth; only generated ones do")
        return self._people.next_item(user.history, late=user.split != "train")

    @cached_property
    def _places(self) -> dict[str, int]:
        return {id: place for place, id in enumerate(self.popularity)}

    @cached_property
    def _logs(self) -> dict[str, Log]:
        return {log.user: log for log in self._dataset.rows(LOGS, log_from)}

    @cached_property
    def _people(self) -> People | None:
        habits = self._dataset.record.get("habits")
        return None if habits is None else People(list(self.items), Habits(**habits))


def prepare(
    data_dir: str | Path,
    config: str = "tiny",
    *,
    seed: int = 0,
    processes: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> Benchmark:
    """Make the data set unless it is there, and open it.

    Args:
      data_dir: root of the TFDS data sets.
      config: a key of `SIZES`.
      seed: of items and users.
      processes: how many draw; as many as there are cores where None.
      progress: called with a line of text at each stage.

    Raises:
      ValueError: an unknown config, or the data set is there with another seed.
    """
    say = aloud(progress or (lambda message: None))

    def build_below(folder: Path) -> tuple[Path, dict]:
        sizes = SIZES[config]
        world = make_world(sizes, seed)
        say(f"drawing {sizes.items + sizes.gallery} pictures")
        splits = generated_splits(world, sizes, seed, processes=processes)
        written, digests = write_splits(splits, config, folder)
        record = {
            "config": config,
            "version": VERSION,
            "seed": seed,
            "drawing": DRAWING,
            "side": sizes.side,
            "habits": asdict(sizes.habits),
            "negatives": "uniform",
            "counts": {split: len(found) for split, found in digests.items()},
            "fingerprint": fingerprint(digests),
            "versions": {name: importlib.metadata.version(name) for name in PINNED},
            "licences": LICENCES,
            "citation": CITATION,
        }
        finish(written, world.items)
        return written, record

    build_dataset(_folder(data_dir, config), build_below)
    return Benchmark.open(data_dir, config, seed=seed)


def write_splits(
    splits: dict[str, Iterable[Row]], config: str, folder: Path
) -> tuple[Path, dict[str, list[str]]]:
    """Write the rows of all splits; return the data set's folder and the digests of its rows."""
    digests: dict[str, list[str]] = {}

    def noted(split: str, rows: Iterable[Row]) -> Iterator[Row]:
        digests[split] = []
        for row in rows:
            digests[split].append(digest(row))
            yield row

    written = build({split: noted(split, rows) for split, rows in splits.items()}, config, folder)
    return written, digests


def finish(folder: Path, items: list[Item]) -> None:
    """Write the index of the items and the tokenizer."""
    write_json(folder / INDEX, {item.id: item.popularity for item in items})
    train_tokenizer(texts(items), folder / TOKENIZER, VOCABULARY)


def summary(benchmark: Benchmark) -> list[str]:
    """Return lines that say what a data set holds."""
    counts = benchmark.info["counts"]
    cold = Counter(benchmark.popularity[user.target] == 0 for user in benchmark.users("test"))
    return [
        f"{counts[ITEMS]} items, {counts[ITEMS] - len(benchmark.log_ids)} of them cold",
        f"{len(benchmark.log)} interactions in the log",
        *(f"{split:<10} {counts[split]:6} users" for split in SPLITS),
        f"targets of test users: {cold[False]} warm, {cold[True]} cold",
    ]


def _folder(data_dir: str | Path, config: str) -> Path:
    lookup(SIZES, config, "config of msr")
    return Path(data_dir) / NAME / config / VERSION
