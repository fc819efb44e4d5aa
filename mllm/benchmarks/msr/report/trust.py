"""Whether the brackets score what they must, and whether anything leaks: before any method."""

import dataclasses

from mllm.benchmarks.msr.report.chance import guessing, guessing_errors
from mllm.benchmarks.msr.report.layout import NAMES
from mllm.benchmarks.msr.report.study import Study, Subject
from mllm.benchmarks.msr.scores import ALL
from mllm.reporting.comparison import Entry
from mllm.reporting.numbers import points, span
from mllm.reporting.section import Block, Grid, Listing, Paragraph, Section
from mllm.reporting.text import join_words

METRICS = ("auc_pooled", "hr@5", "mrr@5")
EXACT = 5e-4  # of a score that follows from the number of candidates alone
FAR = 3.3  # standard errors from chance, which luck exceeds once in a thousand reports
_RULE = (
    "Oracle gives the taken item the highest score, and must score 100. Constant gives all "
    "candidates one score: with expected credit for ties it must score {} exactly. Random orders "
    "candidates at random and must lie within {:g} standard errors of these values. The Bayes "
    "ceiling ranks by the true chances given the history, which only generated "
    "data know: no method can be better on average, so one whose interval lies above it has seen "
    "what it must not."
)
_NO_CEILING = "It was not run here; of data that were imported nobody knows it."


@dataclasses.dataclass(frozen=True)
class Check:
    """What a bracket scores, and whether it is what it must score.

    Attributes:
      bounds: metric -> what it must be, in words.
    """

    subject: Subject
    entries: dict[str, Entry]
    bounds: dict[str, str]
    holds: bool


def check_all(study: Study) -> list[Check]:
    """Return how each bracket stands that was run and scored."""
    chance = guessing(study.candidates) if study.candidates else {}
    exactly = dict.fromkeys(METRICS, EXACT)
    found = []
    for name, expected in (
        ("oracle", dict.fromkeys(METRICS, 1.0)),
        ("random", chance),
        ("constant", chance),
    ):
        subject = study.subject(name)
        entries = {metric: study.entry(subject, metric) for metric in METRICS}
        if any(entry.value is None for entry in entries.values()):
            continue
        sign, slack = "=", exactly
        if name == "random":
            errors = guessing_errors(study.candidates, entries[METRICS[0]].n)
            sign, slack = "≈", {metric: FAR * error for metric, error in errors.items()}
        bounds = {metric: f"{sign} {points(expected[metric])}" for metric in METRICS}
        holds = all(
            abs(entry.value - expected[metric]) < slack[metric] for metric, entry in entries.items()
        )
        found.append(Check(subject, entries, bounds, holds))
    return found


def above_ceiling(study: Study) -> list[Subject]:
    """Return the methods that are better than the Bayes ceiling beyond the interval of the
    difference, on all, warm or cold targets.
    """
    ceiling = study.subject("bayes")
    return [
        one
        for one in (*study.models, *study.ablations)
        if any(
            (found := study.compare(one, ceiling, target=target)) is not None and found.low > 0
            for target in (ALL, *study.targets)
        )
    ]


def leaks(study: Study) -> dict[str, str]:
    """Return what was looked for in the records and in the data -> what was found."""
    targets = negatives = repeated = users = 0
    for one in (*study.models, *study.ablations):
        for rows in one.users.values():
            users += 1
            seen = {id for block in rows[0].get("trace") or () for id in block["items"]}
            targets += rows[0]["item"] in seen
            negatives += any(row["item"] in seen for row in rows[1:])
            repeated += len({row["item"] for row in rows}) < len(rows)
    found = {
        "The taken item in the history that a preference was made from": _counted(targets, users),
        "Another candidate in that history": _counted(negatives, users),
        "A candidate that a user is asked about twice": _counted(repeated, users),
        f"One taken item among {study.candidates} candidates": f"all {users:,}",
    }
    if study.benchmark is not None:
        found |= _leaks_of_data(study)
    return found


def _leaks_of_data(study: Study) -> dict[str, str]:
    """Return what the data set itself promises, checked on its rows."""
    benchmark = study.benchmark
    log: dict[str, set[str]] = {}
    for user, item, _ in benchmark.log:
        log.setdefault(user, set()).add(item)
    tested = list(benchmark.users("test"))
    in_log = sum(user.target in log.get(user.id, ()) for user in tested)
    taken = sum(bool(set(user.negatives) & log.get(user.id, set())) for user in tested)
    ids = {split: {user.id for user in benchmark.users(split)} for split in ("train", "test")}
    shared = len(ids["train"] & ids["test"])
    return {
        "A test target in the log that methods learn from": _counted(in_log, len(tested)),
        "A negative that the user took": _counted(taken, len(tested)),
        "Users both to learn from and to test": (
            f"{shared:,} of {len(tested):,}; by design where the last items of each user are left "
            "out" if shared else f"none of {len(tested):,}"
        ),
    }  # fmt: skip


def _counted(count: int, users: int) -> str:
    return f"{count:,} of {users:,}" if count else f"none of {users:,}"


def verdict(study: Study, checks: list[Check]) -> str:
    """Return sentences that say whether scores can be trusted."""
    failing = [check.subject.label for check in checks if not check.holds]
    missing = [name for name in ("oracle", "random", "constant") if study.subject(name) is None]
    parts = []
    if failing:
        verb = "does not score what it must" if len(failing) == 1 else "do not score what they must"
        parts.append(f"Do not trust the scores of this report yet: {join_words(failing)} {verb}.")
    elif checks:
        parts.append("Every bracket that was run scores what it must.")
    if above := above_ceiling(study):
        verb = "is" if len(above) == 1 else "are"
        parts.append(
            f"{join_words([one.label for one in above])} {verb} better than the Bayes ceiling, "
            "which no method can be: look for a leak."
        )
    if missing:
        names = [study.comparison.layout.label(name) for name in missing]
        parts.append(f"Not run: {join_words(names)}.")
    return " ".join(parts)


def trust_section(study: Study) -> Section:
    """Return the brackets with what they must score, and what was looked for as a leak."""
    checks = check_all(study)
    blocks: list[Block] = [Paragraph(text) for text in (verdict(study, checks),) if text]
    if checks:
        heads = ("Bracket", *(head for metric in METRICS for head in (NAMES[metric], "Must be")),
                 "95% interval of AUC", "Verdict")  # fmt: skip
        blocks.append(Grid("Brackets", heads, tuple(map(_row, checks)), words=(8,)))
        chance = guessing(study.candidates)
        values = join_words([f"{NAMES[name]} {points(chance[name])}" for name in METRICS])
        note = _RULE.format(values, FAR)
        if study.subject("bayes") is None:
            note = f"{note} {_NO_CEILING}"
        blocks.append(Paragraph(note, note=True))
    if any(one.users for one in study.models):
        blocks.append(
            Paragraph("What was looked for, of all users of all methods and in the data:")
        )
        blocks.append(Listing(tuple(leaks(study).items())))
    return Section("trust", "Can the scores be trusted?", tuple(blocks), "Trust")


def _row(check: Check) -> tuple[str, ...]:
    cells = [
        text
        for metric in METRICS
        for text in (points(check.entries[metric].value), check.bounds[metric])
    ]
    auc = check.entries[METRICS[0]]
    held = "holds" if check.holds else "does not hold"
    return (check.subject.label, *cells, span(auc.low, auc.high), held)
