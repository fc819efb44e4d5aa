"""Whether what is taught about kinds in text reaches what is heard."""

from collections.abc import Sequence
from functools import partial

from mllm.benchmarks.hear.report.differences import compared_bars, seeds_of, told
from mllm.benchmarks.hear.report.layout import CAPTIONS, FACTS, GIVEN, label
from mllm.benchmarks.hear.report.study import Study
from mllm.reporting.charts import Intervals, intervals_figure
from mllm.reporting.compared import Compared
from mllm.reporting.figures import LIGHT, Theme
from mllm.reporting.section import Details, Drawing, Grid, Panel, Paragraph, Section

SHOWN = ("T", "A")  # conditions of the figure
_RULE = (
    "{} less {} in accuracy, in points. Both answered the same questions: differences are paired "
    "by question; intervals resample base signals, or labels where the label alone is given. "
    "“better” and “worse”: the 95% interval excludes 0."
)
_FIGURE = (
    "{} less {} by relation, in points of accuracy with 95% intervals; right of the line the facts "
    "help. Open marks: the interval holds 0."
)


def fact_section(study: Study) -> Section | None:
    """Return the differences between the two ways to teach; None where one of them was not run."""
    one, other = study.subject(FACTS), study.subject(CAPTIONS)
    if study.compare(one, other) is None:
        return None
    panels = {
        f"facts_{condition}": Panel(
            partial(fact_figure, study, condition),
            f"{one.label} less {other.label} given {GIVEN[condition]}, by relation",
        )
        for condition in SHOWN
    }
    saved = {name: panel.draw for name, panel in panels.items()}
    others = [condition for condition in study.values("condition") if condition not in SHOWN]
    blocks = (
        Drawing(tuple(panels.values()), _FIGURE.format(one.label, other.label), 2, saved),
        fact_grid(study, SHOWN),
        Paragraph(_RULE.format(one.label, other.label), note=True),
        Details("In the other conditions", (fact_grid(study, others),)),
    )
    return Section("facts", "Do facts in text reach the sound?", blocks, "Facts")


def fact_grid(study: Study, conditions: Sequence[str]) -> Grid:
    """Return the differences by relation and condition."""
    rows = []
    for relation in study.values("relation"):
        for condition in conditions:
            found = _difference(study, relation, condition)
            if found is not None:
                name = f"{label('relation', relation)}: {label('condition', condition).lower()}"
                rows.append((name, told(found), seeds_of(found), found.verdict))
    heads = ("Relation and condition", "Difference", "By seed", "With facts")
    return Grid("With facts less without", heads, tuple(rows), words=(3,))


def fact_figure(study: Study, condition: str, theme: Theme = LIGHT):
    """Draw the differences by relation in a condition."""
    names, bars = compared_bars(study, study.subject(FACTS), study.subject(CAPTIONS), condition)
    panel = Intervals(f"Given: {label('condition', condition).lower()}", bars)
    return intervals_figure(names, [panel], "difference in points", theme)


def _difference(study: Study, relation: str, condition: str) -> Compared | None:
    places = {"relation": relation, "condition": condition}
    return study.compare(study.subject(FACTS), study.subject(CAPTIONS), **places)
