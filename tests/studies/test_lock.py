"""A folder has one writer: a living one is named, and a dead one is in nobody's way."""

import errno
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mllm.studies import lock
from mllm.studies.lock import FILE, hold

HOLDER = """
import sys
from pathlib import Path
from mllm.studies.lock import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds tmp_path / "study"."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path / "study"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def has_no_locks(monkeypatch) -> None:
    """Make the disk one without locks."""

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock.fcntl, "flock", refuse)


def test_a_folder_is_held_by_one_and_left_as_it_was(tmp_path):
    folder = tmp_path / "a" / "study"
    with hold(folder):
        with pytest.raises(ValueError, match=rf"study: in use by .*process {os.getpid()} on"):
            hold(folder).__enter__()
        with hold(folder / "run"):
            (folder / "run" / "kept").touch()
    assert [p.name for p in folder.rglob("*")] == ["run", "kept"]
    with hold(folder), hold(folder / "other" / "deep"):
        pass
    assert [p.name for p in folder.rglob("*")] == ["run", "kept"]
    with hold(tmp_path / "b" / "c"):
        pass
    assert not (tmp_path / "b").exists()


def test_a_body_that_fails_lets_go(tmp_path):
    with pytest.raises(KeyboardInterrupt), hold(tmp_path / "study"):
        raise KeyboardInterrupt
    with hold(tmp_path / "study"):
        pass


def test_a_living_process_is_named_and_a_killed_one_is_not_waited_for(tmp_path, holder):
    folder = tmp_path / "study"
    for disk in (has_no_locks, lambda patch: None):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(ValueError) as refused:
            disk(patch)
            hold(folder).__enter__()
        where = f"process {holder.pid} on {os.uname().nodename}"
        for part in (str(folder), where, "`python", "since"):
            assert part in str(refused.value)
        assert "delete" not in str(refused.value)
    holder.kill()
    holder.wait()
    assert (folder / FILE).exists()
    with hold(folder):
        assert json.loads((folder / FILE).read_text())["process"] == os.getpid()
    assert not (folder / FILE).exists()


def test_a_process_that_ends_gives_the_folder_back(tmp_path, holder):
    holder.communicate("")
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize("locks", [True, False], ids=["locks", "no locks"])
@pytest.mark.parametrize(
    "left", ["", "{", "[]", "{}", '{"machine": "MINE", "process": PID, "began": "another time"}']
)
def test_what_a_dead_process_left_is_taken_over(tmp_path, monkeypatch, left, locks):
    """Also if its number is that of another process by now, and if it was writing when it died."""
    if not locks:
        has_no_locks(monkeypatch)
    monkeypatch.setattr(lock, "SILENCE", 0.01)
    text = left.replace("MINE", lock._machine()).replace("PID", str(os.getpid()))
    (tmp_path / FILE).write_text(text)
    with hold(tmp_path):
        assert json.loads((tmp_path / FILE).read_text())["process"] == os.getpid()


@pytest.mark.parametrize("locks", [True, False], ids=["locks", "no locks"])
def test_a_holder_on_another_machine_lives_as_long_as_it_touches_the_file(
    tmp_path, monkeypatch, locks, capsys
):
    folder = tmp_path / "study"
    folder.mkdir()
    other = {"machine": "another", "host": "node7", "process": os.getpid(), "command": "python"}
    (folder / FILE).write_text(json.dumps(other))
    if not locks:
        has_no_locks(monkeypatch)
    beating = threading.Event()

    def beat():
        while not beating.wait(0.01):
            os.utime(folder / FILE)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        with pytest.raises(ValueError, match=r"on node7.*if it no longer runs, delete .*\.lock"):
            hold(folder).__enter__()
    finally:
        beating.set()
        thread.join()
    assert "on node7; looking for up to" in capsys.readouterr().err
    monkeypatch.setattr(lock, "SILENCE", 0.01)
    with hold(folder):
        assert json.loads((folder / FILE).read_text())["process"] == os.getpid()


def test_a_holder_touches_its_file(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "BEAT", 0.001)
    with hold(tmp_path):
        before = lock._touched(tmp_path / FILE)
        while lock._touched(tmp_path / FILE) == before:
            pass


@pytest.mark.parametrize("number", lock.READ_ONLY)
def test_reading_a_folder_that_cannot_be_written_takes_no_lock(tmp_path, monkeypatch, number):
    def refuse(path):
        raise OSError(number, "not for you", str(path))

    monkeypatch.setattr(lock, "_take", refuse)
    with hold(tmp_path):
        assert not (tmp_path / FILE).exists()


def test_other_errors_of_the_disk_are_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError), hold(tmp_path / "file"):
        pass


def test_a_lock_that_its_holder_removes_at_this_moment_is_made_anew(tmp_path, monkeypatch):
    real, removed = lock._lock, []

    def removing(file):
        found = real(file)
        if not removed:
            removed.append(True)
            (tmp_path / FILE).unlink()
        return found

    monkeypatch.setattr(lock, "_lock", removing)
    with hold(tmp_path):
        assert removed and json.loads((tmp_path / FILE).read_text())["process"] == os.getpid()
