"""Differences between conditions, what is known of recognised clips, and the bias of answers."""

from mllm.benchmarks.hear.probed import ALL
from mllm.benchmarks.hear.report.layout import label
from mllm.benchmarks.hear.report.study import Study
from mllm.benchmarks.subject import Subject
from mllm.reporting.charts import Bar, Intervals, intervals_figure
from mllm.reporting.compared import Compared
from mllm.reporting.figures import LIGHT, Theme
from mllm.reporting.numbers import points, signed, signed_span
from mllm.reporting.section import Grid

GAPS = ("T-A", "C-A", "AT-A")


def gap_figure(study: Study, one: Subject, theme: Theme = LIGHT):
    """Draw the differences between label and sound of a model."""
    relations, bars = study.values("relation"), []
    for row, relation in enumerate(relations):
        if (found := study.gap(one, relation, GAPS[0])) is not None:
            bars.append(_bar(study, one, row, found))
    names = [label("relation", relation) for relation in relations]
    panel = Intervals(one.label, tuple(bars))
    return intervals_figure(names, [panel], "label less sound, in points", theme)


def compared_bars(
    study: Study, one: Subject, other: Subject, condition: str
) -> tuple[list[str], tuple[Bar, ...]]:
    """Return the names of relations, and how two rows differ in each as figures take it."""
    relations, bars = [one for one in study.values("relation") if one != ALL], []
    for row, relation in enumerate(relations):
        found = study.compare(one, other, relation=relation, condition=condition)
        if found is not None:
            bars.append(_bar(study, one, row, found))
    return [label("relation", relation) for relation in relations], tuple(bars)


def _bar(study: Study, one: Subject, row: int, found: Compared) -> Bar:
    """Return a difference of a row as figures take it, in points."""
    span = tuple(100 * end for end in (found.difference, found.low, found.high))
    return Bar(row, span, study.comparison.style(one.method), filled=found.clear)


def told(found: Compared | None) -> str:
    """Return a difference with its interval, a dash for none."""
    if found is None:
        return "–"
    return f"{signed(found.difference)} ({signed_span(found.low, found.high)})"


def seeds_of(found: Compared | None) -> str:
    """Return the difference in each seed, a dash where there is one seed."""
    return "–" if found is None else found.seeds


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
