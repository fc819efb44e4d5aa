"""What a folder's record says of its files: ``run.json`` of a run, ``digests.json`` of a model that
was saved.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mllm.checkpoints.contents import below, digests_of
from mllm.checkpoints.orbax import DIGESTS, steps_in
from mllm.files import read_run, read_sealed, write_sealed

RUN, SAVED = "run.json", DIGESTS
ORIGIN = "huggingface"
_SMALL = (".json", ".jinja")


@dataclass(frozen=True)
class Record:
    """What a record holds.

    Attributes:
      path: of the record.
      files: digests of the folder's small files, and of the list of digests of its checkpoint.
      weights: ``checkpoint_digest``, None where only the files are known.
    """

    path: Path
    files: Mapping[str, str]
    weights: str | None = None

    @property
    def step(self) -> int | None:
        """The step of the checkpoint that holds the weights; None if the record names none."""
        steps = [Path(name).parts[1] for name in self.files if name.startswith("checkpoints/")]
        return int(steps[0]) if steps else None


def read_record(folder: Path) -> Record | None:
    """Return the record of a finished run or of a saved model; None if the folder has none.

    Raises:
      ValueError: the record was changed or damaged; the message names it.
    """
    path = folder / RUN
    if path.is_file():
        found = read_run(path)
        if found.get("status") != "finished":
            return None
        return Record(path, found.get("files", {}), found.get("checkpoint_digest"))
    path = folder / SAVED
    return Record(path, read_sealed(path)["files"]) if path.is_file() else None


def small_files(folder: Path) -> dict[str, str]:
    """Return the digests of all small files that a model's answers depend on, by their names: its
    description, its processor, the files of its origin, and the list that the last checkpoint has
    of its own files.
    """
    found = [p for p in folder.iterdir() if p.suffix in _SMALL and p.name not in (RUN, SAVED)]
    found += [p for p in (folder / ORIGIN).rglob("*") if p.is_file()]
    steps = steps_in(folder / "checkpoints")
    if steps and (listed := folder / "checkpoints" / str(max(steps)) / DIGESTS).is_file():
        found.append(listed)
    names = sorted(path.relative_to(folder).as_posix() for path in found)
    return digests_of(below(folder, names))


def write_saved(folder: Path) -> None:
    """Write the record of a model that is no run."""
    write_sealed(folder / SAVED, {"schema": 1, "files": small_files(folder)})
