"""Files on disk: whole or absent, clean after a kill, and sealed where a number depends on them."""

import copy
import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from mllm.files import (
    file_digest,
    file_digests,
    is_sealed,
    read_json,
    read_sealed,
    replacing,
    require_file,
    seal,
    write_json,
    write_sealed,
)

VALUE = {
    "text": "Ä “quoted”",
    "number": 0.1 + 0.2,
    "tiny": -1e-300,
    "count": 3,
    "none": None,
    "list": [1, [2.5, "a"], {"deep": True}],
}


def changes(value):
    """Yield every value that differs from a JSON value in one leaf or one key."""
    if isinstance(value, dict):
        for key in value:
            yield {k: v for k, v in value.items() if k != key}
            yield from ({**value, key: changed} for changed in changes(value[key]))
        yield {**value, "new": 1}
    elif isinstance(value, list):
        for place in range(len(value)):
            yield value[:place] + value[place + 1 :]
            for changed in changes(value[place]):
                yield [*value[:place], changed, *value[place + 1 :]]
    elif isinstance(value, bool) or value is None:
        yield "other"
    elif isinstance(value, str):
        yield value + " "
    else:
        yield value * 2 + 1


def test_every_change_of_a_sealed_file_is_noticed_by_name(tmp_path):
    path = tmp_path / "record.json"
    write_sealed(path, VALUE)
    assert read_sealed(path) == VALUE
    whole = read_json(path)
    changed = list(changes(copy.deepcopy(whole)))
    assert len(changed) > 15 and whole not in changed
    for one in changed:
        write_json(path, one)
        with pytest.raises(ValueError, match=r"record\.json: (was changed|has no key 'seal')"):
            read_sealed(path)


def test_a_seal_holds_in_its_context_only():
    whole = json.loads(json.dumps(seal(VALUE, {"weights": "a"}, 1)))
    assert is_sealed(whole, {"weights": "a"}, 1)
    assert not is_sealed(whole, {"weights": "b"}, 1) and not is_sealed(whole)
    assert is_sealed(dict(reversed(whole.items())), {"weights": "a"}, 1)  # order says nothing


def test_threads_may_write_the_same_file_at_once(tmp_path):
    path, both = tmp_path / "report.html", Barrier(2)

    def write(text: str) -> None:
        with replacing(path) as temporary:
            temporary.write_text(text)
            both.wait(timeout=60)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, ("one", "other")))
    assert path.read_text() in ("one", "other")
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    path = tmp_path / "report[1].html"
    mine = tmp_path / f".report[1].html.{dead.pid}.tmp"
    living = tmp_path / f".report[1].html.{os.getppid()}.tmp"
    other = tmp_path / f".report2.html.{dead.pid}.tmp"
    for left in (mine, living, other):
        left.write_text("half")
    with replacing(path) as temporary:
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert not mine.exists() and living.exists() and other.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 3\n", "Git LFS pointer"),
        (b"/annex/objects/MD5-s3--12", "git-annex pointer"),
        (b"<!DOCTYPE HTML>\n", "web page"),
        (b"\n  <html lang='en'>", "web page"),
    ],
)
def test_what_stands_in_the_place_of_a_file_is_named(tmp_path, content, message):
    path = tmp_path / "weights"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"weights: is a {message}"):
        require_file(path)


@pytest.mark.parametrize("content", [b"", b"{}", b"version 1", b"<|end|>", bytes(200), b"\xff" * 9])
def test_files_of_any_content_and_links_to_them_are_taken(tmp_path, content):
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_bytes(content)
    link.symlink_to(path)
    assert require_file(path) == path and require_file(link) == link
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"link: is a link to .*file, which is not there"):
        require_file(link)
    with pytest.raises(FileNotFoundError, match=r"file: no such file"):
        require_file(path)


def test_digests_are_those_of_the_whole_content(tmp_path):
    contents = {size: os.urandom(size) for size in (0, 1, 2**20 - 1, 2**20, 2**20 + 1, 3 * 2**20)}
    paths = {tmp_path / str(size): content for size, content in contents.items()}
    for path, content in paths.items():
        path.write_bytes(content)
    expected = {path: hashlib.sha256(content).hexdigest() for path, content in paths.items()}
    assert file_digests(paths) == expected
    assert {path: file_digest(path) for path in paths} == expected


def test_what_ends_a_hash_does_not_wait_for_long_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"):
        file_digests([tmp_path / "missing", Path("/dev/zero")])  # which has no end
