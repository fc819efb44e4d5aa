"""The same questions about a label in words, a sound, and a caption, relation by relation."""

import math
from collections.abc import Sequence
from functools import partial

from mllm.benchmarks.hear.probed import ALL
from mllm.benchmarks.hear.report.differences import (
    GAPS,
    bias_grid,
    gap_figure,
    gap_grid,
    recognised_grid,
)
from mllm.benchmarks.hear.report.layout import (
    CHANCE,
    CONDITION_STYLES,
    LEGEND,
    label,
)
from mllm.benchmarks.hear.report.study import Study
from mllm.benchmarks.subject import Subject
from mllm.reporting.charts import Span
from mllm.reporting.comparison import Entry
from mllm.reporting.figures import LIGHT, Theme
from mllm.reporting.lines import Line, Lines, lines_figure
from mllm.reporting.numbers import points
from mllm.reporting.section import (
    Block,
    Details,
    Drawing,
    Listing,
    Panel,
    Paragraph,
    Scores,
    Section,
)
from mllm.reporting.standard import seed_rule
from mllm.reporting.tables import Column, Row, Table

_RULE = (
    "Percentages of yes-or-no questions that are right; chance is {}%. The question is the same in "
    "every condition, only what comes before it differs. In “other sound” a clip is played of "
    "which the opposite is true: a model that reads words alone scores there what it misses with "
    "the right sound. The small numbers are 95% intervals; with the label alone they resample "
    "labels, else base signals. {}"
)
_FIGURE = (
    "Accuracy by relation with 95% intervals. A line is what the model is given before the "
    "question; the dashed line is chance."
)
_GAPS = (
    "Accuracy with the label as text less accuracy with the sound alone, in points, on the same "
    "questions; intervals resample base signals. Right of the line the model knows from words what "
    "it does not know from sounds. Open marks: the interval holds 0."
)
_RECOGNISED = (
    "“Recognised” counts the clips alone of which the model says yes to their label when it hears "
    "them: what is missing there is not hearing. Consistency is the share of yes to true synonyms, "
    "parents or grandparents among clips whose label got a yes in the same condition."
)


def condition_section(study: Study) -> Section:
    """Return accuracy by relation and condition, and the differences between conditions."""
    title = "From words and from sounds"
    if not study.models or not study.values("condition"):
        return Section("relations", title, (Paragraph("Nothing is scored yet."),), "Relations")
    table = condition_table(study, study.models)
    rule = _RULE.format(points(CHANCE), seed_rule(study.comparison)).strip()
    panels = {
        f"relations_{one.method}": Panel(
            partial(condition_figure, study, one),
            f"{one.label}: accuracy by relation and condition",
        )
        for one in study.models
    }
    saved = {name: panel.draw for name, panel in panels.items()}
    blocks: list[Block] = [
        Scores(table),
        Paragraph(rule, note=True),
        Listing(legend(study.models)),
        Drawing(tuple(panels.values()), _FIGURE, 2, saved),
    ]
    if any(study.gap(one, ALL, GAPS[0]) for one in study.models):
        gaps = {
            f"gaps_{one.method}": Panel(
                partial(gap_figure, study, one),
                f"{one.label}: accuracy with the label less accuracy with the sound, by relation",
            )
            for one in study.models
        }
        saved = {name: panel.draw for name, panel in gaps.items()}
        blocks += [
            Drawing(tuple(gaps.values()), _GAPS, 2, saved),
            gap_grid(study),
            recognised_grid(study),
            Paragraph(_RECOGNISED, note=True),
        ]
    blocks.append(Details("Bias: share of yes, d′ and AUC", (bias_grid(study),)))
    return Section("relations", title, tuple(blocks), "Relations")


def legend(subjects: Sequence[Subject]) -> tuple[tuple[str, str], ...]:
    """Return what each row is, in words; rows without words are left out."""
    return tuple((one.label, LEGEND[one.method]) for one in subjects if one.method in LEGEND)


def condition_table(study: Study, subjects: Sequence[Subject]) -> Table:
    """Return accuracy: rows by relations, columns by models and conditions."""
    conditions = study.values("condition")
    places = [(one, condition) for one in subjects for condition in conditions]
    rows = []
    for relation in study.values("relation"):
        cells = [study.cell(relation=relation, condition=condition) for _, condition in places]
        entries = tuple(
            study.comparison.entry(one.key, cell)
            for (one, _), cell in zip(places, cells, strict=True)
        )
        asked = max((entry.n or 0 for entry in entries), default=0)
        name = label("relation", relation)
        rows.append(Row(name, "axis", f"{asked:,.0f} questions" if asked else "", entries))
    columns = tuple(
        Column((one.label, label("condition", condition)), (one.label, condition))
        for one, condition in places
    )
    return Table(
        "Accuracy by relation and condition", "accuracy", "Relation", columns,
        tuple(row for row in rows if row.measured), study.comparison.heading,
    )  # fmt: skip


def spans(entries: Sequence[Entry]) -> tuple[Span | None, ...]:
    """Return entries in percent as figures take them."""
    return tuple(
        None
        if one.value is None
        else tuple(math.nan if end is None else 100 * end for end in (one.value, one.low, one.high))
        for one in entries
    )


def condition_figure(study: Study, one: Subject, theme: Theme = LIGHT):
    """Draw the accuracy of a model by relation, a line for each condition."""
    relations = [relation for relation in study.values("relation") if relation != ALL]
    lines = [
        Line(
            label("condition", condition),
            spans([study.entry(one, relation=r, condition=condition) for r in relations]),
            CONDITION_STYLES.get(condition, study.comparison.style(one.method)),
        )
        for condition in study.values("condition")
    ]
    chance = tuple((100 * CHANCE, math.nan, math.nan) for _ in relations)
    lines.append(Line("Chance", chance, CONDITION_STYLES["R"], reference=True))
    names = [label("relation", relation) for relation in relations]
    return lines_figure(names, [Lines(one.label, tuple(lines))], "", "accuracy in %", theme)
