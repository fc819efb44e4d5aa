"""Which fictitious profiles are to be forgotten."""

import random
from collections.abc import Sequence

from mllm.benchmarks.mllmu.schema import FORGET_RATIOS


def draw_forget_ids(ids: Sequence[str], seed: int) -> dict[int, tuple[str, ...]]:
    """Draw the forget IDs of each ratio in percent, sorted.

    The ratios are independent draws, as in the published data, where the 5% and 10% splits share
    one identity: they are not successive requests. They are drawn once, when the benchmark is
    made, and kept by ID.
    """
    drawn = {}
    for ratio in FORGET_RATIOS:
        generator = random.Random(f"{seed}/forget/{ratio}")
        drawn[ratio] = tuple(sorted(generator.sample(list(ids), len(ids) * ratio // 100)))
    return drawn
