"""The same questions about a label in words, a sound, and a caption, relation by relation."""

import math
from collections.abc import Sequence
from functools import partial

from mllm.benchmarks.hear.probed import ALL
from mllm.benchmarks.hear.report.layout import (
    CHANCE,
    CONDITION_STYLES,
    LEGEND,
    label,
)
from mllm.benchmarks.hear.report.study import Compared, Study, Subject
from mllm.reporting.charts import Bar, Intervals, Span, intervals_figure
from mllm.reporting.comparison import Entry
from mllm.reporting.figures import LIGHT, Theme
from mllm.reporting.lines import Line, Lines, lines_figure
from mllm.reporting.numbers import points, signed, signed_span
from mllm.reporting.section import (
    Block,
    Details,
    Drawing,
    Grid,
    Listing,
    Panel,
    Paragraph,
    Scores,
    Section,
)
from mllm.reporting.standard import seed_rule
from mllm.reporting.tables import Column, Row, Table

GAPS = ("T-A", "C-A", "AT-A")
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


def gap_figure(study: Study, one: Subject, theme: Theme = LIGHT):
    """Draw the differences between label and sound of a model."""
    relations, bars = study.values("relation"), []
    for row, relation in enumerate(relations):
        if (found := study.gap(one, relation, GAPS[0])) is not None:
            span = tuple(100 * end for end in (found.difference, found.low, found.high))
            style = study.comparison.style(one.method)
            bars.append(Bar(row, span, style, filled=found.clear))
    names = [label("relation", relation) for relation in relations]
    panel = Intervals(one.label, tuple(bars))
    return intervals_figure(names, [panel], "label less sound, in points", theme)


def told(found: Compared | None) -> str:
    """Return a difference with its interval, a dash for none."""
    if found is None:
        return "–"
    return f"{signed(found.difference)} ({signed_span(found.low, found.high)})"


def seeds_of(found: Compared | None) -> str:
    """Return the difference in each seed, a dash where there is one seed."""
    values = () if found is None else found.by_seed
    return "–" if len(values) < 2 else ", ".join(map(signed, values))


def gap_grid(study: Study) -> Grid:
    """Return the differences between conditions by model and relation."""
    rows = []
    for one in study.models:
        for relation in study.values("relation"):
            found = [study.gap(one, relation, pair) for pair in GAPS]
            if any(found):
                name = f"{one.label}: {label('relation', relation).lower()}"
                rows.append((name, *map(told, found), seeds_of(found[0])))
    heads = ("Relation", *(label("condition", pair) for pair in GAPS), "Label less sound, by seed")
    return Grid("Differences between conditions, in points", heads, tuple(rows))


def recognised_grid(study: Study) -> Grid:
    """Return what is known of recognised clips, by model and relation."""
    rows = []
    for one in study.models:
        for relation in study.values("relation"):
            measured = [
                study.entry(one, "accuracy_recognised", relation=relation, condition="A"),
                study.entry(one, "consistency", relation=relation, condition="T"),
                study.entry(one, "consistency", relation=relation, condition="A"),
            ]
            if measured[1].value is None and measured[2].value is None:
                continue
            gap = study.entry(one, "gap_recognised", relation=relation, condition=GAPS[0])
            name = f"{one.label}: {label('relation', relation).lower()}"
            cells = [points(entry.value) for entry in measured]
            rows.append((name, cells[0], signed(gap.value), *cells[1:]))
    heads = (
        "Relation",
        "Sound, recognised",
        "Label less sound, recognised",
        "Consistency, label",
        "Consistency, sound",
    )
    return Grid("Recognised clips", heads, tuple(rows))


def bias_grid(study: Study) -> Grid:
    """Return what a bias to yes makes of the answers, by row and condition."""
    rows = []
    for one in study.subjects:
        for condition in study.values("condition"):
            rate = study.entry(one, "yes_rate", condition=condition)
            if rate.value is None:
                continue
            d_prime = study.entry(one, "d_prime", condition=condition).value
            rows.append(
                (
                    f"{one.label}: {label('condition', condition).lower()}",
                    points(study.entry(one, "balanced_accuracy", condition=condition).value),
                    points(rate.value),
                    "–" if d_prime is None else f"{d_prime:.2f}".replace("-", "−"),
                    points(study.entry(one, "auc", condition=condition).value),
                )
            )
    heads = ("Row", "Balanced accuracy", "Share of yes", "d′", "AUC")
    return Grid("Bias over all relations", heads, tuple(rows))
