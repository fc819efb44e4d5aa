"""Sentences that say what the numbers show, and what they do not show."""

import math

from mllm.benchmarks.scale.agreement import error_agreement
from mllm.benchmarks.scale.benchmark import Benchmark
from mllm.benchmarks.scale.gap import ALPHA, gaps
from mllm.benchmarks.scale.imported import Imported, open_section
from mllm.benchmarks.scale.report.brackets import check_all, verdict
from mllm.benchmarks.scale.report.gaps import capability_gaps
from mllm.benchmarks.scale.report.layout import label
from mllm.benchmarks.scale.report.study import Study, Subject, by_place, place_of
from mllm.reporting.comparison import Comparison
from mllm.reporting.numbers import points, signed
from mllm.reporting.text import join_words

FINDING_RULE = (
    "Computed from the answers to the default wording, paired item by item. A difference is "
    "distinguishable if its 95% bootstrap interval excludes 0 and McNemar's test, corrected after "
    "Holm over the capabilities, has p ≤ 0.05; comparable means that the whole interval lies "
    "within 3 points of 0; everything else is undecided."
)
_NAMED = 4  # capabilities that a sentence names


def finding(comparison: Comparison) -> str:
    """Return what the comparison of the large with the small model shows."""
    study = Study(comparison, _benchmark(comparison))
    broken = [check for check in check_all(study) if check.holds is False]
    warning = [verdict(broken).split(" Not run")[0].strip()] if broken else []
    if study.large is None:
        return " ".join([*warning, f"There is no finding yet: {study.refusal}."])
    return " ".join([*warning, *filter(None, (_overall(study), _classes(study), _errors(study)))])


def _benchmark(comparison: Comparison) -> Benchmark | Imported | None:
    """Return the benchmark that the runs used, None where it is not on this machine."""
    run = next(run for runs in comparison.runs.values() for run in runs)
    try:
        found = open_section(run.config["benchmark"])
    except (KeyError, TypeError, ValueError, OSError, ImportError):
        return None
    return found if found.fingerprint == run.data_fingerprint else None


def _overall(study: Study) -> str:
    gap = study.overall
    scores = (
        f"Over {gap.n:,} items {study.large.label} scores {points(gap.large)}% and "
        f"{study.small.label} {points(gap.small)}%"
    )
    interval = (
        f"{signed(gap.difference)} points, 95% interval {signed(gap.low)} to {signed(gap.high)}"
    )
    if gap.verdict == "undecided":
        return f"{scores}; the difference is not distinguishable from zero ({interval})."
    if gap.verdict == "comparable":
        return f"{scores}; the two are comparable, within 3 points ({interval})."
    return f"{scores} ({interval})."


def _classes(study: Study) -> str:
    found = capability_gaps(study)
    by_class = {
        name: [(place, gap) for place, gap in found if gap.verdict == name]
        for name in ("lagging", "leading", "comparable", "undecided")
    }
    parts = []
    for name, said in (("lagging", "lags in"), ("leading", "leads in"),
                       ("comparable", "is comparable in")):  # fmt: skip
        members = sorted(by_class[name], key=lambda pair: -abs(pair[1].difference))
        if members:
            parts.append(f"{said} {len(members)} ({_names(members)})")
    undecided = len(by_class["undecided"])
    if not parts:
        return (
            f"In none of {len(found)} capabilities can the two be told apart, or shown to be "
            "comparable, with this many items."
        )
    text = f"Of {len(found)} capabilities, {study.small.label} {join_words(parts)}"
    rest = f"; {undecided} {'is' if undecided == 1 else 'are'} undecided with this many items"
    return text + (rest if undecided else "") + "."


def _names(members) -> str:
    names = [label("capability", place[1]).lower() for place, _ in members]
    if len(names) > _NAMED:
        return f"most in {join_words(names[:_NAMED])}"
    return join_words(names)


def _errors(study: Study) -> str:
    agreement = error_agreement(study.outcomes(study.large), study.outcomes(study.small))
    text = ""
    if agreement.n and agreement.both_wrong:
        text = (
            f"Both are wrong on {agreement.both_wrong:.0%} of the items "
            f"({agreement.expected:.0%} if errors were independent)"
        )
        if not math.isnan(agreement.shared):
            text += f", and give the same wrong answer to {agreement.shared:.0%} of these"
        text += "."
    guessed = _guessed(study, like_guessing(study, study.large))
    if guessed:
        text += f" Even {study.large.label} cannot be told from random guessing in {guessed}."
    return text.strip()


def _guessed(study: Study, places: list[tuple[str, str]]) -> str:
    if len(places) == len(study.by_capability):
        return "any single capability with this many items"
    names = [label("capability", place[1]).lower() for place in places]
    if len(names) > _NAMED:
        names = [*names[:_NAMED], f"{len(names) - _NAMED} more capabilities"]
    return join_words(names) if names else ""


def like_guessing(study: Study, subject: Subject) -> list[tuple[str, str]]:
    """Return the (suite, capability) in which a model is not better than the random baseline, as
    far as these items show; none where random was not run or was asked other questions.
    """
    random = study.subject("random")
    if random is None:
        return []
    try:
        found = gaps(
            study.outcomes(subject),
            study.outcomes(random),
            by=place_of,
        )
    except ValueError:
        return []
    alike = {
        place
        for place, gap in by_place(found).items()
        if not (gap.low > 0 and gap.corrected <= ALPHA)
    }
    return [place for place, _ in capability_gaps(study) if place in alike]
