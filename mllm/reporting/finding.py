"""Sentences that say what the numbers show: the trade-off, what did not forget, the headline."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from mllm.evaluation.statistics import central_interval
from mllm.reporting.collect import MODALITIES, Run
from mllm.reporting.tables import CHANCE, Comparison, Key, cell_of, method_label, percent

TASK, METRIC = "classification", "accuracy_text"
UTILITY_SETS = ("retain", "celebrity")


@dataclasses.dataclass(frozen=True)
class Point:
    """One checkpoint of the trade-off figure. All numbers are fractions of 1.

    `forgetting` is vanilla's forget-set accuracy less this checkpoint's, `utility` the mean of
    its retain and celebrity accuracy; each with the ends of its 95% interval
    (NaN where the score has none).
    """

    method: str
    label: str
    seed: int
    modality: str
    forgetting: tuple[float, float, float]
    utility: tuple[float, float, float]


def tradeoff_points(comparison: Comparison) -> list[Point]:
    """Returns a point for every checkpoint and modality that has the sets it needs."""
    vanilla = comparison.key("vanilla")
    points = []
    for modality in MODALITIES:
        reference = comparison.entry(vanilla, ("forget", TASK, modality, METRIC)).value
        if reference is None:
            continue
        for key in comparison.keys:
            for run in comparison.runs[key]:
                point = _point(run, key, modality, reference)
                if point:
                    points.append(point)
    return points


def _point(run: Run, key: Key, modality: str, reference: float) -> Point | None:
    scores = {cell_of(score): score for score in run.scores}
    forget = scores.get(("forget", TASK, modality, METRIC))
    useful = [scores.get((name, TASK, modality, METRIC)) for name in UTILITY_SETS]
    useful = [score for score in useful if score and score["value"] is not None]
    if not forget or forget["value"] is None or not useful:
        return None
    low, high = _ends(forget)
    utility = float(np.mean([score["value"] for score in useful]))
    # The sets hold different people, so their errors add in quadrature.
    below, above = (
        float(np.sqrt(np.sum(np.square(side)))) / len(useful)
        for side in (
            [score["value"] - _ends(score)[0] for score in useful],
            [_ends(score)[1] - score["value"] for score in useful],
        )
    )
    return Point(
        method=run.method,
        label=method_label(*key),
        seed=run.seed,
        modality=modality,
        forgetting=(reference - forget["value"], reference - high, reference - low),
        utility=(utility, utility - below, utility + above),
    )


def _ends(score: dict) -> tuple[float, float]:
    """Returns the ends of a score's interval, NaN where it has none."""
    low, high = score["ci95"]
    return (math.nan if low is None else low), (math.nan if high is None else high)


def finding(comparison: Comparison) -> str:
    """Returns what the multiple-choice numbers show, in sentences computed from them."""
    vanilla, target = comparison.key("vanilla"), comparison.key("retain_only")
    if vanilla is None or not comparison.unlearned:
        return (
            "There is no finding yet: it needs a finished vanilla run and at least one finished "
            "unlearning run."
        )
    standing = {key: _distance(comparison, key, vanilla, target) for key in comparison.unlearned}
    standing = {key: found for key, found in standing.items() if found is not None}
    if not standing:
        return "There is no finding yet: no unlearning run has scores on every set it needs."
    forgot = [key for key in standing if _forgot(comparison, key, vanilla)]
    if not forgot:
        return (
            "No method forgets: on the forget set none is distinguishable from vanilla in "
            "multiple choice by option text, averaged over both modalities."
        )
    ranked = sorted(forgot, key=lambda key: standing[key][0])
    best = ranked[0]
    accuracy = {key: _mean(comparison, key, ("forget",)) for key in (best, vanilla, target)}
    useful = {key: _mean(comparison, key, UTILITY_SETS) for key in (best, vanilla)}
    goal = f" (retain-only: {percent(accuracy[target])})" if target else ""
    sentences = [
        f"{method_label(*best)} has the best trade-off of the {len(standing)} unlearning methods: "
        f"forget-set accuracy goes from {percent(accuracy[vanilla])} to "
        f"{percent(accuracy[best])}%{goal}, and accuracy on retain and celebrity from "
        f"{percent(useful[vanilla])} to {percent(useful[best])}%."
    ]
    tied = [key for key in ranked[1:] if not _told_apart(standing[best][1], standing[key][1])]
    if tied:
        sentences.append(f"It cannot be told from {_names(tied)}.")
    kept = [key for key in standing if key not in forgot]
    if kept:
        verb = "does" if len(kept) == 1 else "do"
        sentences.append(f"{_names(kept)} {verb} not forget.")
    return " ".join(sentences)


