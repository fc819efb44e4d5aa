"""From the measures of single questions to those of a model, beside the model that never learned.

Rows are those of ``measures.measured_row``. A measure is float64[1 + R]: of the rows as they are,
then of R draws of people (``resampled``). It is None where the rows that it needs are not there.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.spatial.distance import jensenshannon

from mllm.benchmarks.mllmu.measures import MEMBERSHIP, place_of
from mllm.benchmarks.mllmu.resampled import (
    People,
    Row,
    weighted_histogram,
    weighted_mean,
    weighted_statistic,
)
from mllm.benchmarks.mllmu.sets import FORGET, UNSEEN
from mllm.evaluation.detection import roc_auc
from mllm.evaluation.distributions import BINS, same_distribution
from mllm.evaluation.membership import privacy_leak
from mllm.evaluation.memorisation import truth_known, truth_undecided
from mllm.evaluation.repetition import distinct_n, repetition

Measures = dict[str, np.ndarray | None]
KEPT = ("retain", "celebrity")  # the sets of people to be remembered
REFERENCE_LOSS, PRIVACY_LEAK = "reference", "privacy_leak"


def known(rows: Sequence[Row]) -> Measures:
    """Return how well the answers to the questions to be forgotten are known, means over these.

    ``rephrased`` is the probability of the right answer to text-only questions of the test set,
    which are those of the forget set in other words.
    """
    forget, people = _of(rows, FORGET), People(rows)
    names = ("probability", "among", "exact_memorisation", "extraction_strength")
    found = {name: _mean(forget, people, name) for name in names}
    test = [row for row in _of(rows, "test") if row["modality"] == "text"]
    found["rephrased"] = _mean(test, people, "probability")
    for name in ("truth_ratio", "truth_ratio_paraphrase"):
        found[name] = _mean(forget, people, name, truth_undecided)
    return found


def beside(rows: Sequence[Row], reference: Sequence[Row]) -> Measures:
    """Return how far a model is from one that never learned what is to be forgotten.

    ``distance`` is the mean absolute difference of the probabilities of the right answer, question
    by question; 0 is as if it had never been learned. ``statistic`` and ``log10_p`` are TOFU's
    forget quality (``same_distribution``), ``divergence`` is ``jensen_shannon``, all of truth
    ratios. ``log10_p`` is of the rows as they are: a draw repeats people, which p does not expect.

    Args:
      reference: rows of retain-only. A question that only one of the two has is left out.
    """
    ours, theirs = ({place_of(row): row for row in _of(some, FORGET)} for some in (rows, reference))
    both = [place for place in ours if place in theirs]
    if not both:
        return dict.fromkeys(("distance", "statistic", "log10_p", "divergence"))
    people = People(ours[at] for at in both)
    apart = [abs(ours[at]["probability"] - theirs[at]["probability"]) for at in both]
    found: Measures = {"distance": weighted_mean(apart, people.weights([ours[a] for a in both]))}
    sides = [[some[at] for at in both if some[at]["truth_ratio"] is not None]
             for some in (ours, theirs)]  # fmt: skip
    if not all(sides):
        return {**found, "statistic": None, "log10_p": None, "divergence": None}
    ratios = [[row["truth_ratio"] for row in side] for side in sides]
    weights = people.weights(sides[0]), people.weights(sides[1])
    # A monotone function with values between 0 and 1: the share of the right answer.
    shares = [[1 / (1 + ratio) for ratio in some] for some in ratios]
    counts = [weighted_histogram(*pair, BINS) for pair in zip(shares, weights, strict=True)]
    return {
        **found,
        "statistic": weighted_statistic(*ratios, weights),
        "log10_p": np.array([same_distribution(*ratios).log10_p]),
        "divergence": jensenshannon(*counts, base=2, axis=1) ** 2,
    }


def learned(rows: Sequence[Row], reference: Sequence[Row]) -> Measures:
    """Return the membership AUC of each score, people to be forgotten against unseen ones, and
    ``privacy_leak``, that of Min-K% beside the reference.

    Args:
      reference: rows of retain-only, none where it was not measured.
    """
    found: Measures = dict.fromkeys((*MEMBERSHIP, REFERENCE_LOSS, PRIVACY_LEAK))
    sides, people = [_of(rows, name) for name in (FORGET, UNSEEN)], People(rows)
    if not all(sides):
        return found
    measured = [name for name in MEMBERSHIP if _all_have(name, sides)]
    found |= {name: _auc(sides, people, name) for name in measured}
    losses = {place_of(row): row["loss"] for row in reference}
    shared = [_relative(side, losses) for side in sides]
    if all(shared):
        found[REFERENCE_LOSS] = _auc(shared, people, "loss")
        base = _auc([_of(reference, name) for name in (FORGET, UNSEEN)], people, "min_k")
        found[PRIVACY_LEAK] = privacy_leak(found["min_k"], base)
    return found


def utility(rows: Sequence[Row], rouge: Sequence[Row]) -> np.ndarray | None:
    """Return the harmonic mean, over the sets to be remembered, of the probability of the right
    answer, ROUGE-L of free replies and the truth ratio as a score of knowledge: 0 if one of them
    is 0.

    For public figures the probability is that among wrong answers, as TOFU has it for what lies
    outside its own training data.

    Args:
      rouge: the ROUGE-L of each free reply as "value", with its set, modality and profile.
    """
    people, parts = People(rows), []
    for name in KEPT:
        kept, said = _of(rows, name), _of(rouge, name)
        of_right = "among" if name == "celebrity" else "probability"
        parts += [
            _mean(kept, people, of_right),
            _mean_of_modalities(said, people),
            _mean(kept, people, "truth_ratio", truth_known),
        ]
    if any(part is None for part in parts):
        return None
    with np.errstate(divide="ignore"):
        return len(parts) / np.sum([1 / part for part in parts], axis=0)


def fluency(records: Sequence[Row], likelihoods: Sequence[Row], name: str) -> Measures:
    """Return how varied the free sentences about a set are, how often they loop, and their mean
    negative log-probability per token under base, in nats.

    ``distinct`` is of the replies as they are: it falls with repeated people by itself.

    Args:
      records: of the evaluation, see ``strict.strict_records``.
      likelihoods: of ``likelihood.review``, none where it was not made.
    """
    asked = [row for row in records if row["set"] == name and row["task"] == "generation"]
    likely = _of(likelihoods, name)
    gained = _mean(likely, People(likely), "value")
    distinct = distinct_n([row["reply"] for row in asked], 2)
    return {
        "distinct": None if distinct is None else np.array([distinct]),
        "repetition": _mean(asked, People(asked), "reply", repetition),
        "base_loss": None if gained is None else -gained,
    }


def _of(rows: Sequence[Row], name: str) -> list[Row]:
    return [row for row in rows if row["set"] == name]


def _all_have(name: str, sides: Sequence[Sequence[Row]]) -> bool:
    return all(row.get(name) is not None for side in sides for row in side)


def _relative(rows: Sequence[Row], losses: Mapping[tuple, float]) -> list[Row]:
    """Return the rows that have a loss of another model, with what theirs is above it."""
    places = [(row, place_of(row)) for row in rows]
    return [{**row, "loss": row["loss"] - losses[at]} for row, at in places if at in losses]


def _mean(rows: Sequence[Row], people: People, name: str, read=float) -> np.ndarray | None:
    """Return the mean of ``read`` of a field of rows; rows in which it is None do not count."""
    found = [row for row in rows if row.get(name) is not None]
    if not found:
        return None
    return weighted_mean([read(row[name]) for row in found], people.weights(found))


def _mean_of_modalities(rows: Sequence[Row], people: People) -> np.ndarray | None:
    """Return the mean, over modalities, of the mean value of their rows."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["modality"], []).append(row)
    means = [_mean(group, people, "value") for group in groups.values()]
    return np.mean(means, axis=0) if means else None


def _auc(sides: Sequence[Sequence[Row]], people: People, name: str) -> np.ndarray:
    """Return the probability that an unseen row scores above a row to be forgotten."""
    rows = [*sides[0], *sides[1]]
    truth = [False] * len(sides[0]) + [True] * len(sides[1])
    return roc_auc([row[name] for row in rows], truth, people.weights(rows))
