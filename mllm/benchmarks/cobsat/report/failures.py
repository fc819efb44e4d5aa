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
Rows = dict[tuple[str, str], list[Record]]  # (mode, label) -> records
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
    rows: Rows = {
        (mode, one.label): records
        for mode in study.modes
        for one in shown
        if (records := one.asked(mode=mode, prompt=DEFAULT))
    }
    if not rows:
        return None
    blocks = _breakdown(study, rows, "Failures on default prompts", "failures")
    drawer = study.drawer
    by_prompt: Rows = {
        (mode, label("prompt", prompt)): records
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


def _breakdown(study: Study, rows: Rows, title: str, name: str) -> list[Block]:
    counts = {row: count_kinds(study, records) for row, records in rows.items()}

    def draw(theme):
        return stacked_figure(
            {f"{row}, {mode}": found for (mode, row), found in counts.items()},
            {f"{row}, {mode}": len(records) for (mode, row), records in rows.items()},
            KINDS,
            COLOURS,
            "wrong answers (% of prompts)",
            theme,
        )

    grids = [
        _grid(title, label("mode", mode),
              {place: (rows[place], counts[place]) for place in rows if place[0] == mode})
        for mode in dict.fromkeys(mode for mode, _ in rows)
    ]  # fmt: skip
    return [Drawing((Panel(draw, title),), _BARS, columns=1, saved={name: draw}), *grids]


def _grid(
    title: str, mode: str, rows: Mapping[tuple[str, str], tuple[Sequence[Record], Counter[str]]]
) -> Grid:
    """Return the counts of one mode: kinds by rows."""
    used = [kind for kind in KINDS if any(counted[kind] for _, counted in rows.values())]
    made = [
        (KINDS[kind][0].upper() + KINDS[kind][1:],
         *(_share(counted[kind], len(records)) for records, counted in rows.values()))
        for kind in used
    ]  # fmt: skip
    made.append(
        ("All wrong", *(_share(sum(found.values()), len(all)) for all, found in rows.values()))
    )
    sides = [
        (Counter(sides_of(r) for r in records if not r["metrics"]["overall"]), len(records))
        for records, _ in rows.values()
    ]
    made += [
        (f"of which {words}", *(_share(found[side], total) for found, total in sides))
        for side, words in SIDES.items()
    ]
    made.append(("Prompts", *(f"{len(records):,}" for records, _ in rows.values())))
    return Grid(f"{title}, {mode.lower()}", (mode, *(row for _, row in rows)), tuple(made))


def _share(count: int, total: int) -> str:
    return f"{count} ({100 * count / total:.1f}%)" if count else "0"