FINDING_RULE = (
    "Multiple choice by option text, mean of both modalities. The best trade-off is the smallest "
    "sum of two distances: of forget-set accuracy from retain-only's (from chance, where there is "
    "no retain-only run), and of the loss on retain and celebrity against vanilla. A method "
    "forgets when its forget-set accuracy is below vanilla's by more than the 95% interval of the "
    "difference."
)


def headline_reason(comparison: Comparison) -> str:
    """Says which multiple-choice metric is the headline, and what the others show for vanilla."""
    if comparison.protocol == "paper":
        return (
            "Replies were asked for and read as the published script does: a choice is the first "
            "character of the reply, a blank is filled where the answer occurs in the reply."
        )
    shown = {
        metric: _mean(comparison, comparison.key("vanilla"), ("forget",), metric)
        for metric in (METRIC, "accuracy_letter", "accuracy_parsed")
    }
    text = (
        "The headline of multiple choice is the accuracy by option text: the option whose text "
        "has the highest log-probability per token. It needs the fact and no skill in naming "
        "letters."
    )
    if shown[METRIC] is None or shown["accuracy_letter"] is None:
        return text
    letter = shown["accuracy_letter"]
    verdict = (
        "is near chance by letter, which therefore cannot show forgetting"
        if letter < CHANCE + 0.10
        else "also answers by letter"
    )
    parsed = shown["accuracy_parsed"]
    last = "" if parsed is None else f", and {percent(parsed)}% by its parsed reply"
    return (
        f"{text} On the forget set vanilla {verdict}: {percent(shown[METRIC])}% by text, "
        f"{percent(letter)}% by letter (chance is 25%){last}."
    )


def _mean(comparison, key, sets, metric=METRIC) -> float | None:
    values = [
        comparison.entry(key, (name, TASK, modality, metric)).value
        for name in sets
        for modality in MODALITIES
    ]
    values = [value for value in values if value is not None]
    return float(np.mean(values)) if values else None


def _draws(comparison: Comparison, key: Key | None, sets) -> np.ndarray | None:
    cells = [(name, TASK, modality, METRIC) for name in sets for modality in MODALITIES]
    cells = [cell for cell in cells if comparison.entry(key, cell).value is not None]
    samples = [comparison.draws(key, cell) for cell in cells]
    if not samples or any(sample is None for sample in samples):
        return None
    return np.mean(samples, axis=0)


def _distance(comparison, key, vanilla, target):
    """Returns (distance to the ideal, its bootstrap samples or None), or None if unmeasured."""
    forget, useful = _mean(comparison, key, ("forget",)), _mean(comparison, key, UTILITY_SETS)
    reference = _mean(comparison, vanilla, UTILITY_SETS)
    goal = _mean(comparison, target, ("forget",)) if target else CHANCE
    if None in (forget, useful, reference, goal):
        return None
    value = abs(forget - goal) + max(0.0, reference - useful)
    samples = [
        _draws(comparison, key, ("forget",)),
        _draws(comparison, target, ("forget",)) if target else CHANCE,
        _draws(comparison, vanilla, UTILITY_SETS),
        _draws(comparison, key, UTILITY_SETS),
    ]
    if any(sample is None for sample in samples):
        return value, None
    return value, np.abs(samples[0] - samples[1]) + np.maximum(0, samples[2] - samples[3])


def _forgot(comparison: Comparison, key: Key, vanilla: Key) -> bool:
    samples = [_draws(comparison, one, ("forget",)) for one in (key, vanilla)]
    if all(sample is not None for sample in samples):
        return central_interval(samples[0] - samples[1])[1] < 0
    cells = [("forget", TASK, modality, METRIC) for modality in MODALITIES]
    found = [comparison.difference(key, vanilla, cell) for cell in cells]
    found = [one for one in found if one]
    return bool(found) and all(high < 0 for _, _, high, _ in found)


def _told_apart(first: np.ndarray | None, second: np.ndarray | None) -> bool:
    if first is None or second is None:
        return False
    low, high = central_interval(first - second)
    return low > 0 or high < 0


def _names(keys: list[Key]) -> str:
    names = [method_label(*key) for key in keys]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
