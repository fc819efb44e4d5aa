"""Popularity: how often the log has an item, the same for every user. There is nothing to tune."""

import numpy as np

from mllm.benchmarks.msr.baselines.log import Histories, TrainingLog


def popularity(log: TrainingLog, histories: Histories) -> np.ndarray:
    """Return float32[U, N], the logarithm of (count + 1) over its mean; cold items come last."""
    counts = log.counts + 1.0
    score = np.log(counts / counts.mean()).astype(np.float32)
    return np.tile(score, (len(histories), 1))
