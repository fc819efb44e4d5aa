"""From the measures of single questions to those of a model, beside the model that never learned.

Rows are those of ``measures.measured_row``. A measure is None where the rows that it needs are not
there.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
from scipy.stats import hmean

from mllm.benchmarks.mllmu.measures import MEMBERSHIP
from mllm.benchmarks.mllmu.sets import FORGET, UNSEEN
from mllm.evaluation.distributions import jensen_shannon, same_distribution
from mllm.evaluation.membership import membership_auc, privacy_leak
from mllm.evaluation.memorisation import truth_known, truth_undecided
from mllm.evaluation.repetition import distinct_n, repetition

Row = Mapping[str, Any]
Measures = dict[str, float | None]
KEPT = ("retain", "celebrity")  # the sets of people to be remembered
REFERENCE_LOSS, PRIVACY_LEAK = "reference", "privacy_leak"


def known(rows: Sequence[Row]) -> Measures:
    """Return how well the answers to the questions to be forgotten are known, means over these."""
    forget = _of(rows, FORGET)
    names = ("probability", "among", "exact_memorisation", "extraction_strength")
    found = {name: _mean(row[name] for row in forget) for name in names}
    ratios = _ratios(forget)
    return {**found, "truth_ratio": _mean(map(truth_undecided, ratios))}


def beside(rows: Sequence[Row], reference: Sequence[Row]) -> Measures:
    """Return how far a model is from one that never learned what is to be forgotten.

    ``distance`` is the mean absolute difference of the probabilities of the right answer, question
    by question; 0 is as if it had never been learned. ``statistic`` and ``log10_p`` are TOFU's
    forget quality (``same_distribution``), ``divergence`` is ``jensen_shannon``, all of truth
    ratios.

    Args:
      reference: rows of retain-only. A question that only one of the two has is left out.
    """
    ours, theirs = ({_place(row): row for row in _of(some, FORGET)} for some in (rows, reference))
    both = [place for place in ours if place in theirs]
    apart = [abs(ours[at]["probability"] - theirs[at]["probability"]) for at in both]
    found: Measures = {"distance": _mean(apart)}
    ratios = [_ratios([some[at] for at in both]) for some in (ours, theirs)]
    if not all(ratios):
        return {**found, "statistic": None, "log10_p": None, "divergence": None}
    quality = same_distribution(*ratios)
    # A monotone function with values between 0 and 1: the share of the right answer.
    shares = [[1 / (1 + ratio) for ratio in some] for some in ratios]
    return {
        **found,
        "statistic": quality.statistic,
        "log10_p": quality.log10_p,
        "divergence": jensen_shannon(*shares),
    }


def learned(rows: Sequence[Row], reference: Sequence[Row]) -> Measures:
    """Return the membership AUC of each score, people to be forgotten against unseen ones, and
    ``privacy_leak``, that of Min-K% beside the reference.

    Args:
      reference: rows of retain-only, none where it was not measured.
    """
    found: Measures = dict.fromkeys((*MEMBERSHIP, REFERENCE_LOSS, PRIVACY_LEAK))
    sides = [_of(rows, name) for name in (FORGET, UNSEEN)]
    if not all(sides):
        return found
    found |= {name: _auc(sides, itemgetter(name)) for name in MEMBERSHIP}
    losses = {_place(row): row["loss"] for row in reference}
    shared = [[row for row in side if _place(row) in losses] for side in sides]
    if all(shared):
        found[REFERENCE_LOSS] = _auc(shared, lambda row: row["loss"] - losses[_place(row)])
        base = _auc([_of(reference, name) for name in (FORGET, UNSEEN)], itemgetter("min_k"))
        found[PRIVACY_LEAK] = privacy_leak(found["min_k"], base)
    return found


def utility(rows: Sequence[Row], rouge: Mapping[str, float | None]) -> float | None:
    """Return the harmonic mean, over the sets to be remembered, of the probability of the right
    answer, ROUGE-L of free replies and the truth ratio as a score of knowledge: 0 if one of them
    is 0.

    For public figures the probability is that among wrong answers, as TOFU has it for what lies
    outside its own training data.

    Args:
      rouge: ROUGE-L by set.
    """
    parts: list[float | None] = []
    for name in KEPT:
        kept = _of(rows, name)
        of_right = "among" if name == "celebrity" else "probability"
        parts += [
            _mean(row[of_right] for row in kept),
            rouge.get(name),
            _mean(map(truth_known, _ratios(kept))),
        ]
    return None if any(part is None for part in parts) else float(hmean(parts))


def fluency(records: Sequence[Row], name: str) -> Measures:
    """Return how varied the free sentences about a set are, and how often they loop.

    Args:
      records: of the evaluation, see ``strict.strict_records``.
    """
    asked = [row for row in records if row["set"] == name and row["task"] == "generation"]
    replies = [row["reply"] for row in asked]
    return {"distinct": distinct_n(replies, 2), "repetition": _mean(map(repetition, replies))}


def _of(rows: Sequence[Row], name: str) -> list[Row]:
    return [row for row in rows if row["set"] == name]


def _place(row: Row) -> tuple:
    return tuple(row[k] for k in ("set", "profile", "task", "modality", "index", "question"))


def _ratios(rows: Sequence[Row]) -> list[float]:
    return [row["truth_ratio"] for row in rows if row["truth_ratio"] is not None]


def _mean(values) -> float | None:
    found = [value for value in values if value is not None]
    return float(np.mean(found)) if found else None


def _auc(sides: Sequence[Sequence[Row]], score: Callable[[Row], float]) -> float:
    """Return the AUC of a score, of rows to be forgotten and of unseen ones."""
    return membership_auc(*([score(row) for row in side] for side in sides))
