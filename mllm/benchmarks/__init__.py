"""The published systems of this package, a folder each."""

import importlib
from types import ModuleType

from mllm.registry import lookup

BENCHMARKS: dict[str, str] = {
    "mllmu": "mllm.benchmarks.mllmu",
}


def get_benchmark(name: str) -> ModuleType:
    """Return the module ``study`` of a system, which offers what ``mllm.studies.system`` lists.

    Raises:
      ValueError: the name is unknown; the message lists the known ones.
    """
    return importlib.import_module(f"{lookup(BENCHMARKS, name, 'benchmark')}.study")
