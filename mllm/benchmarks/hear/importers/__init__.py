"""Importers of what people have, a module each.

`read(folder, options)` returns what the folder lists, a `found.Found`.
"""

from types import ModuleType

from mllm.benchmarks.hear.importers import audioset, edansa, esc50, folders, packages

IMPORTERS: dict[str, ModuleType] = {
    "edansa": edansa,
    "audioset": audioset,
    "esc50": esc50,
    "folders": folders,
    "packages": packages,
}
