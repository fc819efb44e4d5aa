"""Processes of joblib that help to make a data set."""

import contextlib
import os
import signal
from collections.abc import Iterator

from joblib.externals.loky import get_reusable_executor


@contextlib.contextmanager
def ending_workers() -> Iterator[None]:
    """Let the processes that joblib starts in this block end with it, and let no Ctrl-C reach them.

    A terminal sends Ctrl-C to them too, and each would print where it was. They inherit which
    signals the main thread blocks; another thread of this process receives the signal.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    warnings = os.environ.get("PYTHONWARNINGS")
    # joblib's tracker removes what a process leaves that ends at once, and need not say so.
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, [warnings, "ignore:resource_tracker"]))
    try:
        yield
    finally:
        if warnings is None:
            del os.environ["PYTHONWARNINGS"]
        else:
            os.environ["PYTHONWARNINGS"] = warnings
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        get_reusable_executor().shutdown(wait=True, kill_workers=True)
