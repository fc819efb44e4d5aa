"""One writer at a time in a folder, and who it is.

The writer locks the file ``.lock`` of the folder, which says who it is. The system gives the lock
back when the process ends, however it ends. Some disks that several machines share do not show such
a lock to the other machines, or have none at all. So the writer also touches the file every few
seconds, and on such a disk a file that nobody touches is that of a dead writer.
"""

import contextlib
import errno
import fcntl
import json
import os
import shlex
import socket
import sys
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Any

from mllm.parallel.launch import from_first, is_first
from mllm.studies.environment import command_line

FILE = ".lock"
BEAT = 5.0  # seconds between two touches
SILENCE = 30.0  # seconds without a touch after which a writer on another machine is dead
READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
PAUSE = 1.0  # seconds between two looks at a folder that another command holds


class InUse(ValueError):
    """A living command holds a folder.

    Attributes:
      folder: that it holds.
    """

    def __init__(self, folder: Path, message: str):
        super().__init__(message)
        self.folder = folder


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Be the only command that writes into a folder; all processes of a launch are one command.

    The folder is made, and removed again if nothing was written into it. One that cannot be written
    is not locked: to read it takes no lock, and a write fails by itself.

    Raises:
      InUse: a living command holds the folder; the message says which.
    """
    with contextlib.ExitStack() as stack:
        refused = ""
        if is_first():
            try:
                stack.enter_context(_held(Path(folder)))
            except BlockingIOError as error:
                refused = str(error)
        if refused := from_first(refused):
            raise InUse(Path(folder), refused)
        yield


@contextlib.contextmanager
def hold_when_free(folder: Path) -> Iterator[None]:
    """Be the only command that writes into a folder, as soon as no other one holds it."""
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(hold(folder))
                break
            except InUse:
                wait_for_one_of([folder])
        yield


def wait_for_one_of(folders: Collection[Path]) -> Path:
    """Return a folder that no other command holds, as soon as there is one."""
    while True:
        free = (str(folder) for folder in folders if not _is_held(folder))
        if found := from_first(next(free, "") if is_first() else ""):
            return Path(found)
        time.sleep(PAUSE)


def _is_held(folder: Path) -> bool:
    """Return whether a living command holds a folder; nothing is written or told."""
    try:
        file = (folder / FILE).open("r+", encoding="utf-8")
    except OSError:
        return False
    with file:
        locked, holder = _lock(file), _read(file)
        if locked is False:
            return True
        return holder is not None and _lives(holder, folder / FILE, locked, tell=False)


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file, mine = _take(folder / FILE)
    except OSError as error:
        if error.errno not in READ_ONLY:
            raise
        file, mine = None, None
    if file is None:
        yield
        return
    done = threading.Event()
    beating = threading.Thread(target=_beat, args=(file, done), daemon=True)
    beating.start()
    try:
        yield
    finally:
        done.set()
        beating.join()
        with contextlib.suppress(OSError), file:
            if _is_at(file, folder / FILE) and _read(file) == mine:
                (folder / FILE).unlink()
            for path in made:
                path.rmdir()  # fails where something was written


def _take(path: Path) -> tuple[IO[str], dict[str, Any]]:
    """Return the open file of a lock that is now ours, and what stands in it.

    Raises:
      BlockingIOError: a living command holds it.
    """
    while True:
        file = path.open("a+", encoding="utf-8")
        try:
            locked = _lock(file)
            if locked is not False and not _is_at(file, path):
                file.close()  # the command that held it has just removed it
                continue
            holder = _read(file)
            if locked is False or (holder is not None and _lives(holder, path, locked)):
                raise BlockingIOError(_refusal(path, holder))
            return file, _write(file)
        except BaseException:
            file.close()
            raise


def _lock(file: IO[str]) -> bool | None:
    """Return whether the lock of a file is ours now; None where the disk has no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return None
    return True


def _is_at(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def _read(file: IO[str]) -> dict[str, Any] | None:
    """Return who holds a lock, None if the file does not say."""
    file.seek(0)
    try:
        found = json.loads(file.read())
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None
    return found if isinstance(found, dict) else None


def _write(file: IO[str]) -> dict[str, Any]:
    file.truncate(0)
    since = time.strftime("%Y-%m-%d %H:%M:%S %z")
    mine = {
        "command": command_line(),
        "process": os.getpid(),
        "began": _beginning(os.getpid()),
        "host": socket.gethostname(),
        "machine": _machine(),
        "since": since,
    }
    json.dump(mine, file)
    file.flush()
    os.fsync(file.fileno())
    return mine


def _refusal(path: Path, holder: dict[str, Any] | None) -> str:
    if holder is None:
        who = "another command"
    else:
        command, process, host, since = (
            holder.get(key, "?") for key in ("command", "process", "host", "since")
        )
        who = f"`{command}`, process {process} on {host}, since {since}"
    other = holder is not None and holder.get("machine") != _machine()
    hint = f"; if it no longer runs, delete {shlex.quote(str(path))}" if other else ""
    return (
        f"{path.parent}: in use by {who}. Two commands cannot write into one folder: wait until "
        f"that one has ended, or choose another --workdir{hint}"
    )


def _lives(holder: dict[str, Any], path: Path, locked: bool | None, *, tell: bool = True) -> bool:
    """Return whether the writer that a lock names is still there.

    Args:
      locked: whether the system gave us the lock; None if it cannot.
      tell: whether to say that it takes a while to find out.
    """
    if holder.get("machine") == _machine():  # where the system knows
        began = None if locked else _beginning(holder.get("process", 0))
        return began is not None and began == holder.get("began")
    if tell:
        print(
            f"{path.parent}: was held by process {holder.get('process')} on {holder.get('host')}; "
            f"looking for up to {SILENCE:.0f} s whether it is alive",
            file=sys.stderr,
            flush=True,
        )
    before, until = _touched(path), time.monotonic() + SILENCE
    while time.monotonic() < until:
        if _touched(path) != before:
            return True
        time.sleep(min(1.0, SILENCE / 10))
    return False


def _touched(path: Path) -> int:
    """Return when a file was touched; a network disk is asked again when the file is opened."""
    with path.open("rb") as file:
        return os.fstat(file.fileno()).st_mtime_ns


def _beat(file: IO[str], done: threading.Event) -> None:
    while not done.wait(BEAT):
        with contextlib.suppress(OSError):
            os.utime(file.fileno())


def _machine() -> str:
    """Return what processes that know each other by their numbers have in common."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def _beginning(process: int) -> str | None:
    """Return when a process began, which tells it from an older one of the same number; None if
    there is no such process.
    """
    try:
        told = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
        return told.rpartition(")")[2].split()[19]  # ticks since the machine was started
    except OSError:
        pass
    try:
        os.kill(process, 0)
    except (OSError, OverflowError):
        return None
    return ""
