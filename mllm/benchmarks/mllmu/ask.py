"""What each protocol asks about sets of people."""

from collections.abc import Mapping, Sequence
from functools import partial

from mllm.benchmarks.mllmu.answerable import Skipped, notes
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
    skipped: list[Skipped] = []
    items = strict_items(sets, skipped)
    return Questions(
        strict_rounds(items, protocol),
        {"protocol": protocol.digest_fields(), **_listed(skipped)},
        strict_records,
        notes=notes(protocol.name, skipped),
    )


def paper_questions(sets: Sets, pool: Sequence[Profile], protocol: PaperProtocol) -> Questions:
    """Return what the published protocol asks about the profiles of sets.

    Args:
      pool: profiles in which shots are looked up.
      protocol: of the model's family (``PaperProtocol.for_family``).
    """
    skipped: list[Skipped] = []
    items = paper_items(sets, pool, protocol, skipped)
    return Questions(
        paper_rounds(items, protocol),
        {"protocol": protocol.digest_fields(), "shots": shots_of(items), **_listed(skipped)},
        partial(paper_records, protocol=protocol),
        scoring=protocol.scoring_fields(),
        refuse_long=protocol.overflow == "refuse",
        notes=notes(protocol.name, skipped),
    )


def _listed(skipped: Sequence[Skipped]) -> dict[str, list]:
    """Return the questions that are left out, as the manifest lists them."""
    return {"skipped": [one.listed() for one in skipped]} if skipped else {}
