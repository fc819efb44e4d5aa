"""What each protocol asks about sets of people."""

from collections.abc import Mapping, Sequence
from functools import partial

from mllm.benchmarks.mllmu.paper import paper_items, paper_records, paper_rounds, shots_of
from mllm.benchmarks.mllmu.paper_prompts import PaperProtocol
from mllm.benchmarks.mllmu.schema import Profile
from mllm.benchmarks.mllmu.strict import (
    StrictProtocol,
    strict_items,
    strict_records,
    strict_rounds,
)
from mllm.evaluation.request import Questions

Sets = Mapping[str, Sequence[Profile]]


def strict_questions(sets: Sets, protocol: StrictProtocol) -> Questions:
    """Return what the strict protocol asks about the profiles of sets."""
    rounds = strict_rounds(strict_items(sets), protocol)
    return Questions(rounds, {"protocol": protocol.digest_fields()}, strict_records)


def paper_questions(sets: Sets, pool: Sequence[Profile], protocol: PaperProtocol) -> Questions:
    """Return what the published protocol asks about the profiles of sets.

    Args:
      pool: profiles in which shots are looked up.
      protocol: of the model's family (``PaperProtocol.for_family``).
    """
    items = paper_items(sets, pool, protocol)
    return Questions(
        paper_rounds(items, protocol),
        {"protocol": protocol.digest_fields(), "shots": shots_of(items)},
        partial(paper_records, protocol=protocol),
        scoring=protocol.scoring_fields(),
        refuse_long=protocol.overflow == "refuse",
    )
