"""Sentences that say what the numbers show: the trade-off, what did not forget, the headline."""

from mllm.benchmarks.mllmu.distance import METRIC, UTILITY_SETS
from mllm.benchmarks.mllmu.report.layout import CHANCE
from mllm.benchmarks.mllmu.report.standing import mean_score, standings, tied_with_best
from mllm.reporting.comparison import Comparison
from mllm.reporting.layout import Key
from mllm.reporting.tables import percent
from mllm.reporting.text import join_words

FINDING_RULE = (
    "Computed from multiple choice by option text, averaged over both modalities. The best "
    "trade-off is the smallest sum of two distances: between the method's and retain-only's "
    "accuracy on the forget set (chance, without a retain-only run), and the accuracy lost on "
    "retain and celebrity relative to vanilla. A method forgets if its accuracy on the forget set "
    "is distinguishably lower than vanilla's. Both this and the lead of the best are corrected for "
    "the number of methods."
)


def finding(comparison: Comparison) -> str:
    """Return what the multiple-choice numbers show, in sentences computed from them."""
    vanilla, target = comparison.key("vanilla"), comparison.key("retain_only")
    if vanilla is None or not comparison.methods:
        return (
            "There is no finding yet: it needs a finished vanilla run and at least one finished "
            "unlearning run."
        )
    found = standings(comparison)
    if not found:
        return "There is no finding yet: no unlearning run has scores on every set it needs."
    best = next(iter(found))  # those that forgot stand first, the nearest before the others
    if not found[best].forgot:
        return (
            "No method forgets: on the forget set none is distinguishable from vanilla in multiple "
            "choice by option text, averaged over both modalities."
        )
    sentences = [_verdict(comparison, best, vanilla, target, len(found))]
    if tied := tied_with_best(found):
        names = join_words([comparison.label(key) for key in tied], "or")
        sentences.append(f"Its lead over {names} is not statistically distinguishable from zero.")
    if kept := [key for key, one in found.items() if not one.forgot]:
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
