"""What the operating system refuses, in a line: the file or disk, the reason, and what to do."""

import errno
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

ALMOST_FULL = 2**26  # free bytes
ELSEWHERE = "choose another folder (experiments.evaluate takes a --workdir for its results)"
AGAIN = "then run the same command again: it continues"
# What to do about the refusals that a user can do something about.
REMEDIES = {
    errno.ENOSPC: f"make room there, {AGAIN}",
    errno.EDQUOT: f"your quota there is used up: delete files or ask for more, {AGAIN}",
    errno.EFBIG: f"raise the limit on the size of files (ulimit -f), {AGAIN}",
    errno.EACCES: f"you may not do this there: change the permissions, or {ELSEWHERE}",
    errno.EPERM: f"you may not do this there: change the permissions, or {ELSEWHERE}",
    errno.EROFS: f"nothing can be written there: {ELSEWHERE}",
    errno.ENOTDIR: "a file stands where a folder is needed: choose another path, or move the file",
    errno.EISDIR: "a folder stands where a file is needed: choose another path, or move the folder",
    errno.EEXIST: "it is in the way: choose another path, or move it",
    errno.ELOOP: "the links there lead in a circle: mend them",
    errno.ENAMETOOLONG: "choose a shorter path",
    errno.EMFILE: f"allow more open files (ulimit -n 4096), {AGAIN}",
    errno.ENFILE: f"the machine has too many open files: close other programs, {AGAIN}",
    errno.ENOMEM: f"the machine has no memory left: close other programs, {AGAIN}",
    errno.ESTALE: f"the shared disk replaced this file or was mounted anew: look there, {AGAIN}",
    errno.EIO: f"the disk could not read or write: check it, {AGAIN}",
    errno.ENOTCONN: f"the disk is not connected: mount it, {AGAIN}",
    errno.EHOSTDOWN: f"the machine with the disk does not answer: wait for it, {AGAIN}",
    errno.ETIMEDOUT: f"no answer in time: wait, {AGAIN}",
    errno.ENOLCK: "this disk cannot lock files: choose a folder on another disk",
    errno.EPIPE: f"the program that read the output has ended: write the output to a file, {AGAIN}",
}
# Libraries in C++ and Rust raise errors of their own with the system's words; NumPy counts.
WORDS = {
    **{os.strerror(code).lower(): code for code in REMEDIES},
    "disk quota exceeded": errno.EDQUOT,
    " requested and ": errno.ENOSPC,
}


def refusal(error: BaseException, folders: Iterable[Path] = ()) -> str | None:
    """Return the message for an error that the operating system caused, None for any other.

    Args:
      error: the system's error may be its cause, or what was handled when it was raised; an error
        of another library may only quote the system. Its notes say how much room is needed.
      folders: where the command writes, for errors that name no file.
    """
    chain = list(_chain(error))
    for link in chain:
        code, path = _refused(link)
        if code is None:
            continue
        path = path or next((str(f) for f in folders if _fits(code, f)), None)
        reason = os.strerror(code)
        if code in (errno.EEXIST, errno.ENOTDIR) and path:
            code, path = errno.ENOTDIR, _in_the_way(Path(path)) or path
            reason = "is not a folder"
        where = f"{path}: {reason}" if path else reason
        if code == errno.ENOSPC and path:
            where += f" ({_room(Path(path))})"
        notes = [note for other in chain for note in getattr(other, "__notes__", ())]
        remedy = [REMEDIES[code]] if code in REMEDIES else []
        return "; ".join([where, *dict.fromkeys(notes), *remedy])
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it came from; a ValueError says itself what is wrong."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        link = waiting.pop(0)
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        if not isinstance(link, ValueError):
            context = None if link.__suppress_context__ else link.__context__
            waiting += [*getattr(link, "exceptions", ()), link.__cause__, context]


def _refused(error: BaseException) -> tuple[int | None, str | None]:
    """Return (errno, path) of what the system refused, each None if it is not known."""
    if isinstance(error, OSError) and error.errno in errno.errorcode:
        named = error.filename2 or error.filename
        return error.errno, None if named is None else os.fsdecode(named)
    text = str(error)
    for words, code in WORDS.items():
        if words in text.lower():
            path = re.search(r"(?<![\w:/])/[^\s\"':\]]+", text)
            return code, path and path[0]
    return None, None


def _fits(code: int, folder: Path) -> bool:
    """Return whether an error that names no file may be of a folder: it may be of the output."""
    return code != errno.EPIPE and (code != errno.ENOSPC or _usage(folder).free < ALMOST_FULL)


def _in_the_way(path: Path) -> str | None:
    """Return the part of a path that is a file, None if there is none."""
    return next((str(p) for p in (path, *path.parents) if p.exists() and not p.is_dir()), None)


def _room(path: Path) -> str:
    """Return how full the disk is that a path lies on, or would."""
    disk, usage = _folder_of(path).resolve(), _usage(path)
    while not disk.is_mount():
        disk = disk.parent
    return f"{_megabytes(usage.free)} of {_megabytes(usage.total)} are free on the disk at {disk}"


def _usage(path: Path):
    return shutil.disk_usage(_folder_of(path))


def _folder_of(path: Path) -> Path:
    """Return the folder in which a path lies or would lie, as far as it exists."""
    return next(p for p in (path, *path.absolute().parents) if p.is_dir())


def _megabytes(size: int) -> str:
    """Return a number of bytes for people."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
