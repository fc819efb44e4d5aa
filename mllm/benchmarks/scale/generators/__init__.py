"""Generators of items, one per cell: seeded drawings whose truth is known exactly.

A module holds the generators of one capability or suite and lists them in its own `GENERATORS`,
keyed by cell. `GENERATORS` here joins them.
"""

import random
from collections.abc import Callable, Mapping

from mllm.benchmarks.scale.generators import (
    assessment,
    coding,
    counting,
    documents,
    driving,
    industry,
    instructions,
    knowledge,
    multilingual,
    reasoning,
    recognition,
    relations,
    safety,
    temporal,
)
from mllm.benchmarks.scale.item import Draft
from mllm.benchmarks.scale.taxonomy import CELLS, Cell

Generator = Callable[[random.Random, int], Draft]
"""(source of randomness, side of a picture in pixels) -> a draft."""

_MODULES = (
    recognition,
    counting,
    relations,
    documents,
    knowledge,
    temporal,
    reasoning,
    instructions,
    multilingual,
    coding,
    assessment,
    safety,
    industry,
    driving,
)


def _join() -> dict[Cell, Generator]:
    joined: dict[Cell, Generator] = {}
    for module in _MODULES:
        table: Mapping[Cell, Generator] = module.GENERATORS
        for cell, generator in table.items():
            if cell not in CELLS or cell in joined:
                problem = "has two generators" if cell in joined else "is not in the taxonomy"
                raise ValueError(f"{module.__name__}: cell {cell} {problem}")
            joined[cell] = generator
    return {cell: joined[cell] for cell in CELLS if cell in joined}


GENERATORS: dict[Cell, Generator] = _join()
