"""Sentences that say what the numbers show: the trade-off, what did not forget, the headline."""

import numpy as np

from mllm.benchmarks.mllmu.report.layout import CHANCE, MODALITIES
from mllm.evaluation.statistics import central_interval
from mllm.reporting.comparison import Comparison
from mllm.reporting.layout import Key
from mllm.reporting.tables import percent
from mllm.reporting.text import join_words

TASK, METRIC = "classification", "accuracy_text"
UTILITY_SETS = ("retain", "celebrity")
FINDING_RULE = (
    "Computed from multiple choice by option text, averaged over both modalities. The best "
    "trade-off is the smallest sum of two distances: between the method's and retain-only's "
    "accuracy on the forget set (chance, without a retain-only run), and the accuracy lost on "
    "retain and celebrity relative to vanilla. A method forgets if its accuracy on the forget set "
    "is lower than vanilla's and the 95% interval of the difference excludes 0."
)


def finding(comparison: Comparison) -> str:
    """Return what the multiple-choice numbers show, in sentences computed from them."""
    vanilla, target = comparison.key("vanilla"), comparison.key("retain_only")
    if vanilla is None or not comparison.methods:
        return (
            "There is no finding yet: it needs a finished vanilla run and at least one finished "
            "unlearning run."
        )
    standing = {key: _distance(comparison, key, vanilla, target) for key in comparison.methods}
    standing = {key: found for key, found in standing.items() if found is not None}
    if not standing:
        return "There is no finding yet: no unlearning run has scores on every set it needs."
    forgot = [key for key in standing if _forgot(comparison, key, vanilla)]
    if not forgot:
        return (
            "No method forgets: on the forget set none is distinguishable from vanilla in multiple "
            "choice by option text, averaged over both modalities."
        )
    ranked = sorted(forgot, key=lambda key: standing[key][0])
    best = ranked[0]
    sentences = [_verdict(comparison, best, vanilla, target, len(standing))]
    tied = [key for key in ranked[1:] if not _distinct(standing[best][1], standing[key][1])]
    if tied:
        names = join_words([comparison.label(key) for key in tied], "or")
        sentences.append(f"Its lead over {names} is not statistically distinguishable from zero.")
    kept = [key for key in standing if key not in forgot]
    if kept:
        names = join_words([comparison.label(key) for key in kept])
        sentences.append(f"{names} {'does' if len(kept) == 1 else 'do'} not forget.")
    return " ".join(sentences)


def _verdict(comparison: Comparison, best: Key, vanilla: Key, target: Key | None, count: int):
    accuracy = {key: mean_score(comparison, key, ("forget",)) for key in (best, vanilla, target)}
    useful = {key: mean_score(comparison, key, UTILITY_SETS) for key in (best, vanilla)}
    goal = f" (retain-only: {percent(accuracy[target])}%)" if target else ""
    among = f"the {count} unlearning methods" if count > 1 else "the one unlearning method"
    return (
        f"Of {among}, {comparison.label(best)} has the best trade-off: accuracy on the forget set "
        f"falls from {percent(accuracy[vanilla])}% to {percent(accuracy[best])}%{goal}, and "
        f"accuracy on retain and celebrity goes from {percent(useful[vanilla])}% to "
        f"{percent(useful[best])}%."
    )


def headline_reason(comparison: Comparison) -> str:
    """Return which multiple-choice metric is the headline, and what the others show for vanilla."""
    if comparison.protocol == "paper":
        return (
            "Questions were asked and replies read as the published script does: the first "
            "character of a reply is the choice, and a blank counts as filled correctly if the "
            "answer occurs anywhere in the reply."
        )
    vanilla = comparison.key("vanilla")
    shown = {
        metric: mean_score(comparison, vanilla, ("forget",), metric)
        for metric in (METRIC, "accuracy_letter", "accuracy_parsed")
    }
    text = (
        "Multiple choice is scored by option text: the model chooses the option whose text has the "
        "highest log-probability per token. This tests knowledge of the fact and needs no skill in "
        "naming letters."
    )
    if shown[METRIC] is None or shown["accuracy_letter"] is None:
        return text
    letter = shown["accuracy_letter"]
    numbers = (
        f"{percent(shown[METRIC])}% by option text, {percent(letter)}% by option letter (chance is "
        "25%)"
    )
    if shown["accuracy_parsed"] is not None:
        numbers += f" and {percent(shown['accuracy_parsed'])}% by the parsed reply"
    verdict = (
        "By letter vanilla is near chance, so that score cannot show forgetting."
        if letter < CHANCE + 0.10
        else "By letter vanilla is well above chance too."
    )
    return f"{text} On the forget set vanilla reaches {numbers}. {verdict}"


def cells_of(sets: tuple[str, ...], metric: str = METRIC) -> list[tuple[str, ...]]:
    """Return the multiple-choice cells of sets in both modalities."""
    return [(name, TASK, modality, metric) for name in sets for modality in MODALITIES.labels]


def mean_score(
    comparison: Comparison, key: Key | None, sets: tuple[str, ...], metric: str = METRIC
) -> float | None:
    """Return the mean over sets and modalities of one row; None where nothing was measured."""
    values = [comparison.entry(key, cell).value for cell in cells_of(sets, metric)]
    values = [value for value in values if value is not None]
    return float(np.mean(values)) if values else None


def _draws(comparison: Comparison, key: Key | None, sets: tuple[str, ...]) -> np.ndarray | None:
    cells = [cell for cell in cells_of(sets) if comparison.entry(key, cell).value is not None]
    samples = [comparison.draws(key, cell) for cell in cells]
    if not samples or any(sample is None for sample in samples):
        return None
    return np.mean(samples, axis=0)


def _distance(comparison: Comparison, key: Key, vanilla: Key, target: Key | None):
    """Return (distance to the ideal, its bootstrap samples or None), or None if unmeasured."""
    forget, useful = (mean_score(comparison, key, sets) for sets in (("forget",), UTILITY_SETS))
    reference = mean_score(comparison, vanilla, UTILITY_SETS)
    goal = mean_score(comparison, target, ("forget",)) if target else CHANCE
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
    found = [comparison.difference(key, vanilla, cell) for cell in cells_of(("forget",))]
    found = [one for one in found if one]
    return bool(found) and all(high < 0 for _, _, high, _ in found)


def _distinct(first: np.ndarray | None, second: np.ndarray | None) -> bool:
    if first is None or second is None:
        return False
    low, high = central_interval(first - second)
    return low > 0 or high < 0
