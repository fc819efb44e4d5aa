"""Importers of what people have: files of questions with pictures become items.

Each importer yields items one after the other and raises ValueError, naming file, line, column,
what it found and what it expected, at the first row that it cannot use; with `skip` such rows are
reported and left out.
"""

from mllm.benchmarks.scale.importers.jsonl import read_jsonl
from mllm.benchmarks.scale.importers.tsv import read_tsv

IMPORTERS = {".tsv": read_tsv, ".jsonl": read_jsonl}

__all__ = ["IMPORTERS", "read_jsonl", "read_tsv"]
