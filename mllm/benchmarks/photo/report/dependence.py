"""What the fused model answers without the photograph, with a grey one, or with another."""

import dataclasses
from collections.abc import Sequence

from mllm.benchmarks.photo.report.layout import CHANCE, label
from mllm.benchmarks.photo.report.study import Study, Subject
from mllm.benchmarks.photo.report.topics import legend, shown_controls, topic_table
from mllm.benchmarks.photo.scores import ALL
from mllm.reporting.charts import Bar, Intervals, intervals_figure
from mllm.reporting.figures import LIGHT, Theme
from mllm.reporting.numbers import points, said, signed, signed_span
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
from mllm.reporting.tables import Table
from mllm.reporting.text import join_words

_FIGURE = (
    "{} less itself with another picture or none, by topic, in points of accuracy with 95% "
    "intervals that resample sources. Open marks: the interval holds 0, so the answers do not "
    "show that the photograph matters for this topic."
)


_WITH = {
    "blind": "without a photograph",
    "blank": "with a grey picture",
    "wrong_photo": "with another photograph",
}


def dependence_section(study: Study) -> Section | None:
    """Return the model next to its controls by topic; None where no control was run."""
    subjects = [one for one in shown_controls(study) if study.entry(one).value is not None]
    if study.fused not in subjects or len(subjects) < 2:
        return None
    controls = subjects[1:]
    panels = tuple(
        Panel(
            lambda theme, one=one: dependence_figure(study, [one], theme),
            f"{study.fused.label} less itself {_WITH[one.key[0]]}, by topic",
        )
        for one in controls
    )
    title = "Accuracy by topic with the right photograph, and without it"
    blocks: list[Block] = [
        Paragraph(level(study, controls)),
        Scores(_unmarked(topic_table(study, subjects), title)),
        Listing(legend(study, controls)),
        Drawing(panels, _FIGURE.format(study.fused.label),
                saved={"dependence": lambda theme: dependence_figure(study, controls, theme)}),
        Details("Differences by topic with their intervals", (difference_grid(study, controls),)),
    ]  # fmt: skip
    return Section("dependence", "Does it look at the photograph?", tuple(blocks), "Dependence")


def _unmarked(table: Table, title: str) -> Table:
    """Return a table without the marks, which compare models with each other."""
    rows = [
        dataclasses.replace(
            row,
            entries=tuple(dataclasses.replace(entry, strong=False) for entry in row.entries),
        )
        for row in table.rows
    ]
    return dataclasses.replace(table, title=title, rows=tuple(rows), rule="")


def level(study: Study, controls: Sequence[Subject]) -> str:
    """Return sentences with the accuracy of the model and of its controls."""
    scores = [f"{_WITH[one.key[0]]} {said(study.entry(one))}" for one in controls]
    text = (
        f"With the right photograph the model scores {said(study.entry(study.fused))}, "
        f"{join_words(scores)}."
    )
    beyond = [_WITH[one.key[0]] for one in controls if not at_chance(study, one)]
    if not beyond:
        return f"{text} Chance, {points(CHANCE)}%, lies within the intervals of these controls."
    return (
        f"{text} Chance, {points(CHANCE)}%, lies outside the interval {join_words(beyond)}: the "
        "wording of a question, or what most photographs have in common, says something there."
    )


def at_chance(study: Study, one: Subject) -> bool:
    """Return whether the interval of a row's accuracy holds chance."""
    entry = study.entry(one)
    return entry.low is not None and entry.low <= CHANCE <= entry.high


def difference_grid(study: Study, controls: Sequence[Subject]) -> Grid:
    """Return the differences from each control, over all topics and by topic."""
    rows = []
    for topic in (ALL, *study.topics):
        cells = []
        for control in controls:
            found = study.compare(study.fused, control, topic=topic)
            cells.append("–" if found is None else f"{signed(found.difference)} "
                         f"({signed_span(found.low, found.high)})")  # fmt: skip
        rows.append((label("topic", topic), *cells))
    heads = ("Topic", *(f"less {one.label.lower()}" for one in controls))
    return Grid("Differences from the controls", heads, tuple(rows))


def dependence_figure(study: Study, controls: Sequence[Subject], theme: Theme = LIGHT):
    """Draw the differences, a panel for each control."""
    topics = [ALL, *study.topics]
    panels = []
    for control in controls:
        bars = []
        for row, topic in enumerate(topics):
            found = study.compare(study.fused, control, topic=topic)
            if found is not None:
                span = tuple(100 * end for end in (found.difference, found.low, found.high))
                style = study.comparison.style(study.fused.key[0])
                bars.append(Bar(row, span, style, filled=found.clear))
        panels.append(Intervals(f"less {control.label.lower()}", tuple(bars)))
    names = [label("topic", topic) for topic in topics]
    return intervals_figure(names, panels, "difference in points", theme)
