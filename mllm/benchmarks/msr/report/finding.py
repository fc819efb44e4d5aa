"""A few sentences: how well the recommender ranks, and which others it is better than."""

from mllm.benchmarks.msr.report.layout import HEADLINE, NAMES
from mllm.benchmarks.msr.report.study import Study, Subject
from mllm.benchmarks.msr.report.trust import above_ceiling, check_all
from mllm.benchmarks.msr.scores import ALL
from mllm.reporting.comparison import Comparison
from mllm.reporting.numbers import points, said, signed
from mllm.reporting.text import join_words

FINDING_RULE = (
    "Computed from the AUC over all pairs of a taken and another candidate of test users. In "
    "brackets: 95% intervals over users. Better and worse: the 95% interval of the difference, "
    "paired by user, excludes 0. A cold target is an item that nobody takes in the log that "
    "methods learn from."
)
_AGAINST = ("popularity", "zero_shot", "tallrec", "sasrec", "sasrec_f")
_WHERE = {ALL: "In points of AUC", "warm": "On warm targets", "cold": "On cold targets"}


def finding(comparison: Comparison) -> str:
    """Return what the numbers show."""
    study = Study(comparison)
    parts = []
    failing = [check.subject.label for check in check_all(study) if not check.holds]
    if failing:
        parts.append(f"Brackets that do not score what they must: {join_words(failing)}.")
    if above := above_ceiling(study):
        names = join_words([one.label for one in above])
        parts.append(f"Above the Bayes ceiling, which points to a leak: {names}.")
    mine = study.recommender
    entry = study.entry(mine)
    if mine is None or entry.value is None:
        return " ".join([*parts, "The recommender was not evaluated yet."])
    parts.append(_level(study, mine))
    parts += [text for target in (ALL, *study.targets) if (text := _target(study, mine, target))]
    return " ".join(parts)


def _level(study: Study, mine: Subject) -> str:
    """Return a sentence with the score, the ceiling and chance."""
    entry, ceiling = study.entry(mine), study.entry(study.subject("bayes"))
    text = f"{mine.label} reaches an {NAMES[HEADLINE]} of {said(entry)} over {entry.n:,.0f} users"
    if ceiling.value is not None:
        text += f"; the Bayes ceiling of these data is {points(ceiling.value)}%"
    return f"{text}."


def _target(study: Study, mine: Subject, target: str) -> str:
    """Return a sentence about some targets: which methods are better, worse or not told apart."""
    kinds: dict[str, list[str]] = {"better": [], "not told apart": [], "worse": []}
    for name in _AGAINST:
        other = study.subject(name)
        found = study.compare(mine, other, target=target)
        if found is None:
            continue
        kind = "not told apart"
        if found.clear:
            kind = "better" if found.difference > 0 else "worse"
        kinds[kind].append(f"{other.label} ({signed(found.difference)})")
    words = [
        f"{words} {join_words(kinds[kind])}"
        for kind, words in (
            ("better", "is better than"),
            ("not told apart", "is not told apart from"),
            ("worse", "is worse than"),
        )
        if kinds[kind]
    ]
    if not words:
        return ""
    return f"{_WHERE[target]} it {join_words(words)}."
