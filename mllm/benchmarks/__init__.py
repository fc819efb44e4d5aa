"""The published systems of this package, by name."""

import importlib
from types import ModuleType

from mllm.registry import lookup

BENCHMARKS: dict[str, str] = {
    "mllmu": "mllm.benchmarks.mllmu.study",
}


def get_benchmark(name: str) -> ModuleType:
    """Return the system of a name, a module that offers what ``mllm.studies.system.System`` lists.

    Raises:
      ValueError: the name is unknown; the message lists the known ones.
    """
    return importlib.import_module(lookup(BENCHMARKS, name, "benchmark"))
