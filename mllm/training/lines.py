"""What a line of metrics sums up: the steps since the line before."""

import zlib
from dataclasses import dataclass, field

import jax
import numpy as np


@dataclass
class Line:
    """What a line of metrics is made of.

    Attributes:
      sums: (total, count) of each step by the name of the metric, on the devices.
      tokens, slots: real tokens, and places computed.
      seen: checksum of all batches so far.
    """

    sums: dict[str, list[tuple]] = field(default_factory=dict)
    tokens: int = 0
    slots: int = 0
    seen: int = 0

    def add(self, batch: dict[str, np.ndarray], metrics: dict[str, tuple]) -> None:
        """Count a step."""
        real = batch["segments"] >= 0 if "segments" in batch else batch["weight"] > 0
        self.tokens += int(real.sum())
        self.slots += real.size
        self.seen = checksum(batch, self.seen)
        for key, pair in metrics.items():
            self.sums.setdefault(key, []).append(pair)


def checksum(batch: dict[str, np.ndarray], seen: int = 0) -> int:
    """Return the CRC-32 over the bytes of a batch, continuing that of the batches ``seen``; 0 if
    there is no other process to compare with.
    """
    if jax.process_count() > 1:
        for array in jax.tree.leaves(batch):  # in the order of their names
            seen = zlib.crc32(np.ascontiguousarray(array), seen)
    return seen


def reduce_metrics(sums: dict[str, list[tuple]]) -> dict[str, float]:
    """Return the mean of each metric over the steps since the last line: sum of sums over sum of
    counts; empty ones left out.
    """
    means = {}
    for key, pairs in jax.device_get(sums).items():
        total, count = np.sum(np.asarray(pairs, np.float64), axis=0)
        if count > 0:
            means[key] = float(total / count)
    return means
