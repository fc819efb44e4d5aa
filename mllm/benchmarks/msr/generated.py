"""Generated data as a data set: what is written, and what the record says of it."""

import importlib.metadata
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from mllm.benchmarks.msr.checks import check
from mllm.benchmarks.msr.draw import PACKAGE
from mllm.benchmarks.msr.generate import (
    DRAWING,
    NEGATIVES,
    SIZES,
    generated_splits,
    make_world,
)
from mllm.benchmarks.msr.interactions import statistics
from mllm.benchmarks.msr.rows import Row

PINNED = (PACKAGE, "resvg-py", "pillow", "fonttools", "contourpy", "scipy", "numpy")
LICENCES = {
    "data": "generated; CC0 1.0",
    "fonts": f"subjects are outlines of Noto Emoji ({PACKAGE}), SIL Open Font License 1.1",
}


def read_generated(
    config: str, seed: int, processes: int | None, say: Callable[[str], None]
) -> tuple[dict[str, Iterable[Row]], dict[str, Any]]:
    """Return the rows of all splits, and what the record says of them.

    Pictures are drawn when the rows of the items are read.

    Args:
      config: a key of `generate.SIZES`.
      processes: how many draw; as many as there are cores where None.
    """
    sizes = SIZES[config]
    world = make_world(sizes, seed)
    items = {item.id for item in world.items}
    check(world.users, world.logs, items, negatives=NEGATIVES, disjoint=True)
    say(f"drawing {sizes.items + sizes.gallery} pictures")
    return generated_splits(world, sizes, seed, processes=processes), {
        "drawing": DRAWING,
        "side": sizes.side,
        "habits": asdict(sizes.habits),
        "negatives": "uniform",
        "steps": {"log": statistics((log.user, item) for log in world.logs for item in log.items)},
        "versions": {name: importlib.metadata.version(name) for name in PINNED},
        "licences": LICENCES,
    }
