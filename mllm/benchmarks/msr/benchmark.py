"""Making the data set on disk, and reading items and users when they are needed."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from mllm.benchmarks.dataset import Dataset, aloud, build_dataset, open_dataset, require_imported
from mllm.benchmarks.importing import noted
from mllm.benchmarks.msr.builder import CITATION, VERSION, build
from mllm.benchmarks.msr.generate import DRAWING, SIZES
from mllm.benchmarks.msr.generated import read_generated
from mllm.benchmarks.msr.imported import read_import, source_digest
from mllm.benchmarks.msr.importers import IMPORTERS
from mllm.benchmarks.msr.negatives import Negatives, pools
from mllm.benchmarks.msr.options import Options
from mllm.benchmarks.msr.people import Habits, People
from mllm.benchmarks.msr.rows import (
    GALLERY,
    ITEMS,
    LOGS,
    SPLITS,
    Interaction,
    Item,
    Log,
    User,
    digest,
    fingerprint,
    item_from,
    log_from,
    user_from,
)
from mllm.benchmarks.msr.texts import VOCABULARY, texts
from mllm.benchmarks.prepared import Prepared
from mllm.benchmarks.tokenizer import TOKENIZER, train_tokenizer
from mllm.data.source import Source
from mllm.files import read_json, write_json
from mllm.registry import lookup

NAME = "msr"
INDEX = "items.json"


class Benchmark(Prepared):
    """A finished data set; open it with `Benchmark.open` or make it with `prepare`."""

    sizes = ("side", "counts", "habits", "options", "steps", "flaws", "numbers")

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
          seed: that the data set must have been made from; of generated data any if None.
          source: of an import: the folder that was imported. options: that it was imported with.

        Raises:
          ValueError: unknown config, or the data set was made from something else or changed.
          FileNotFoundError: it has not been prepared.
        """
        made_from: dict[str, Any] = {"config": config, "version": VERSION}
        if config in IMPORTERS:
            made_from["source"] = source_digest(config, source, options or Options())
            folder = _folder(data_dir, config, seed or 0, made_from["source"])
            require_imported(folder, source)
        else:
            folder = _folder(data_dir, config, seed)
            made_from |= {"drawing": DRAWING} | ({} if seed is None else {"seed": seed})
        return cls(open_dataset(folder, **made_from))

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

        For users to train on they come from the items of the log, for others from all items (see
        `negatives.pools`).

        Args:
          count: how many; they are distinct.

        Raises:
          ValueError: there are fewer.
        """
        log = self._logs[user.id]
        taken = {*log.items, *log.left_out, *user.history, user.target}
        learned, tested = self._pools
        pool = learned if user.split == "train" else tested
        return pool.draw(taken, count, f"more/{seed}/{user.split}/{user.id}")

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
    def _pools(self) -> tuple[Negatives, Negatives]:
        return pools(self._dataset.record["negatives"], self.item_ids, self.popularity)

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
    source: str | Path = "",
    options: Options | None = None,
    processes: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> Benchmark:
    """Make the data set unless it is there, and open it.

    Args:
      data_dir: root of the TFDS data sets.
      config: a key of `SIZES`, or of `importers.IMPORTERS`.
      seed: of what is generated; of an import, of the split and the negatives.
      source: of an import: the folder with the files.
      options: of an import: what is done with the interactions.
      processes: how many draw; as many as there are cores where None.
      progress: called with a line of text at each stage.

    Raises:
      ValueError: an unknown config, or the data set is there with another seed; or what is
        imported cannot be used.
      FileNotFoundError: something to import is missing.
    """
    say, options = aloud(progress or (lambda message: None)), options or Options()
    digest_of_source = source_digest(config, source, options) if config in IMPORTERS else ""

    def build_below(folder: Path) -> tuple[Path, dict]:
        if config in IMPORTERS:
            splits, more = read_import(config, source, options, seed, say)
            more["source"] = digest_of_source
        else:
            splits, more = read_generated(config, seed, processes, say)
        digests: dict[str, list[str]] = {}
        written = build(noted(splits, digest, digests), config, folder)
        if config in IMPORTERS and source_digest(config, source, options) != digest_of_source:
            raise ValueError(f"{source}: changed while it was read; run the command again")
        record = {
            "config": config,
            "version": VERSION,
            "seed": seed,
            **more,
            "counts": {split: len(found) for split, found in digests.items()},
            "fingerprint": fingerprint(digests),
            "citation": CITATION,
        }
        items = Dataset(written, record).rows(ITEMS, item_from)
        write_json(written / INDEX, {item.id: item.popularity for item in items})
        train_tokenizer(texts(items), written / TOKENIZER, VOCABULARY)
        return written, record

    build_dataset(_folder(data_dir, config, seed, digest_of_source), build_below)
    return Benchmark.open(data_dir, config, seed=seed, source=source, options=options)


def _folder(data_dir: str | Path, config: str, seed: int | None, source: str = "") -> Path:
    lookup({**SIZES, **IMPORTERS}, config, "config of msr")
    root = Path(data_dir) / NAME / config
    return root / f"{source[:16]}-{seed}" / VERSION if source else root / VERSION
