"""Whether brackets and controls score what they must: before any model."""

from mllm.benchmarks.bracketed import EXACT, Check, exactly, nearly, verdict
from mllm.benchmarks.photo.report.layout import CHANCE, CONTROLS, READING, label
from mllm.benchmarks.photo.report.study import Study, Subject
from mllm.reporting.numbers import points, span
from mllm.reporting.section import Block, Grid, Paragraph, Section
from mllm.reporting.text import join_words

_NOT_ROTATION = ("text", "letter", "generated")
_RULE = (
    "Oracle knows the keys and must score 100 in every reading. Random draws an option. Without "
    "the right photograph nothing but the wording of questions and options is left, and the keys "
    "are balanced: these rows must hold chance, {}%, within 1.7 half widths of their interval, "
    "which luck exceeds once in a thousand. A question that is right in all four orders of its "
    "options is right in the first: no row may score more by all orders than by letter."
)


def check_all(study: Study) -> list[Check]:
    """Return how each bracket and control stands that was run and scored."""
    found = []
    for name in ("oracle", "random", *CONTROLS):
        subject = study.subject(name)
        for reading in study.readings:
            exact = name == "oracle" and reading != "critique"
            # Controls are the model itself: of letters they may prefer one, of texts none is right
            # more often than another.
            by_chance = name == "random" and reading in _NOT_ROTATION
            by_chance = by_chance or (name in CONTROLS and reading == READING)
            entry = study.entry(subject, reading=reading)
            if entry.value is None or not (exact or by_chance):
                continue
            check = exactly(subject, reading, entry, 1.0)
            found.append(check if exact else nearly(subject, reading, entry, CHANCE))
    return found


def inconsistent(study: Study) -> list[Subject]:
    """Return the rows that score more in all orders of the options than in the first."""
    found = []
    for one in study.subjects:
        plain, all_orders = (study.entry(one, reading=r).value for r in ("letter", "rotation"))
        if plain is not None and all_orders is not None and all_orders > plain + EXACT:
            found.append(one)
    return found


def told(study: Study, checks: list[Check]) -> str:
    """Return sentences that say whether scores can be trusted."""
    further = []
    if odd := inconsistent(study):
        names = join_words([one.label for one in odd])
        further.append(f"More questions are right in all four orders than in the first: {names}.")
    missing = [name for name in ("oracle", "random", *CONTROLS) if study.subject(name) is None]
    return verdict(checks, [study.comparison.layout.label(name) for name in missing], further)


def trust_section(study: Study) -> Section:
    """Return brackets and controls with what they must score."""
    checks = check_all(study)
    blocks: list[Block] = [Paragraph(text) for text in (told(study, checks),) if text]
    if checks:
        heads = ("Row", "Reading", "Questions", "Accuracy", "95% interval", "Must be", "Verdict")
        blocks.append(Grid("Brackets and controls", heads, tuple(map(_row, checks)), words=(1, 6)))
        blocks.append(Paragraph(_RULE.format(points(CHANCE)), note=True))
    return Section("trust", "Can the scores be trusted?", tuple(blocks), "Trust")


def _row(check: Check) -> tuple[str, ...]:
    return (
        check.subject.label,
        label("reading", check.place),
        f"{check.entry.n:,.0f}",
        points(check.entry.value),
        span(check.entry.low, check.entry.high),
        check.bound,
        "holds" if check.holds else "does not hold",
    )
