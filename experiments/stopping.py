"""Stop a command: the first Ctrl-C or SIGTERM ends it within seconds, the second one at once.

Python calls the handler of a signal in the main thread, between two of its own instructions, thus
not while that thread compiles or waits for a device. So Python also writes the number of a signal
into a pipe, and a thread that reads the pipe ends the process if the main thread has not.

Nothing is saved at a stop: files are whole at any moment, so a run continues from its last
checkpoint and an evaluation from its last reply.
"""

import contextlib
import os
import select
import shlex
import signal
import sys
import threading
from collections.abc import Iterator

# Seconds that the main thread has to close its files.
PATIENCE = 4.0
NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


class Stopped(KeyboardInterrupt):
    """Raised in the main thread by the first signal."""

    def __init__(self, number: int):
        super().__init__(NAMES[number])
        self.number = number


class _State:
    """How far a stop has come.

    Attributes:
      unwinds: whether ``Stopped`` is caught. quiet: whether another process prints.
      number: of the first signal. said: held once the message is printed.
    """

    unwinds = False
    quiet = False
    number: int | None = None
    said = threading.Lock()


def listen() -> None:
    """Watch for the signals that stop a command; call this from the main thread.

    A signal that is ignored, as SIGINT is in a job that a script starts with ``&``, stays ignored.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reader,), name="signals", daemon=True).start()
    handle()


def handle() -> None:
    """Let the signals raise ``Stopped``; again after a library has taken one for itself."""
    for number in NAMES:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise)


@contextlib.contextmanager
def unwinding() -> Iterator[None]:
    """End the process with 128 + the signal's number when ``Stopped`` reaches this block; outside
    of it, a signal ends the process where it is.
    """
    _State.unwinds = True
    try:
        yield
    except Stopped as stop:
        leave(128 + stop.number)
    finally:
        _State.unwinds = False


def be_quiet() -> None:
    """Leave it to another process of this launch to print."""
    _State.quiet = True


def leave(status: int) -> None:
    """End the process now, without waiting for other threads or calling exit handlers."""
    for stream in (sys.stdout, sys.stderr):
        # A full disk, a closed pipe; None if the shell closed it.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(status)


def _raise(number: int, _frame) -> None:
    if _State.number is not None:
        os._exit(128 + number)
    _State.number = number
    _say(number)
    if not _State.unwinds:
        leave(128 + number)
    raise Stopped(number)


def _watch(reader: int) -> None:
    """End the process if the main thread does not, or at a second signal."""
    number = _next(reader)
    _say(number)
    ready, _, _ = select.select([reader], [], [], PATIENCE)
    os._exit(128 + (_next(reader) if ready else number))


def _next(reader: int) -> int:
    while (number := os.read(reader, 1)[0]) not in NAMES:  # a signal of somebody else
        continue
    return number


def _say(number: int) -> None:
    """Say once what happens; not through ``sys.stderr``, which the signal may have interrupted."""
    if _State.quiet or not _State.said.acquire(blocking=False):
        return
    command = shlex.join(["python", *sys.orig_argv[1:]])
    text = (
        f"\nstopped by {NAMES[number]}: what is finished is kept. To go on, run the same command "
        f"again:\n  {command}\n"
    )
    with contextlib.suppress(OSError):
        os.write(2, text.encode(errors="replace"))
