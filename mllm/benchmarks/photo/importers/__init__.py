"""Importers of what people have, a module each: questions with options, and comments.

`read(folder, options, ledger, work)` returns the pictures of each split, like generated ones.
"""

from types import ModuleType

from mllm.benchmarks.photo.importers import aesbench, comments, photobench

IMPORTERS: dict[str, ModuleType] = {
    "photobench": photobench,
    "aesbench": aesbench,
    "comments": comments,
}
