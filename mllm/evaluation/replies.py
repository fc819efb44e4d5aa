"""The replies of a run on disk: appended as they come, taken up again after a kill, never mixed
with those of other weights, data or questions.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mllm.files import read_json, read_jsonl, write_json, write_text
from mllm.parallel.launch import is_first, require_same, wait_for_all

REPLIES, MANIFEST = "replies.jsonl", "manifest.json"


def record_replies(
    ask: Callable[[set[str]], Iterator[list[dict]]],
    keys: Sequence[str],
    folder: Path,
    manifest: dict,
    *,
    read: Callable[[dict], dict] | None = None,
    progress=None,
) -> list[dict]:
    """Ask what is not answered yet and return all records, in the order of ``keys``.

    Every process asks the same; the first one writes.

    Args:
      ask: called with the keys that have a record; yields the records of the others, some at a
        time. Each lot is on disk before the next is asked for.
      folder: holds replies.jsonl and manifest.json.
      manifest: JSON values that must be equal for replies to be reused (digests of weights,
        processor and data, the protocol). Replies of another manifest are set aside under another
        name, not mixed in and not lost.
      read: reads records of earlier sessions again, by rules that may have changed since; no
        question is asked for that.

    Raises:
      ValueError: processes do not find the same replies.
    """
    path = folder / REPLIES
    if is_first():
        _take_up(folder, manifest, read)
    wait_for_all(f"{path} is taken up")
    done = {record["key"]: record for record in read_jsonl(path)}
    require_same(str(path), " ".join(done))  # also: the first one writes when all have read
    told = sum(key in done for key in keys)
    if told < len(keys):
        for records in ask(set(done)):
            done.update((record["key"], record) for record in records)
            if is_first():
                _append(path, records)
            told += len(records)
            if progress is not None:
                progress.update(told)
    return [done[key] for key in keys]


def _take_up(folder: Path, manifest: dict, read: Callable[[dict], dict] | None) -> None:
    """Make the folder ready for more records: none of another manifest, all read by the rules of
    today, no line torn by a kill that the next one would be glued to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, stamp = folder / REPLIES, folder / MANIFEST
    if stamp.exists() and read_json(stamp) != manifest and path.exists():
        old = hashlib.sha256(stamp.read_bytes()).hexdigest()[:12]
        os.replace(path, folder / f"replies-{old}.jsonl")
    if not stamp.exists() or read_json(stamp) != manifest:
        write_json(stamp, manifest)
    found = read_jsonl(path)
    kept = {record["key"]: read(record) if read else record for record in found}
    lines = "".join(_line(record) for record in kept.values())
    if not path.exists() or path.read_text(encoding="utf-8") != lines:
        write_text(path, lines)


def _append(path: Path, records: list[dict]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.writelines(map(_line, records))
        file.flush()
        os.fsync(file.fileno())


def _line(record: dict) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"
