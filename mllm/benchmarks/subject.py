"""A row of a report."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mllm.files import read_jsonl
from mllm.reporting.layout import Key
from mllm.reporting.runs import Run

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Subject:
    """One row of the tables, with its runs by seed."""

    key: Key
    label: str
    runs: tuple[Run, ...]

    @property
    def method(self) -> str:
        """Return the name of the method."""
        return self.key[0]

    @functools.cached_property
    def records(self) -> tuple[list[Record], ...]:
        """Return the records of each run."""
        return tuple(read_jsonl(run.records_path) for run in self.runs)
