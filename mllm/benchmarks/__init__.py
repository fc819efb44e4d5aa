"""The published systems of this package, a folder each."""

import importlib
from types import ModuleType
from typing import Any

from mllm.registry import lookup

BENCHMARKS: dict[str, str] = {
    "cobsat": "mllm.benchmarks.cobsat",
    "hear": "mllm.benchmarks.hear",
    "mllmu": "mllm.benchmarks.mllmu",
    "msr": "mllm.benchmarks.msr",
    "photo": "mllm.benchmarks.photo",
    "scale": "mllm.benchmarks.scale",
}


def get_benchmark(name: str) -> ModuleType:
    """Return the module ``study`` of a system, which offers what ``mllm.studies.system`` lists.

    Raises:
      ValueError: the name is unknown; the message lists the known ones.
    """
    return importlib.import_module(f"{lookup(BENCHMARKS, name, 'benchmark')}.study")


def get_report(name: str) -> Any:
    """Return the ``mllm.reporting.Report`` of a system, the ``REPORT`` of its folder ``report``.

    Only reports need the libraries that draw, so they are imported here.

    Raises:
      ValueError: the name is unknown; the message lists the known ones.
    """
    return importlib.import_module(f"{lookup(BENCHMARKS, name, 'benchmark')}.report").REPORT
