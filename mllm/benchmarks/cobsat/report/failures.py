"""Why answers are wrong: kinds of failures of each model and of its controls."""

from collections import Counter
from collections.abc import Mapping, Sequence

from mllm.benchmarks.cobsat.report.kinds import (
    KINDS,
    RIGHT,
    SIDES,
    kind_of,
    misleading_words,
    sides_of,
)
from mllm.benchmarks.cobsat.report.layout import label
from mllm.benchmarks.cobsat.report.study import DEFAULT, Record, Study
from mllm.reporting.section import Block, Drawing, Grid, Heading, Panel, Paragraph, Section
from mllm.reporting.stacked import stacked_figure

CONTROLS = ("blind", "other_theta")
# Neighbours of a bar differ in hue and in lightness.
COLOURS = dict(
    zip(
        KINDS,
        ("#66625b", "#B8B3A8", "#0072B2", "#56B4E9", "#F0E442", "#E69F00", "#009E73", "#D55E00"),
        strict=True,
    )
)
_RULE = (
    "Every wrong answer is of one kind, the first that fits in the order of the table; what an "
    "answer shows is what the judge, or its words, say. With other pictures shown, “the last "
    "picture again” is about the pictures that the prompt should have had."
)
_BARS = "Wrong answers in percent of all prompts, by kind; the whole bar is the error."


def failure_section(study: Study) -> Section | None:
    """Return the kinds by row on default prompts, and by type of prompt for the drawer."""
    shown = [*study.models, *(one for name in CONTROLS if (one := study.subject(name)))]
    rows = {
        f"{one.label}, {mode}": records
        for mode in study.modes
        for one in shown
        if (records := one.asked(mode=mode, prompt=DEFAULT))
    }
    if not rows:
        return None
    blocks = _breakdown(study, rows, "Failures on default prompts", "failures")
    drawer = study.drawer
    by_prompt = {
        f"{label('prompt', prompt)}, {mode}": records
        for mode in study.modes
        for prompt in study.prompts
        if drawer and (records := drawer.asked(mode=mode, prompt=prompt))
    }
    if drawer and len(study.prompts) > 1:
        blocks.append(Heading(f"{drawer.label}, by type of prompt"))
        blocks += _breakdown(study, by_prompt, "Failures by type of prompt", "failures_prompts")
    blocks.append(Paragraph(_RULE, note=True))
    return Section("failures", "How answers fail", tuple(blocks), "Failures")


def count_kinds(study: Study, records: Sequence[Record]) -> Counter[str]:
    """Return kind -> wrong answers."""
    found = Counter(kind_of(record, misleading_words(record, study.data)) for record in records)
    del found[RIGHT]
    return found


def _breakdown(
    study: Study, rows: Mapping[str, Sequence[Record]], title: str, name: str
) -> list[Block]:
    counts = {row: count_kinds(study, records) for row, records in rows.items()}
    totals = {row: len(records) for row, records in rows.items()}

    def draw(theme):
        return stacked_figure(counts, totals, KINDS, COLOURS, "wrong answers (% of prompts)", theme)

    used = [kind for kind in KINDS if any(one[kind] for one in counts.values())]
    made = [
        (KINDS[kind].capitalize(), *(_share(one[kind], totals[row]) for row, one in counts.items()))
        for kind in used
    ]
    sides = {
        row: Counter(sides_of(r) for r in records if not r["metrics"]["overall"])
        for row, records in rows.items()
    }
    made.append(
        ("All wrong", *(_share(sum(one.values()), totals[row]) for row, one in counts.items()))
    )
    made += [
        (f"of which {words}", *(_share(one[side], totals[row]) for row, one in sides.items()))
        for side, words in SIDES.items()
    ]
    made.append(("Prompts", *(f"{total:,}" for total in totals.values())))
    return [
        Drawing((Panel(draw, title),), _BARS, columns=1, saved={name: draw}),
        Grid(title, ("Kind", *rows), tuple(made)),
    ]


def _share(count: int, total: int) -> str:
    return f"{count} ({100 * count / total:.1f}%)" if count else "0"
