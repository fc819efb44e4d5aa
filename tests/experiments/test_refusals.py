"""What the system refuses is a line with the place, the reason and what to do."""

import errno
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.refusals import REMEDIES, refusal

ROOT = Path(__file__).parents[2]


def raised(raise_) -> BaseException:
    try:
        raise_()
    except BaseException as error:
        return error


def while_handling(error: Exception) -> None:
    try:
        raise error
    except OSError:
        raise RuntimeError("the writer failed")  # noqa: B904


def instead_of(error: Exception) -> None:
    try:
        raise error
    except OSError as cause:
        raise ValueError("run.json: cannot be read; copy it again") from cause


def test_every_refusal_names_the_place_the_reason_and_what_to_do(tmp_path):
    for code in set(REMEDIES) - {errno.EEXIST, errno.ENOTDIR}:
        found = refusal(OSError(code, os.strerror(code), str(tmp_path / "x")))
        assert found.startswith(f"{tmp_path / 'x'}: {os.strerror(code)}")
        assert found.endswith(f"; {REMEDIES[code]}")


@pytest.mark.parametrize(
    "raise_",
    [
        lambda path: path.joinpath("none").read_bytes(),
        lambda path: path.read_bytes(),
        lambda path: path.joinpath("file", "x").mkdir(parents=True),
        lambda path: path.joinpath("x" * 300).write_bytes(b""),
        lambda path: path.joinpath("circle").read_bytes(),
    ],
)
def test_what_the_system_really_refuses(tmp_path, raise_):
    (tmp_path / "file").touch()
    (tmp_path / "circle").symlink_to("circle")
    found = refusal(raised(lambda: raise_(tmp_path)))
    assert found.startswith(f"{tmp_path}") and os.linesep not in found


def test_the_file_that_stands_in_the_way_is_named(tmp_path):
    (tmp_path / "file").touch()
    for path in ("file", "file/runs", "file/runs/base"):
        error = raised((tmp_path / path).mkdir)
        assert refusal(error).startswith(f"{tmp_path / 'file'}: is not a folder; ")


FULL = "No space left on device"


@pytest.mark.parametrize(
    "error, start",
    [
        (OSError(errno.ENOSPC, FULL, "/dev/shm/x/y"), f"/dev/shm/x/y: {FULL} ("),
        (OSError(errno.ENOSPC, FULL), FULL),  # of the output, as the disk has room
        (OSError("1024 requested and 512 written"), FULL),
        # TensorStore, safetensors and Riegeli quote the system.
        (
            ValueError(f'RESOURCE_EXHAUSTED: Error writing "a" in "/dev/shm/x/": {FULL} [28]'),
            f"/dev/shm/x/: {FULL} (",
        ),
        (Exception(f"Error while serializing: I/O error: {FULL} (os error 28)"), FULL),
        (RuntimeError("open failed: Too many open files"), "/dev/shm/run: Too many open files; "),
        (ExceptionGroup("", [KeyError("x"), OSError(errno.EIO, "")]), "/dev/shm/run: Input/output"),
        (raised(lambda: while_handling(OSError(errno.ESTALE, "", "/dev/shm/z"))), "/dev/shm/z: "),
    ],
)
def test_a_refusal_is_found_behind_what_a_library_raises(error, start):
    assert refusal(error, [Path("/dev/shm/run")]).startswith(start)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("model.json: key 'lora' is missing"),
        FileNotFoundError("x: no such file; make it first"),
        RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 123 bytes"),  # of a device
        KeyError("x"),
        raised(lambda: instead_of(OSError(errno.EIO, ""))),
    ],
)
def test_other_errors_speak_for_themselves(error):
    assert refusal(error, [Path("/dev/shm")]) is None


def test_notes_say_how_much_room_is_needed():
    error = OSError(errno.ENOSPC, FULL, "/dev/shm/x")
    error.add_note("a checkpoint takes up to 1.0 GB")
    outer = RuntimeError("save failed")
    outer.__cause__ = error
    assert "; a checkpoint takes up to 1.0 GB; make room there" in refusal(outer)


PRINT = """
import sys, threading
sys.argv = sys.argv[:1]
from experiments.common import run
def main(_):
    {work}
run(main)
"""
CASES = {
    # stdout that is full, that nobody reads, and that knows no such characters
    "print('x' * 10)": (">/dev/full", 2, "error: No space left on device; make room"),
    "[print('x' * 99) for _ in range(9999)]": ("| head -1", 2, "error: Broken pipe"),
    "print('Z\\xfcrich \\u2603 \\udcff')": ("PYTHONIOENCODING=ascii", 0, "Z?rich ? ?\n"),
    "print('Z\\xfcrich \\u2603')": ("LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0", 0, "Z?rich ?\n"),
    "print('x'); raise ValueError('said')": (">&-", 2, "error: said"),
    # an error of a thread that nobody waits for, while the main thread waits for it
    "threading.Thread(target=open, args=['/']).start(); threading.Event().wait()": (
        "",
        2,
        "error: /: Is a directory",
    ),
}


@pytest.mark.thorough
@pytest.mark.parametrize("work", CASES)
def test_a_command_ends_with_a_line(work):
    how, status, message = CASES[work]
    command = shlex.join([sys.executable, "-c", PRINT.format(work=work)])
    line = f"{how} {command}" if "=" in how else f"{command} {how}"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == status, done.stderr
    assert message in done.stderr + done.stdout and "Traceback" not in done.stderr
