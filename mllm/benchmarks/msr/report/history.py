"""AUC against the number of items that a user had taken before."""

import math

from mllm.benchmarks.msr.report.layout import HEADLINE, NAMES, label
from mllm.benchmarks.msr.report.study import Study, ends
from mllm.reporting.lines import Line, Lines, lines_figure
from mllm.reporting.section import Block, Drawing, Grid, Panel, Paragraph, Section

HIDDEN = ("oracle", "random", "constant")  # at 1 and at chance, whatever the history
_CAPTION = (
    "AUC over the users whose history has so many items. Bars are 95% intervals over users; what "
    "was not measured has no mark."
)


def history_section(study: Study) -> Section | None:
    """Return the curves; None where users are all of one kind, or nothing is scored."""
    drawn = lines(study)
    if len(study.histories) < 2 or not drawn:
        return None
    panel = Panel(lambda theme: _figure(study, theme), "AUC by the number of items in the history")
    counts = [study.entry(study.subjects[0], history=name).n for name in study.histories]
    rows = tuple(
        (label("history", name), "–" if count is None else f"{count:,.0f}")
        for name, count in zip(study.histories, counts, strict=True)
    )
    blocks: tuple[Block, ...] = (
        Drawing((panel,), _CAPTION, columns=1, saved={"history": panel.draw}),
        Grid("Users by length of history", ("History", "Users"), rows),
        Paragraph("Groups of few users have wide intervals.", note=True),
    )
    return Section("history", "AUC against the length of the history", blocks, "History")


def lines(study: Study) -> list[Line]:
    """Return a line for each method that has a score of some length."""
    made = []
    for one in study.subjects:
        found = [study.entry(one, history=name) for name in study.histories]
        spans = tuple(None if entry.value is None else ends(entry) for entry in found)
        if any(spans) and one.key[0] not in HIDDEN:
            made.append(Line(one.label, spans, study.comparison.style(one.key[0])))
    return made


def _figure(study: Study, theme):
    drawn = lines(study)
    lowest = min(end for line in drawn for span in line.spans if span for end in span
                 if math.isfinite(end))  # fmt: skip
    limits = (min(40.0, 10 * math.floor(lowest / 10)), 100.0)
    panel = Lines("", tuple(drawn))
    names = [name.replace("-", "–") for name in study.histories]
    y_label = f"{NAMES[HEADLINE]} (%)"
    return lines_figure(names, [panel], "items in the history", y_label, theme, limits=limits)
