"""Whether models name the class of a sound, and how far from it they are where they do not."""

from collections import Counter
from collections.abc import Sequence

from mllm.benchmarks.hear.classes import LEVELS
from mllm.benchmarks.hear.classified import METRICS, TASKS, confusions, evaluated
from mllm.benchmarks.hear.incontext import PLAIN
from mllm.benchmarks.hear.probed import ALL
from mllm.benchmarks.hear.report.layout import METRIC_NAMES, label
from mllm.benchmarks.hear.report.study import Study
from mllm.benchmarks.subject import Subject
from mllm.reporting.figures import LIGHT, Theme
from mllm.reporting.heatmap import heat_map
from mllm.reporting.numbers import points
from mllm.reporting.section import (
    Block,
    Details,
    Drawing,
    Grid,
    Panel,
    Paragraph,
    Scores,
    Section,
)
from mllm.reporting.tables import Column, Row, Table
from mllm.reporting.text import clean_text

DIRECT = TASKS[0]
STEPS = ("right", "another kind of the same parent", "another of the same grandparent", "elsewhere")
_RULE = (
    "Percentages of clips; the small numbers are 95% intervals over base signals. A clip is right "
    "where the highest class is one of its tags, or shares a parent or a grandparent with one. "
    "“Shuffled” gives each clip the caption of another one: what it scores there is the prior of "
    "the labels and the habit of the scorer."
)
_THRESHOLDS = " F1 and recall use thresholds chosen on clips of the validation split."
_ERRORS = "Where the highest class by log-probability lies in the tree; clips of all seeds, in %."
_MAP = (
    "Families of {} by log-probability: rows are what is heard, columns the family of the highest "
    "class, in percent of the clips of a row, over all seeds."
)


def recognition_section(study: Study) -> Section | None:
    """Return how often classes are named; None where it was not asked."""
    tables = [table for one in study.models if (table := class_table(study, one)).rows]
    if not tables:
        return None
    chosen = any("F1" in column.labels for table in tables for column in table.columns)
    rule = Paragraph(_RULE + _THRESHOLDS * chosen, note=True)
    blocks: list[Block] = [*map(Scores, tables), rule]
    if (grid := error_grid(study)).rows:
        blocks += [grid, Paragraph(_ERRORS, note=True)]
    if study.benchmark is not None and study.main is not None and families(study, study.main):
        main = study.main
        panel = Panel(
            lambda theme: family_map(study, main, theme), f"{main.label}: families taken for others"
        )
        blocks.append(Drawing((panel,), _MAP.format(main.label), 1, {"families": panel.draw}))
        blocks.append(Details("The map in numbers", (family_grid(study, main),)))
    return Section("classes", "What is heard, and what it is taken for", tuple(blocks), "Classes")


def class_table(study: Study, one: Subject) -> Table:
    """Return the scores of a model: rows by task and condition, columns by metric."""
    rows, metrics = [], measured(study, METRICS)
    for task in TASKS:
        for condition in study.values("condition", task):
            entries = tuple(
                study.entry(one, metric, task=task, relation=ALL, condition=condition)
                for metric in metrics
            )
            name = label("task", task) + ("" if condition == PLAIN else f", {condition}")
            asked = max((entry.n or 0 for entry in entries), default=0)
            rows.append(Row(name, "axis", f"{asked:,.0f} clips", entries))
    names = [METRIC_NAMES[metric] for metric in metrics]
    columns = tuple(Column((name,), (name,)) for name in names)
    rows = tuple(row for row in rows if row.measured)
    heading = study.comparison.heading
    return Table(f"{one.label}: classes of sounds", "", "Read from", columns, rows, heading)


def measured(study: Study, metrics: Sequence[str]) -> list[str]:
    """Return those of some metrics of classes that any row has; without clips to choose thresholds
    on there are none that need one.
    """
    found = {cell[-1] for cell in study.comparison.cells if cell[0] in TASKS}
    return [metric for metric in metrics if metric in found]


def error_grid(study: Study) -> Grid:
    """Return how far from the truth the highest class lies, by row of the tables."""
    rows = []
    for one in study.subjects:
        found = [
            [record["metrics"][level] for level in LEVELS]
            for records in one.records
            for record in evaluated(records)
            if (record["task"], record["condition"]) == (DIRECT, PLAIN) and record["metrics"]
        ]
        if found:
            exact, parent, grandparent = (sum(v) / len(found) for v in zip(*found, strict=True))
            shares = (exact, parent - exact, grandparent - parent, 1 - grandparent)
            rows.append((one.label, f"{len(found):,}", *map(points, shares)))
    heads = ("Row", "Clips", *(step.capitalize() for step in STEPS))
    return Grid("Errors along the tree", heads, tuple(rows))


def families(study: Study, one: Subject) -> Counter[tuple[str, str]]:
    """Return how often a family is taken for another, by both; families are parents of leaves."""
    ontology, found = study.benchmark.ontology, Counter()
    for records in one.records:
        for (true, top), count in confusions(records, DIRECT).items():
            if top is not None and ontology.parents(true) and ontology.parents(top):
                found[ontology.parents(true)[0], ontology.parents(top)[0]] += count
    return found


def family_map(study: Study, one: Subject, theme: Theme = LIGHT):
    """Draw what families are taken for."""
    labels, values = family_shares(study, one)
    shown = [[None if share is None else 100 * share for share in row] for row in values]
    return heat_map(shown, labels, labels, theme)


def family_grid(study: Study, one: Subject) -> Grid:
    """Return what families are taken for."""
    labels, values = family_shares(study, one)
    rows = [(label, *map(points, row)) for label, row in zip(labels, values, strict=True)]
    return Grid("Families taken for others", ("Heard", *labels), tuple(rows))


def family_shares(study: Study, one: Subject) -> tuple[list[str], list[list[float | None]]]:
    """Return names of families, and of each the shares of those that it is taken for; None where it
    was not heard.
    """
    counts = families(study, one)
    met = {name for pair in counts for name in pair}
    names, values = [name for name in study.benchmark.ontology if name in met], []
    for true in names:
        total = sum(counts[true, top] for top in names)
        values.append([counts[true, top] / total if total else None for top in names])
    return [clean_text(name, 24) for name in names], values
