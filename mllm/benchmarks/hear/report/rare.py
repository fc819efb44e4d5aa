"""Classes of which little was heard in training, next to the others."""

from collections.abc import Sequence

from mllm.benchmarks.hear.classified import METRICS, class_table
from mllm.benchmarks.hear.incontext import PLAIN
from mllm.benchmarks.hear.report.layout import METRIC_NAMES
from mllm.benchmarks.hear.report.recognition import DIRECT, measured
from mllm.benchmarks.hear.report.study import Study
from mllm.reporting.numbers import points
from mllm.reporting.section import Block, Details, Grid, Paragraph, Scores, Section
from mllm.reporting.tables import Column, Row, Table
from mllm.reporting.text import clean_text

SETS = {"rare": "Rare classes", "common": "Other classes"}
SHOWN = {"average_precision": "average precision", "recall": "recall"}  # class by class
_RULE = (
    "Classes by log-probability. Accuracy is over the clips whose label is in the set; the other "
    "metrics are means over its classes, each over all clips. The small numbers are 95% intervals "
    "over base signals."
)
_BY_CLASS = "In percent, the mean over seeds; few clips of a class make these numbers rough.{}"
_THRESHOLDS = " Recall is that at the threshold chosen on validation clips."


def rare_section(study: Study) -> Section | None:
    """Return the scores of rare classes; None where none is rare or classes were not asked for."""
    table = set_table(study)
    if not any(row.label.endswith(SETS["rare"].lower()) for row in table.rows):
        return None
    blocks: list[Block] = [Scores(table), Paragraph(_RULE, note=True)]
    grids = [class_grid(study, rare) for rare in (True, False)]
    if grids[0].rows:
        chosen = len(shown(study)) == len(SHOWN)
        blocks += [grids[0], Paragraph(_BY_CLASS.format(_THRESHOLDS * chosen), note=True)]
    if grids[1].rows:
        blocks.append(Details("The other classes, one by one", (grids[1],)))
    return Section("rare", "Rare classes", tuple(blocks), "Rare classes")


def set_table(study: Study) -> Table:
    """Return the scores of rare and of other classes: rows by model and set, columns by metric."""
    metrics = [m for m in measured(study, METRICS) if not m.startswith("accuracy_")]
    rows = []
    for one in study.models:
        for name, words in SETS.items():
            entries = tuple(
                study.entry(one, metric, task=DIRECT, relation=name, condition=PLAIN)
                for metric in metrics
            )
            rows.append(Row(f"{one.label}: {words.lower()}", "axis", "", entries))
    columns = tuple(Column((METRIC_NAMES[m],), (METRIC_NAMES[m],)) for m in metrics)
    rows = tuple(row for row in rows if row.measured)
    heading = study.comparison.heading
    return Table("Rare and other classes", "", "Model", columns, rows, heading)


def class_grid(study: Study, rare: bool) -> Grid:
    """Return average precision and recall of each class that is rare, or that is not."""
    tables = {one.key: [class_table(records) for records in one.records] for one in study.models}
    rows = []
    for place, first in enumerate(next(iter(tables.values()))[0] if tables else ()):
        if first["rare"] == rare and first["n"]:
            cells = [
                points(_mean([table[place][metric] for table in tables[one.key]]))
                for one in study.models
                for metric in shown(study)
            ]
            rows.append((clean_text(first["class"], 40), f"{first['n']}", *cells))
    heads = [f"{one.label}: {words}" for one in study.models for words in shown(study).values()]
    return Grid("Class by class", ("Class", "Clips", *heads), tuple(rows))


def shown(study: Study) -> dict[str, str]:
    """Return the measures of single classes that there are, with their words."""
    chosen = measured(study, ["recall"])
    return {name: words for name, words in SHOWN.items() if name != "recall" or chosen}


def _mean(values: Sequence[tuple | None]) -> float | None:
    """Return the mean over seeds of (value, interval); None where it is not defined in one."""
    return None if None in values else sum(value for value, _ in values) / len(values)
