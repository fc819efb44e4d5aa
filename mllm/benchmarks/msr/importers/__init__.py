"""Importers of logs that people have, a module each.

`files(folder)` returns the files that are read, and `read(folder, ledger)` what they hold.
"""

from types import ModuleType

from mllm.benchmarks.msr.importers import amazon, csv_tables, microlens

IMPORTERS: dict[str, ModuleType] = {
    "microlens": microlens,
    "amazon": amazon,
    "table": csv_tables,
}
RATED = ("amazon", "table")
"""The importers whose logs have ratings."""
