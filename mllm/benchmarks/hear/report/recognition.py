"""Whether models name the class of a sound, and how far from it they are where they do not."""

from collections import Counter

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
    "the labels and the habit of the scorer. F1 and recall use thresholds chosen on clips of the "
    "validation split."
)
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
    blocks: list[Block] = [*map(Scores, tables), Paragraph(_RULE, note=True)]
    if (grid := error_grid(study)).rows:
        blocks += [grid, Paragraph(_ERRORS, note=True)]
    if study.benchmark is not None and study.main is not None and families(study, study.main):
        main = study.main
        panel = Panel(
            lambda theme: family_map(study, main, theme), f"{main.label}: families taken for others"
        )
        blocks.append(Drawing((panel,), _MAP.format(main.label), 1, {"families": panel.draw}))
    return Section("classes", "What is heard, and what it is taken for", tuple(blocks), "Classes")


def class_table(study: Study, one: Subject) -> Table:
    """Return the scores of a model: rows by task and condition, columns by metric."""
    rows = []
    for task in TASKS:
        for condition in study.values("condition", task):
            entries = tuple(
                study.entry(one, metric, task=task, relation=ALL, condition=condition)
                for metric in METRICS
            )
            name = label("task", task) + ("" if condition == PLAIN else f", {condition}")
            asked = max((entry.n or 0 for entry in entries), default=0)
            rows.append(Row(name, "axis", f"{asked:,.0f} clips", entries))
    names = [METRIC_NAMES[metric] for metric in METRICS]
    columns = tuple(Column((name,), (name,)) for name in names)
    rows = tuple(row for row in rows if row.measured)
    heading = study.comparison.heading
    return Table(f"{one.label}: classes of sounds", "", "Read from", columns, rows, heading)


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
    counts, ontology = families(study, one), study.benchmark.ontology
    met = {name for pair in counts for name in pair}
    names = [name for name in ontology if name in met]
    values = []
    for true in names:
        total = sum(counts[true, top] for top in names)
        values.append([100 * counts[true, top] / total if total else None for top in names])
    labels = [clean_text(name, 24) for name in names]
    return heat_map(values, labels, labels, theme)
