"""Whether brackets and controls score what they must: before any model."""

import dataclasses

from mllm.benchmarks.hear.report.layout import CHANCE, CONDITIONS, CONTROLS, label
from mllm.benchmarks.hear.report.study import Study, Subject
from mllm.reporting.comparison import Entry
from mllm.reporting.numbers import points, span
from mllm.reporting.section import Block, Grid, Paragraph, Section
from mllm.reporting.text import join_words

EXACT = 5e-4
FAR = 3.3 / 1.96  # half widths of a 95% interval that luck exceeds once in a thousand reports
_RULE = (
    "Oracle reasons by the ontology from what it is shown and must score 100. Half of the answers "
    "are no in every relation, so a row that always says yes must score 50, and so must one that "
    "guesses, takes every clip for one label, or has no sound where the sound alone is given: each "
    "within 1.7 half widths of its interval, which luck exceeds once in a thousand."
)
# Row -> the conditions in which it must hold chance.
AT_CHANCE = {
    "always_yes": CONDITIONS,
    "random": CONDITIONS,
    "prior": CONDITIONS,
    **dict.fromkeys(CONTROLS, ("A", "R")),
}


@dataclasses.dataclass(frozen=True)
class Check:
    """What a row scores in a condition, and whether it is what it must score."""

    subject: Subject
    condition: str
    entry: Entry
    bound: str
    holds: bool


def check_all(study: Study) -> list[Check]:
    """Return how each bracket and control stands that was run and scored."""
    found = []
    for condition in study.values("condition"):
        oracle = study.subject("oracle")
        entry = study.entry(oracle, condition=condition)
        if entry.value is not None:
            exact = abs(entry.value - 1) < EXACT
            found.append(Check(oracle, condition, entry, "= 100.0", exact))
        for name, conditions in AT_CHANCE.items():
            subject = study.subject(name)
            entry = study.entry(subject, condition=condition)
            if entry.value is not None and condition in conditions:
                holds = _near(entry, CHANCE)
                found.append(Check(subject, condition, entry, f"≈ {points(CHANCE)}", holds))
    return sorted(found, key=lambda check: study.subjects.index(check.subject))


def _near(entry: Entry, chance: float) -> bool:
    if entry.low is None:
        return True
    low = entry.value - FAR * (entry.value - entry.low)
    high = entry.value + FAR * (entry.high - entry.value)
    return low - EXACT <= chance <= high + EXACT


def failures(checks: list[Check]) -> list[str]:
    """Return the labels of rows that do not score what they must."""
    return list(dict.fromkeys(check.subject.label for check in checks if not check.holds))


def verdict(study: Study, checks: list[Check]) -> str:
    """Return sentences that say whether scores can be trusted."""
    parts = []
    if failing := failures(checks):
        verb = "does not score what it must" if len(failing) == 1 else "do not score what they must"
        parts.append(f"Read the scores with this in mind: {join_words(failing)} {verb}.")
    elif checks:
        parts.append("Every bracket and control that was run scores what it must.")
    names = ("oracle", *AT_CHANCE)
    if missing := [name for name in names if study.subject(name) is None]:
        labels = [study.comparison.layout.label(name) for name in missing]
        parts.append(f"Not run: {join_words(labels)}.")
    return " ".join(parts)


def trust_section(study: Study) -> Section:
    """Return brackets and controls with what they must score."""
    checks = check_all(study)
    blocks: list[Block] = [Paragraph(text) for text in (verdict(study, checks),) if text]
    if checks:
        blocks += [check_grid(study, checks), Paragraph(_RULE, note=True)]
    return Section("trust", "Can the scores be trusted?", tuple(blocks), "Trust")


def check_grid(study: Study, checks: list[Check]) -> Grid:
    """Return what each row scores, a column for each condition."""
    conditions = study.values("condition")
    rows = []
    for subject in study.subjects:
        mine = {check.condition: check for check in checks if check.subject is subject}
        if not mine:
            continue
        cells = [_cell(mine.get(condition)) for condition in conditions]
        bound = next(iter(mine.values())).bound
        verdict = "holds" if all(check.holds for check in mine.values()) else "does not hold"
        rows.append((subject.label, *cells, bound, verdict))
    heads = ("Row", *(label("condition", one) for one in conditions), "Must be", "Verdict")
    last = len(heads) - 1
    return Grid("Accuracy of brackets and controls", heads, tuple(rows), words=(last,))


def _cell(check: Check | None) -> str:
    if check is None:
        return "–"
    entry = check.entry
    interval = "" if entry.low is None or check.bound[0] == "=" else span(entry.low, entry.high)
    return f"{points(entry.value)} ({interval})" if interval else points(entry.value)
