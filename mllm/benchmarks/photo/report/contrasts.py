"""The fused model against each encoder alone and against other ways to join them, question by
question.
"""

import math
from collections.abc import Mapping, Sequence

from mllm.benchmarks.photo.report.layout import label
from mllm.benchmarks.photo.report.study import Study, Subject
from mllm.benchmarks.photo.scores import ALL
from mllm.reporting.charts import Bar, Intervals, intervals_figure
from mllm.reporting.figures import LIGHT, Theme
from mllm.reporting.heatmap import heat_map
from mllm.reporting.numbers import points, said, signed, signed_span
from mllm.reporting.section import Block, Details, Drawing, Grid, Panel, Paragraph, Section
from mllm.reporting.text import join_words

OTHERS = ("joint", "unguided", "mova")
_RULE = (
    "{} less the other model in accuracy, in points. Both answered the same questions: differences "
    "are paired by question, and intervals resample sources. “better” and “worse”: the 95% "
    "interval excludes 0. {}"
)
_SEEDS = (
    "With several seeds the difference is the mean over them, and its interval resamples seeds "
    "too; few seeds show too little of their spread, which the column by seed shows."
)
_FIGURE = (
    "{} less each other model, in points of accuracy with 95% intervals; right of the line it is "
    "better. Filled marks: the interval excludes 0."
)
_MAP = (
    "The map shows the same by topic; blue: it is better, orange: it is worse. An asterisk: the "
    "interval excludes 0, which of {} cells about {:.0f} would do by luck alone."
)
Pair = tuple[Subject, Subject]
_SAME = {
    "parameters": "{} parameters",
    "trainable": "{} trained parameters",
    "steps": "{} updates",
}


def rivals(study: Study) -> list[Subject]:
    """Return what the fused model is compared with: single encoders, best first, then the rest."""
    singles = sorted(study.singles, key=lambda one: -(study.entry(one).value or 0.0))
    others = [one for name in OTHERS if (one := study.subject(name)) is not None]
    return [one for one in (*singles, *others) if study.compare(study.fused, one) is not None]


def contrast_section(study: Study) -> Section | None:
    """Return the differences; None where there is nothing to compare."""
    mine, others = study.fused, rivals(study)
    if mine is None or not others:
        return None
    figure = Panel(
        lambda theme: difference_figure(study, others, theme),
        f"{mine.label} less each other model, with intervals",
    )
    topics = Panel(
        lambda theme: topic_map(study, {one.label: (mine, one) for one in others}, theme),
        f"{mine.label} less each other model, by topic",
    )
    cells = len(study.topics) * len(others)
    several = _SEEDS if study.comparison.seeds > 1 else ""
    blocks: list[Block] = [
        Paragraph(budget([mine, *others])),
        difference_grid(study, others),
        Paragraph(_RULE.format(mine.label, several).strip(), note=True),
    ]
    caption, saved = _FIGURE.format(mine.label), {"fusion": figure.draw}
    if study.topics:
        caption = f"{caption} {_MAP.format(cells, 0.05 * cells)}"
        saved |= {"fusion_topics": topics.draw}
        grid = topic_grid(study, others)
        blocks.append(Details("Differences by topic with their intervals", (grid,)))
    panels = (figure, topics) if study.topics else (figure,)
    blocks.insert(1, Drawing(panels, caption, columns=len(panels), saved=saved))
    return Section("fusion", "Is fusion better?", tuple(blocks), "Fusion")


def budget(subjects: Sequence[Subject]) -> str:
    """Return sentences that say whether models have equal parameters and updates."""
    equal, unequal = {}, []
    for key, words in _SAME.items():
        found = [{run.cost.get(key) for run in one.runs} for one in subjects]
        values = set().union(*found)
        if len(values) == 1 and values != {None}:
            equal[key] = words.format(f"{next(iter(values)):,.0f}")
        elif values != {None}:
            pairs = zip(subjects, found, strict=True)
            listed = ", ".join(f"{one.label} {_listed(each)}" for one, each in pairs)
            unequal.append(f"{words.format('').strip()} ({listed})")
    parts = []
    if equal:
        parents = {frozenset((run.seed, run.parent) for run in one.runs) for one in subjects}
        start = ", from the same weights" if len(parents) == 1 else ""
        parts.append(f"Each of these models has {join_words([*equal.values()])}{start}.")
    if unequal:
        differ = join_words(unequal)
        parts.append(f"They differ in {differ}: read the differences with this in mind.")
    return " ".join(parts) or "Parameters and updates of these models were not recorded."


def _listed(values: set) -> str:
    known = sorted(value for value in values if value is not None)
    return "/".join(f"{value:,.0f}" for value in known) or "unknown"


def difference_grid(study: Study, others: Sequence[Subject]) -> Grid:
    """Return the differences over all topics."""
    mine, rows = study.fused, []
    for other in others:
        found = study.compare(mine, other)
        rows.append(
            (other.label, said(study.entry(mine)), said(study.entry(other)),
             signed(found.difference), signed_span(found.low, found.high), found.seeds,
             found.verdict)
        )  # fmt: skip
    heads = ("Against", mine.label, "Other", "Difference", "95% interval", "By seed",
             f"{mine.label} is")  # fmt: skip
    return Grid(f"{mine.label} against each other model", heads, tuple(rows), words=(6,))


def topic_grid(study: Study, others: Sequence[Subject]) -> Grid:
    """Return the differences by topic."""
    rows = []
    for topic in study.topics:
        cells = []
        for other in others:
            found = study.compare(study.fused, other, topic=topic)
            cells.append("–" if found is None else f"{signed(found.difference)} "
                         f"({signed_span(found.low, found.high)})")  # fmt: skip
        entry = study.entry(study.fused, topic=topic)
        rows.append((label("topic", topic), points(entry.value), *cells))
    heads = ("Topic", study.fused.label, *(f"less {other.label}" for other in others))
    return Grid("Differences by topic", heads, tuple(rows))


def difference_figure(study: Study, others: Sequence[Subject], theme: Theme = LIGHT):
    """Draw the differences over all topics, one row for each other model."""
    bars = []
    for row, other in enumerate(others):
        found = study.compare(study.fused, other)
        span = tuple(100 * end for end in (found.difference, found.low, found.high))
        bars.append(Bar(row, span, study.comparison.style(other.key[0]), filled=found.clear))
    panel = Intervals(label("topic", ALL), tuple(bars))
    names = [other.label for other in others]
    return intervals_figure(names, [panel], "difference in points", theme)


def topic_map(study: Study, pairs: Mapping[str, Pair], theme: Theme = LIGHT):
    """Draw differences by topic.

    Args:
      pairs: label of a column -> the two rows whose difference it shows, first minus second.
    """
    found = [
        [study.compare(*pair, topic=topic) for pair in pairs.values()] for topic in study.topics
    ]
    values = [[None if one is None else 100 * one.difference for one in row] for row in found]
    notes = [["*" if one is not None and one.clear else "" for one in row] for row in found]
    reach = math.ceil(max([10.0, *(abs(v) for row in values for v in row if v is not None)]))
    topics = [label("topic", topic) for topic in study.topics]
    return heat_map(
        values, topics, [*pairs], theme, low=-reach, high=reach, centre=0.0, notes=notes
    )  # fmt: skip
