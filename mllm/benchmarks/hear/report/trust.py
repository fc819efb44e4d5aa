"""Whether brackets and controls score what they must: before any model."""

from mllm.benchmarks.bracketed import Check, exactly, nearly, verdict
from mllm.benchmarks.hear.report.layout import CHANCE, CONDITIONS, CONTROLS, label
from mllm.benchmarks.hear.report.study import Study
from mllm.reporting.numbers import points, span
from mllm.reporting.section import Block, Grid, Paragraph, Section

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


def check_all(study: Study) -> list[Check]:
    """Return how each bracket and control stands that was run and scored, by condition."""
    found = []
    for condition in study.values("condition"):
        oracle = study.subject("oracle")
        entry = study.entry(oracle, condition=condition)
        if entry.value is not None:
            found.append(exactly(oracle, condition, entry, 1.0))
        for name, conditions in AT_CHANCE.items():
            subject = study.subject(name)
            entry = study.entry(subject, condition=condition)
            if entry.value is not None and condition in conditions:
                found.append(nearly(subject, condition, entry, CHANCE))
    return sorted(found, key=lambda check: study.subjects.index(check.subject))


def told(study: Study, checks: list[Check]) -> str:
    """Return sentences that say whether scores can be trusted."""
    missing = [name for name in ("oracle", *AT_CHANCE) if study.subject(name) is None]
    return verdict(checks, [study.comparison.layout.label(name) for name in missing])


def trust_section(study: Study) -> Section:
    """Return brackets and controls with what they must score."""
    checks = check_all(study)
    blocks: list[Block] = [Paragraph(text) for text in (told(study, checks),) if text]
    if checks:
        blocks += [check_grid(study, checks), Paragraph(_RULE, note=True)]
    return Section("trust", "Can the scores be trusted?", tuple(blocks), "Trust")


def check_grid(study: Study, checks: list[Check]) -> Grid:
    """Return what each row scores, a column for each condition."""
    conditions = study.values("condition")
    rows = []
    for subject in study.subjects:
        mine = {check.place: check for check in checks if check.subject is subject}
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
