"""The files of a folder of photographs, and of the folders in it."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Passed:
    """A file or folder that was passed over, and why."""

    name: str
    reason: str


def find_files(folder: Path, but: Path) -> tuple[list[Path], list[Passed]]:
    """Return the files below a folder, sorted folder by folder, and what cannot be looked into.

    Names that begin with a dot are hidden and left out. Links to folders are not followed, because
    they may lead in a circle.

    Args:
      folder: or a single file.
      but: a folder that is left out: that of the results.

    Raises:
      FileNotFoundError: there is no such folder.
    """
    if folder.is_file():
        return [folder], []
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; give a folder of photographs")
    found: list[Path] = []
    passed: list[Passed] = []

    def failed(error: OSError) -> None:
        where = Path(error.filename)
        passed.append(Passed(name_of(where, folder) + "/", f"cannot be opened ({error.strerror})"))

    for place, folders, names in os.walk(folder, onerror=failed):
        here, entered = Path(place), []
        for name in sorted(folders):
            if name.startswith(".") or (here / name).resolve() == but.resolve():
                continue
            if (here / name).is_symlink():
                reason = "a link to a folder; links are not followed"
                passed.append(Passed(name_of(here / name, folder) + "/", reason))
            else:
                entered.append(name)
        folders[:] = entered
        found += [here / name for name in sorted(names) if not name.startswith(".")]
    return found, passed


def name_of(path: Path, folder: Path) -> str:
    """Return a path from a folder as text that any file can hold; a byte that is not UTF-8 becomes
    its number.
    """
    inside = path.relative_to(folder) if path != folder else Path(path.name)
    return os.fsencode(inside.as_posix()).decode("utf-8", "backslashreplace")
