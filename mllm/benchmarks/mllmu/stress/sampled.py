"""Gap texts about people to forget, answered many times with some chance: leak@k."""

from collections.abc import Sequence

from mllm.benchmarks.mllmu.stress.asked import Asked
from mllm.benchmarks.mllmu.stress.form import text_request
from mllm.evaluation.request import Request, Text

SAMPLED = "sampled"
SAMPLES = 8
TEMPERATURE = 1.0


def sampled(asked: Sequence[Asked], limit: int) -> list[Request]:
    """Return ``SAMPLES`` requests for each gap text, which differ in their seed.

    Args:
      limit: the most tokens of a reply.
    """
    asks = [Text(limit, temperature=TEMPERATURE, seed=seed) for seed in range(SAMPLES)]
    return [text_request(SAMPLED, one, ask) for one in asked for ask in asks]
