"""Textual against visual accuracy: the four corners say how a model fails."""

import math

from mllm.benchmarks.cobsat.report.layout import BRACKETS, label
from mllm.benchmarks.cobsat.report.published import ALIGNED, ALIGNED_SHOTS
from mllm.benchmarks.cobsat.report.study import Study
from mllm.reporting.charts import Dot, Scatter, Span, scatter_figure
from mllm.reporting.comparison import Entry
from mllm.reporting.figures import LIGHT, Theme
from mllm.reporting.layout import Style
from mllm.reporting.section import Drawing, Panel, Section

CORNERS = ("neither", "ignores the pictures", "copies the last picture", "right")
_SKIPPED = ("oracle", "view", "random")  # in a corner with others, and in the table
_CAPTION = (
    "Default prompts with {shots} shots, over all tasks. Upper right: both sides right. Upper "
    "left: what the pictures share, with another word, as a copy of the last picture. Lower right: "
    "the word of the query, with another θ. Lower left: neither. Bars are 95% intervals. {known}"
)
_PUBLISHED = (
    "Small grey marks in the figure are published averages with 2 shots, of other pictures and "
    "another judge."
)


def corner_shots(study: Study) -> str | None:
    """Return the number of shots of the figure: that of the published averages where it was asked,
    else the fewest.
    """
    if ALIGNED_SHOTS in study.shots:
        return ALIGNED_SHOTS
    return study.shots[0] if study.shots else None


def corner_section(study: Study) -> Section | None:
    """Return the figure, one panel a mode; None where nothing is scored."""
    shots = corner_shots(study)
    modes = [mode for mode in study.modes if shots and dots(study, mode, shots)]
    if not modes:
        return None
    panels = tuple(
        Panel(
            lambda theme, one=mode: corner_figure(study, (one,), shots, theme),
            f"Textual against visual accuracy, {label('mode', mode).lower()}",
        )
        for mode in modes
    )
    saved = {"corners": lambda theme: corner_figure(study, modes, shots, theme)}
    known = _PUBLISHED if any(d.style.marker == "." for m in modes for d in dots(study, m, shots)) \
        else ""  # fmt: skip
    caption = _CAPTION.format(shots=shots, known=known)
    return Section("corners", "Words against pictures", (Drawing(panels, caption, saved=saved),))


def dots(study: Study, mode: str, shots: str) -> list[Dot]:
    """Return a point for each row and each published model; none where ours has no scores."""
    made = []
    for one in study.subjects:
        name = one.key[0]
        if name in _SKIPPED or (mode == "text" and name == "reconstructed"):
            continue
        x, y = (
            _span(study.entry(one, metric, shots=shots, mode=mode))
            for metric in ("textual", "visual")
        )
        if x is not None and y is not None:
            bracket = name in BRACKETS and study.comparison.style(name).colour == "muted"
            style = Style("ink", "X") if bracket else study.comparison.style(name)
            made.append(Dot(x, y, one.label, style))
    if made and study.as_published and study.whole and shots == ALIGNED_SHOTS:
        for model, (textual, visual) in ALIGNED[mode].items():
            nan = math.nan
            spans = (100 * textual, nan, nan), (100 * visual, nan, nan)
            made.append(Dot(*spans, model, Style("muted", ".")))
    return made


def _span(entry: Entry) -> Span | None:
    if entry.value is None:
        return None
    ends = (math.nan if end is None else 100 * end for end in (entry.low, entry.high))
    return (100 * entry.value, *ends)


def corner_figure(study: Study, modes, shots: str, theme: Theme = LIGHT):
    """Draw one panel for each mode."""
    panels = [
        Scatter(label("mode", mode), tuple(dots(study, mode, shots)), corners=CORNERS)
        for mode in modes
    ]
    whole = (0.0, 0.0, 100.0)
    frame = [Dot(whole, whole, "", Style("muted"))]
    return scatter_figure(
        panels, "textual accuracy: the query’s word (%)", "visual accuracy: θ (%)", theme,
        limits=frame,
    )  # fmt: skip
