"""A few sentences: whether fusion beats the best single encoder, and what it depends on."""

from mllm.benchmarks.bracketed import failures
from mllm.benchmarks.photo.report.contrasts import OTHERS
from mllm.benchmarks.photo.report.layout import CHANCE, CONTROLS
from mllm.benchmarks.photo.report.study import Study, Subject
from mllm.benchmarks.photo.report.trust import check_all
from mllm.reporting.compared import Compared
from mllm.reporting.comparison import Comparison
from mllm.reporting.numbers import points, said, signed, signed_span
from mllm.reporting.text import join_words

FINDING_RULE = (
    "Computed from questions about photographs whose sources nothing was learned from, answered by "
    "the log-probability of the option texts. In brackets: 95% intervals that resample "
    "sources; differences are paired by question. The best single encoder is the one that "
    "scores highest on these same questions, which favours it. Better and worse: the interval of "
    "the difference excludes 0."
)


def finding(comparison: Comparison) -> str:
    """Return what the numbers show."""
    study = Study(comparison)
    parts = []
    if failing := failures(check_all(study)):
        parts.append(f"Rows that do not score what they must: {join_words(failing)}.")
    entry = study.entry(study.fused)
    if study.fused is None or entry.value is None:
        return " ".join([*parts, "The fused model was not evaluated yet."])
    sources = study.clusters(study.fused)
    of = f" about photographs of {sources:,} sources" if sources else ""
    parts.append(
        f"The fused model answers {said(entry)} of {entry.n:,.0f} questions{of} right; chance is "
        f"{points(CHANCE)}%."
    )
    parts += filter(None, (_against_best(study), _against_others(study), _controls(study)))
    return " ".join(parts)


def _against_best(study: Study) -> str:
    """Return whether fusion beats the best single encoder."""
    best = study.best_single
    found = study.compare(study.fused, best)
    if found is None:
        return "No single encoder was evaluated to compare it with."
    scores = f"{best.label} scores {said(study.entry(best))}"
    span = f" ({signed_span(found.low, found.high)})"
    difference = f"{signed(found.difference)} points{span}{_seeds(found)}"
    if not found.clear:
        return (
            f"Whether fusion beats the best single encoder is not decided: {scores}, a difference "
            f"of {difference}."
        )
    verb = "beats" if found.difference > 0 else "does not beat"
    return f"It {verb} the best single encoder: {scores}, a difference of {difference}."


def _points_text(found: Compared) -> str:
    return f"{signed(found.difference)} points, {signed_span(found.low, found.high)}"


def _seeds(found: Compared) -> str:
    values = [*found.by_seed.values()]
    if len(values) < 2:
        return ", from one seed" if values else ""
    return f", by seed {join_words([signed(value) for value in values])}"


def _against_others(study: Study) -> str:
    """Return how it compares with other ways to join the encoders."""
    kinds: dict[str, list[str]] = {"better": [], "not told apart": [], "worse": []}
    for name in OTHERS:
        other = study.subject(name)
        if (found := study.compare(study.fused, other)) is None:
            continue
        kind = "not told apart"
        if found.clear:
            kind = "better" if found.difference > 0 else "worse"
        kinds[kind].append(f"{_named(other)} ({_points_text(found)})")
    words = {
        "better": "better than",
        "not told apart": "not told apart from",
        "worse": "worse than",
    }
    parts = [f"{words[kind]} {join_words(found)}" for kind, found in kinds.items() if found]
    return f"It is {join_words(parts)}." if parts else ""


def _named(other: Subject) -> str:
    words = {"joint": "concatenation", "unguided": "the model that no language guides"}
    return words.get(other.key[0], other.label)


def _controls(study: Study) -> str:
    """Return what is left of it without the right photograph."""
    names = {"blind": "without a photograph", "blank": "with a grey one", "wrong_photo": "with a "
             "wrong one"}  # fmt: skip
    parts = [
        f"{points(entry.value)}% {names[name]}"
        for name in CONTROLS
        if (entry := study.entry(study.subject(name))).value is not None
    ]
    return f"The same model scores {join_words(parts)}." if parts else ""
