"""Signals: where the main thread is, how many come, and what was ignored before."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
START = """
import signal, sys, time
{before}
sys.argv = ["-m"]  # as while Python looks for a command
from experiments import stopping
stopping.PATIENCE = {patience}
"""
# What the main thread does: nothing that would be caught; work that ends well; work that goes on
# whatever is raised, as a compiler does.
BARE = """
print("ready", flush=True)
while True:
    time.sleep(1)
"""
WORKS = """
with stopping.unwinding():
    try:
        print("ready", flush=True)
        while True:
            time.sleep(1)
    finally:
        print("closed", flush=True)
"""
STUCK = """
with stopping.unwinding():
    said = "ready"
    while True:
        try:
            print(said, flush=True)
            while True:
                time.sleep(1)
        except BaseException:
            said = "goes on"
"""


def stopped(work: str, *signals: int, patience: float = 600, before: str = "") -> tuple:
    """(exit status, stdout, stderr) of a process that got signals, one after it answered another.

    With more patience than anybody has, only what happens at once can end the process.
    """
    code = START.format(patience=patience, before=before) + work
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    told = []
    for number in signals:
        told.append(process.stdout.readline())  # it is there, or has taken the one before
        process.send_signal(number)
    out, err = process.communicate(timeout=120)
    return process.returncode, "".join(told) + out, err


@pytest.mark.parametrize(
    "work, signals, patience, status, printed",
    [
        (BARE, [signal.SIGINT], 600, 130, "ready\n"),
        (BARE, [signal.SIGTERM], 600, 143, "ready\n"),
        (WORKS, [signal.SIGINT], 600, 130, "ready\nclosed\n"),
        (WORKS, [signal.SIGTERM], 600, 143, "ready\nclosed\n"),
        (STUCK, [signal.SIGINT], 0.1, 130, "ready\ngoes on\n"),
        (STUCK, [signal.SIGTERM], 0.1, 143, "ready\ngoes on\n"),
        (STUCK, [signal.SIGINT, signal.SIGINT], 600, 130, "ready\ngoes on\n"),
        (STUCK, [signal.SIGINT, signal.SIGTERM], 600, 143, "ready\ngoes on\n"),
    ],
)
def test_a_signal_ends_a_command_and_says_how_to_go_on(work, signals, patience, status, printed):
    found, out, err = stopped(work, *signals, patience=patience)
    assert (found, out) == (status, printed)
    name = "SIGTERM" if signals[0] == signal.SIGTERM else "Ctrl-C"
    assert (
        err.count(f"stopped by {name}") == 1 and "run the same command again:\n  python -c" in err
    )
    assert "Traceback" not in err


def test_a_signal_that_is_ignored_stays_ignored():
    ignore = "signal.signal(signal.SIGINT, signal.SIG_IGN)"
    work = "signal.raise_signal(signal.SIGINT)" + WORKS
    found, out, err = stopped(work, signal.SIGTERM, before=ignore)
    assert (found, out) == (143, "ready\nclosed\n")
    assert "Ctrl-C" not in err


def test_importing_a_command_takes_no_signal():
    code = "import experiments, signal; print(signal.getsignal(signal.SIGTERM).name)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "SIG_DFL\n"
