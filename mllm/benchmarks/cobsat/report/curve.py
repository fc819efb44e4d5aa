"""Accuracy over the number of shots, ours and the published averages."""

import math

from mllm.benchmarks.cobsat.report.layout import ORDER, label
from mllm.benchmarks.cobsat.report.published import averages
from mllm.benchmarks.cobsat.report.study import DEFAULT, Study, Subject
from mllm.reporting.axes import in_order
from mllm.reporting.charts import Span
from mllm.reporting.comparison import Entry
from mllm.reporting.layout import Style
from mllm.reporting.lines import Line, Lines, lines_figure
from mllm.reporting.section import Drawing, Panel, Section

_CAPTION = (
    "Overall accuracy over all tasks on default prompts. Bars are 95% intervals. {}What was not "
    "run has no mark."
)
_PUBLISHED = (
    "Thin dashed lines in italics are the published averages, of other pictures and another judge; "
    "a point alone was run with one number of shots. "
)


def curve_section(study: Study) -> Section | None:
    """Return the curves; None where nothing is scored."""
    modes = [mode for mode in study.modes if any(line.spans for line in lines(study, mode))]
    if not modes:
        return None
    known = published_shown(study)
    panels = tuple(
        Panel(
            lambda theme, one=mode: _figure(study, (one,), theme),
            f"Accuracy by number of shots, {label('mode', mode).lower()}",
        )
        for mode in modes
    )
    saved = {"shots": lambda theme: _figure(study, modes, theme)}
    caption = _CAPTION.format(_PUBLISHED if known else "")
    return Section("shots", "Accuracy by number of shots", (Drawing(panels, caption, saved=saved),),
                   "Shots")  # fmt: skip


def published_shown(study: Study) -> bool:
    """Return whether published averages are of the same setting: the same prompts, all tasks."""
    return study.as_published and study.whole


def settings(study: Study) -> list[str]:
    """Return the numbers of shots of the figure."""
    found = set(study.shots)
    if published_shown(study):
        found |= {shots for mode in study.modes for one in averages(mode, DEFAULT).values()
                  for shots in one}  # fmt: skip
    return in_order(found, ORDER["shots"])


def lines(study: Study, mode: str) -> list[Line]:
    """Return the lines of one mode: ours, then the published ones."""
    places = settings(study)
    made = []
    for one in study.subjects:
        if mode not in one.modes or not _shown(one, mode):
            continue
        spans = tuple(
            _span(study.entry(one, shots=shots, mode=mode)) for shots in places
        )  # fmt: skip
        if any(spans):
            made.append(Line(one.label, spans, study.comparison.style(one.key[0])))
    if made and published_shown(study):
        for model, values in averages(mode, DEFAULT).items():
            spans = tuple(
                (100 * values[shots], math.nan, math.nan) if shots in values else None
                for shots in places
            )
            made.append(Line(model, spans, Style("muted", "."), reference=True))
    return made


def _shown(one: Subject, mode: str) -> bool:
    name = one.key[0]
    return name not in _HIDDEN and not (mode == "text" and name == "reconstructed")


_HIDDEN = ("oracle", "view", "random", "copy_last", "query_only")


def _span(entry: Entry) -> Span | None:
    if entry.value is None:
        return None
    ends = (math.nan if end is None else 100 * end for end in (entry.low, entry.high))
    return (100 * entry.value, *ends)


def _figure(study: Study, modes, theme):
    panels = [Lines(label("mode", mode), tuple(lines(study, mode))) for mode in modes]
    return lines_figure(settings(study), panels, "shots", "overall accuracy (%)", theme)
