"""What who knows nothing scores: each order of the candidates is as likely."""

import math

from mllm.benchmarks.msr.scores import METRICS

GAINS = {
    "hr": lambda rank: 1.0,
    "mrr": lambda rank: 1 / rank,
    "ndcg": lambda rank: 1 / math.log2(1 + rank),
}


def guessing(candidates: int) -> dict[str, float]:
    """Return the expected metrics, by name, with so many candidates of each user."""
    return {metric: _moment(metric, candidates, 1) for metric in METRICS}


def guessing_errors(candidates: int, users: float) -> dict[str, float]:
    """Return the standard errors of the metrics over so many users, by name.

    That of the pooled AUC is that of the AUC per user, which is slightly larger.
    """
    return {
        metric: math.sqrt(
            (_moment(metric, candidates, 2) - _moment(metric, candidates, 1) ** 2) / users
        )
        for metric in METRICS
    }


def _moment(metric: str, candidates: int, power: int) -> float:
    """Return the mean over all ranks of a power of a user's value."""
    name, _, k = metric.partition("@")
    if not k:
        values = [below / (candidates - 1) for below in range(candidates)]
    else:
        values = [GAINS[name](rank) for rank in range(1, min(int(k), candidates) + 1)]
    return math.fsum(value**power for value in values) / candidates
