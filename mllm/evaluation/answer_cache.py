"""Answers that cost a call, kept on disk: a table is made again without calling anybody."""

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mllm.files import is_sealed, read_jsonl, seal, without_seal


class AnswerCache:
    """Keep records by key in an append-only file of JSON lines, each of which is sealed.

    A later record of a key replaces an earlier one. Threads may share a cache; a record is on disk
    before ``put`` returns, and a line torn by a kill is dropped by the next one that writes. Since
    answers cost money, a line that was changed is not asked again by itself.

    Raises:
      ValueError: a line of the file is not as it was written; the message names it.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        self._lock = threading.Lock()
        self._mended = False
        self._records: dict[str, Mapping[str, Any]] = {}
        for number, record in enumerate(read_jsonl(self.path), 1):
            if not is_sealed(record):
                raise ValueError(
                    f"{self.path}, line {number}: the answer was changed after it was written; "
                    "put the line back, or remove it to ask again"
                )
            self._records[record["key"]] = without_seal(record)

    def __len__(self) -> int:
        return len(self._records)

    def get(self, key: str) -> Mapping[str, Any] | None:
        """Return the latest record of a key, None where there is none."""
        return self._records.get(key)

    def put(self, record: Mapping[str, Any]) -> None:
        """Append a record; its "key" names it."""
        line = json.dumps(seal(record), ensure_ascii=False, sort_keys=True) + "\n"
        with self._lock:
            self._mend()
            with self.path.open("ab") as file:
                file.write(line.encode())
                file.flush()
                os.fsync(file.fileno())
            self._records[record["key"]] = record

    def _mend(self) -> None:
        if self._mended:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            content = self.path.read_bytes()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                os.truncate(self.path, whole)
        self._mended = True
