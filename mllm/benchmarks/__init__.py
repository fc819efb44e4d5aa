"""The benchmarks this package knows, by name: each a module with `Benchmark` and `prepare`."""

import importlib
from types import ModuleType

from mllm.registry import lookup

BENCHMARKS: dict[str, str] = {
    "mllmu": "mllm.benchmarks.mllmu",
}


def get_benchmark(name: str) -> ModuleType:
    """Return the module of a benchmark; ValueError with the known names on an unknown one."""
    return importlib.import_module(lookup(BENCHMARKS, name, "benchmark"))
