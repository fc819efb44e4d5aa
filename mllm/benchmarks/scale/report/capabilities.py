"""What each model can do: scores by capability, by input format and in every cell."""

import dataclasses

from mllm.benchmarks.scale.report.layout import in_order, label
from mllm.benchmarks.scale.report.study import Study, Subject
from mllm.benchmarks.scale.score import ALL
from mllm.benchmarks.scale.taxonomy import FORMATS
from mllm.reporting.figures import LIGHT, Theme
from mllm.reporting.heatmap import heat_map
from mllm.reporting.section import Details, Drawing, Heading, Panel, Paragraph, Scores, Section
from mllm.reporting.standard import seed_rule
from mllm.reporting.tables import METHOD, Table, table
from mllm.reporting.text import slug

GENERAL = "general"
_INTERVALS = (
    "Percentages; the small numbers are 95% intervals over items: Wilson's where every answer is "
    "right or wrong, by bootstrap where answers can be right in part. Choices are scored by the "
    "log-probability per token of each option, everything else by the parsed reply."
)
_BY_REPLY = (
    "Percentages of parsed replies; the small numbers are 95% intervals over items. At least one "
    "model gives no log-probabilities, so options are chosen by letter for all of them."
)
_FORMATS = (
    "Formats do not hold the same capabilities (frames have no abstract reasoning, a single "
    "picture has no temporal order), so rows of this table differ in more than the format."
)
_UNLIKE = (
    "Not asked the same as the other models, by other prompts or about other items: {}. Their "
    "scores are shown, but not compared."
)
_CELLS = (
    "Score of each model in each cell of the general suite, in percent. A dash marks a cell that "
    "has no items. The intervals of single cells are wide: read the pattern, not the digits."
)


def capability_section(study: Study) -> Section:
    """Return the tables of scores and the map of all cells of each model."""
    comparison = study.comparison
    suites = [suite for suite in comparison.values("suite") if suite != ALL]
    tables = [capability_table(study, suite) for suite in suites]
    note = " ".join(filter(None, (_BY_REPLY if study.by_reply else _INTERVALS,
                                  seed_rule(comparison))))  # fmt: skip
    blocks = [Scores(one) for one in tables if one.measured]
    unlike = study.unlike()
    if unlike:
        blocks.insert(0, Paragraph(_UNLIKE.format(", ".join(unlike))))
    blocks.append(Paragraph(note, note=True))
    formats = format_table(study)
    if formats.measured:
        blocks += [Scores(formats), Paragraph(_FORMATS, note=True)]
    panels = tuple(_cells_panel(study, one) for one in study.models)
    if panels and GENERAL in suites:
        saved = {f"cells_{slug(one.label)}": panel.draw
                 for one, panel in zip(study.models, panels, strict=True)}  # fmt: skip
        blocks += [
            Heading("Every cell of the general suite"),
            Drawing(panels, _CELLS, saved=saved),
        ]
    measures = _measures(study)
    if measures:
        note = Paragraph(
            "What each kind of item measures besides its score, over all suites. Error rates "
            "(cer, wer) are better when smaller.",
            note=True,
        )
        blocks.append(Details("Metrics of the kinds of items", (note, *map(Scores, measures))))
    return Section("capabilities", "Scores by capability and format", tuple(blocks), "Scores")


def capability_table(study: Study, suite: str) -> Table:
    """Return the scores of a suite: capabilities by methods."""
    made = table(
        study.comparison,
        study.metric,
        {"suite": suite, "format": ALL},
        rows="capability",
        columns=(METHOD,),
        title=f"{label('suite', suite)} suite",
    )
    return _measured_rows(made)


def format_table(study: Study) -> Table:
    """Return the scores of the general suite: formats by methods."""
    made = table(
        study.comparison,
        study.metric,
        {"suite": GENERAL, "capability": ALL},
        rows="format",
        columns=(METHOD,),
        title="General suite by input format",
    )
    return _measured_rows(made)


def _measured_rows(made: Table) -> Table:
    return dataclasses.replace(made, rows=tuple(row for row in made.rows if row.measured))


def _measures(study: Study) -> list[Table]:
    """Return a table of formats by methods for each further metric."""
    found = {cell[-1] for cell in study.comparison.cells}
    names = sorted(found - {"score", "parsed", "wordings_mean", "wordings_sd"})
    place = {"suite": ALL, "capability": ALL}
    made = [
        table(study.comparison, name, place, rows="format", columns=(METHOD,), title=name)
        for name in names
    ]
    return [_measured_rows(one) for one in made]


def general_capabilities(study: Study) -> list[str]:
    """Return the capabilities of the general suite that have scores, in the order of tables."""
    layout = study.comparison.layout
    suite, capability = (layout.axis_names.index(name) for name in ("suite", "capability"))
    found = {cell[capability] for cell in study.comparison.cells if cell[suite] == GENERAL}
    return in_order("capability", found - {ALL})


def _cells_panel(study: Study, subject: Subject) -> Panel:
    return Panel(
        lambda theme: cells_figure(study, subject, theme),
        f"Score of {subject.label} in each format and capability",
    )


def cells_figure(study: Study, subject: Subject, theme: Theme = LIGHT):
    """Draw the scores of a model: capabilities by formats."""
    comparison, rows = study.comparison, general_capabilities(study)
    values = []
    for capability in rows:
        places = [{"suite": GENERAL, "format": form, "capability": capability} for form in FORMATS]
        cells = [comparison.layout.make_cell(place, study.metric) for place in places]
        entries = [comparison.entry(subject.key, cell).value for cell in cells]
        values.append([None if value is None else 100 * value for value in entries])
    return heat_map(
        values,
        [label("capability", name) for name in rows],
        [name.capitalize() for name in FORMATS],
        theme,
        title=subject.label,
    )
