"""The replies of a run on disk: appended as they come, taken up again after a kill, never mixed
with those of other weights, data or questions.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mllm.files import read_json, read_jsonl, write_json, write_text

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

    Args:
      ask: called with the keys that have a record; yields the records of the others, some at a
        time. Each lot is on disk before the next is asked for.
      folder: holds replies.jsonl and manifest.json.
      manifest: JSON values that must be equal for replies to be reused (digests of weights,
        processor and data, the protocol). Replies of another manifest are set aside under another
        name, not mixed in and not lost.
      read: reads records of earlier sessions again, by rules that may have changed since; no
        question is asked for that.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, stamp = folder / REPLIES, folder / MANIFEST
    if stamp.exists() and read_json(stamp) != manifest and path.exists():
        old = hashlib.sha256(stamp.read_bytes()).hexdigest()[:12]
        os.replace(path, folder / f"replies-{old}.jsonl")
    if not stamp.exists() or read_json(stamp) != manifest:
        write_json(stamp, manifest)
    found = read_jsonl(path)
    kept = [read(record) for record in found] if read else found
    done = {record["key"]: record for record in kept}
    told = sum(key in done for key in keys)
    if told < len(keys) or kept != found:
        # Rewritten whole, so that a line torn by a kill is not glued to the next one.
        write_text(path, "".join(_line(record) for record in done.values()))
    if told < len(keys):
        with path.open("a", encoding="utf-8") as file:
            for records in ask(set(done)):
                for record in records:
                    done[record["key"]] = record
                    file.write(_line(record))
                file.flush()
                os.fsync(file.fileno())
                told += len(records)
                if progress is not None:
                    progress.update(told)
    return [done[key] for key in keys]


def _line(record: dict) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"
