"""The recommender against every other method, user by user, on warm and on cold targets."""

from mllm.benchmarks.msr.report.layout import HEADLINE, NAMES, label
from mllm.benchmarks.msr.report.study import Study, Subject
from mllm.benchmarks.msr.scores import ALL
from mllm.reporting.charts import Bar, Intervals, intervals_figure
from mllm.reporting.figures import LIGHT, Theme
from mllm.reporting.numbers import points, signed, signed_span
from mllm.reporting.section import Block, Details, Drawing, Grid, Panel, Paragraph, Section

METRICS = (HEADLINE, "hr@5")
_RULE = (
    "{} less the other method, in points. Both answered about the same candidates of the same "
    "users, so differences are paired by user, and intervals resample users. “better” and “worse”: "
    "the 95% interval excludes 0. Oracle, Bayes ceiling, random and constant know the answer, the "
    "true chances, or nothing; no method can be better than the Bayes ceiling by more than luck."
)


def contrast_section(study: Study) -> Section | None:
    """Return the differences; None where there is nothing to compare."""
    mine = study.recommender
    others = [one for one in study.subjects if mine is not None and one.key != mine.key]
    made: list[Grid] = []
    for metric in METRICS:
        rows = [
            row for other in others for target in (ALL, *study.targets)
            if (row := _row(study, other, metric, target))
        ]  # fmt: skip
        if rows:
            heads = ("Against", "Targets", mine.label, "Other", "Difference", "95% interval",
                     "Verdict")  # fmt: skip
            title = f"{NAMES[metric]} of {mine.label} against each other method"
            made.append(Grid(title, heads, tuple(rows), words=(1, 6)))
    if not made:
        return None
    blocks: list[Block] = [Details(grid.title, (grid,)) for grid in made]
    drawn = [other for other in study.models if other in others]
    if drawn:
        panel = Panel(
            lambda theme: difference_figure(study, drawn, theme),
            f"Differences of {NAMES[HEADLINE]} from {mine.label}, on warm and cold targets",
        )
        caption = (
            f"{NAMES[HEADLINE]} of {mine.label} less that of each other method, with 95% "
            "intervals; right of the line it is better. Filled marks: the interval excludes 0."
        )
        saved = {"differences": panel.draw}
        blocks.insert(0, Drawing((panel,), caption, columns=1, saved=saved))
    blocks.append(Paragraph(_RULE.format(mine.label), note=True))
    return Section("differences", "Is it better than the others?", tuple(blocks), "Differences")


def _row(study: Study, other: Subject, metric: str, target: str) -> tuple[str, ...] | None:
    found = study.compare(study.recommender, other, metric, target=target)
    if found is None:
        return None
    first, second = (study.entry(one, metric, target=target) for one in (study.recommender, other))
    return (
        other.label,
        label("target", target),
        points(first.value),
        points(second.value),
        signed(found.difference),
        signed_span(found.low, found.high),
        found.verdict,
    )


def difference_figure(study: Study, others: list[Subject], theme: Theme = LIGHT):
    """Draw the differences in the headline metric, a panel for each kind of targets."""
    panels = []
    for target in (ALL, *study.targets):
        bars = []
        for row, other in enumerate(others):
            found = study.compare(study.recommender, other, target=target)
            if found is not None:
                span = tuple(100 * x for x in (found.difference, found.low, found.high))
                bars.append(
                    Bar(row, span, study.comparison.style(other.key[0]), filled=found.clear)
                )
        panels.append(Intervals(label("target", target), tuple(bars)))
    names = [other.label for other in others]
    return intervals_figure(names, panels, "difference in points", theme)
