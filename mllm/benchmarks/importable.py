"""Data sets that are generated, or made of files that somebody has; made once, then opened."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from mllm.benchmarks.dataset import aloud, build_dataset, open_dataset
from mllm.benchmarks.prepared import Prepared
from mllm.registry import lookup

Say = Callable[[str], None]


class Importable(ABC, Prepared):
    """A finished data set; open it with `open` or make it with `prepare`.

    A benchmark names its configs, and generates the data sets of some of them.

    Attributes:
      name: of the benchmark, and of the folder of its data sets.
      version: of how rows are stored.
      generator: what else decides on the rows of a seed: values of the record by key.
      generated, importers: its configs, by where their data sets come from.
      imported: a module with `prepare_imported` and `open_imported`.
      options: makes the options of an import that are not given.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    generator: ClassVar[Mapping[str, Any]]
    generated: ClassVar[Collection[str]]
    importers: ClassVar[Collection[str]]
    imported: ClassVar[Any]
    options: ClassVar[Callable[[], Any]]

    @classmethod
    def open(
        cls,
        data_dir: str | Path,
        config: str = "tiny",
        *,
        seed: int | None = None,
        source: str | Path = "",
        options: Any = None,
    ) -> Self:
        """Open the data set of a config.

        Args:
          seed: that the data set must have been made from; any if None, and of imports.
          source: of an import: the folder that was imported. options: that it was imported with.

        Raises:
          ValueError: unknown config, or the data set was made from something else or changed.
          FileNotFoundError: it has not been prepared.
        """
        root = Path(data_dir) / cls.name
        if config in cls.importers:
            return cls(cls.imported.open_imported(root, config, source, options or cls.options()))
        made_from = {"config": config, "version": cls.version, **cls.generator}
        if seed is not None:
            made_from["seed"] = seed
        return cls(open_dataset(cls._folder(root, config), **made_from))

    @classmethod
    def prepare(
        cls,
        data_dir: str | Path,
        config: str = "tiny",
        *,
        seed: int = 0,
        source: str | Path = "",
        options: Any = None,
        processes: int | None = None,
        progress: Say | None = None,
    ) -> Self:
        """Make the data set unless it is there, and open it.

        Args:
          data_dir: root of the TFDS data sets.
          config: one that is generated or imported.
          seed: of everything that is generated.
          source: of an import: the folder with the files. options: what is done with them.
          processes: how many generate; as many as there are cores where None.
          progress: called with a line of text at each stage.

        Raises:
          ValueError: an unknown config, or the data set is there with another seed.
          FileNotFoundError: something to import, or a package to generate with, is missing.
        """
        root, say = Path(data_dir) / cls.name, aloud(progress or (lambda message: None))
        if config in cls.importers:
            options = options or cls.options()
            return cls(cls.imported.prepare_imported(root, config, source, options, say))

        def build(folder: Path) -> tuple[Path, dict]:
            written, record = cls.generate(config, seed, folder, processes, say)
            made_from = {"config": config, "version": cls.version, "seed": seed, **cls.generator}
            return written, {**made_from, **record}

        build_dataset(cls._folder(root, config), build)
        return cls.open(data_dir, config, seed=seed)

    @classmethod
    @abstractmethod
    def generate(
        cls, config: str, seed: int, folder: Path, processes: int | None, say: Say
    ) -> tuple[Path, dict[str, Any]]:
        """Write the data set of a config below a folder; return its own folder there, and what else
        its record holds, the fingerprint among it.
        """

    @classmethod
    def _folder(cls, root: Path, config: str) -> Path:
        known = dict.fromkeys((*cls.generated, *cls.importers))
        lookup(known, config, f"config of {cls.name}")
        return root / config / cls.version
