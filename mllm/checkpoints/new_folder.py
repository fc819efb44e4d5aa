"""Folders that are complete or absent, written by all processes together."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from mllm.parallel.launch import is_first, wait_for_all


def require_new(folder: Path) -> None:
    """Check that a folder can be written.

    Raises:
      ValueError: it exists and is not empty.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder}: exists already; name a new folder")


@contextlib.contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder, the same for all processes, that becomes ``folder`` on success.

    On failure it is removed. If ``folder`` is a link, the folder that it leads to is written.

    Raises:
      ValueError: ``folder`` exists and is not empty.
    """
    require_new(folder)
    folder = Path(os.path.realpath(folder))
    temporary = folder.with_name(f".{folder.name}.writing")
    if is_first():
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
    wait_for_all(f"begin {folder}")
    try:
        yield temporary
        if is_first():
            if folder.is_dir():
                folder.rmdir()
            os.replace(temporary, folder)
    finally:
        if is_first():
            shutil.rmtree(temporary, ignore_errors=True)
    wait_for_all(f"end {folder}")
