"""What models say of words before and after they learned to hear."""

from functools import partial

from mllm.benchmarks.hear.report.differences import compared_bars, seeds_of, told
from mllm.benchmarks.hear.report.layout import BEFORE, label
from mllm.benchmarks.hear.report.study import Study
from mllm.benchmarks.subject import Subject
from mllm.reporting.charts import Intervals, intervals_figure
from mllm.reporting.compared import Compared
from mllm.reporting.figures import LIGHT, Theme
from mllm.reporting.numbers import points
from mllm.reporting.section import Drawing, Grid, Panel, Paragraph, Section

IN_WORDS = "T"  # the condition: the label as text, without a sound
_RULE = (
    "Accuracy given the label as text, in percent, of the language model before it was taught any "
    "sound and of each model after, and the difference in points, question by question. Intervals "
    "resample labels. “better” and “worse”: the 95% interval excludes 0."
)
_FIGURE = (
    "Accuracy given the label as text, after less before learning to hear, in points with 95% "
    "intervals; left of the line something was forgotten. Open marks: the interval holds 0."
)


def forgetting_section(study: Study) -> Section | None:
    """Return the differences that learning to hear made to answers about words; None where the
    language model was not asked.
    """
    models = [one for one in study.models if forgotten(study, one) is not None]
    if not models:
        return None
    panels = {
        f"forgetting_{one.method}": Panel(
            partial(forgetting_figure, study, one),
            f"{one.label}: accuracy given the label after less before learning to hear",
        )
        for one in models
    }
    saved = {name: panel.draw for name, panel in panels.items()}
    blocks = (
        Drawing(tuple(panels.values()), _FIGURE, 2, saved),
        forgetting_grid(study, models),
        Paragraph(_RULE, note=True),
    )
    return Section("forgetting", "Are words forgotten?", blocks, "Forgetting")


def forgotten(study: Study, one: Subject, **places: str) -> Compared | None:
    """Return how the answers of a model about words differ from those before it learned to hear;
    None where one of the two was not asked.
    """
    return study.compare(one, study.subject(BEFORE), **{"condition": IN_WORDS, **places})


def forgetting_grid(study: Study, models: list[Subject]) -> Grid:
    """Return accuracy before and after, and the difference, by model and relation."""
    rows = []
    for one in models:
        for relation in study.values("relation"):
            places = {"relation": relation, "condition": IN_WORDS}
            if (found := forgotten(study, one, **places)) is not None:
                before = study.entry(study.subject(BEFORE), **places).value
                after = study.entry(one, **places).value
                name = f"{one.label}: {label('relation', relation).lower()}"
                shown = (points(before), points(after), told(found), seeds_of(found))
                rows.append((name, *shown, found.verdict))
    heads = ("Relation", "Before", "After", "Difference", "By seed", "Verdict")
    return Grid("Words before and after learning to hear", heads, tuple(rows), words=(5,))


def forgetting_figure(study: Study, one: Subject, theme: Theme = LIGHT):
    """Draw the differences of a model by relation."""
    names, bars = compared_bars(study, one, study.subject(BEFORE), IN_WORDS)
    return intervals_figure(names, [Intervals(one.label, bars)], "difference in points", theme)
