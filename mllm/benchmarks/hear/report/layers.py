"""What layers hold of sounds and of their names: probes, alignment and nearest words."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from mllm.benchmarks.hear.report.plane import plane_figure
from mllm.benchmarks.hear.report.study import Study
from mllm.benchmarks.hear.report.words import word_details
from mllm.benchmarks.hear.representation.measure import NAME
from mllm.benchmarks.hear.representation.said_heard import PLACES
from mllm.benchmarks.subject import Subject
from mllm.evaluation.inspection import read_inspection
from mllm.reporting.charts import Span
from mllm.reporting.figures import LIGHT, Theme
from mllm.reporting.layout import Style
from mllm.reporting.lines import Line, Lines, lines_figure
from mllm.reporting.section import Block, Details, Drawing, Panel, Paragraph, Section
from mllm.reporting.text import join_words

Found = Mapping[str, Any]
Measured = tuple[Subject, list[Found]]
PLACE_NAMES = {"concept": "at the sound or its name", "reply": "where the reply begins"}
# (learned from, asked about) -> words and style.
PROBES = {
    ("text", "words"): ("names → names", Style("#0072B2", "o")),
    ("text", "synonyms"): ("names → synonyms", Style("#56B4E9", "D")),
    ("sounds", "sounds"): ("sounds → sounds", Style("#009E73", "^")),
    ("text", "sounds"): ("names → sounds", Style("#D55E00", "s")),
    ("sounds", "words"): ("sounds → names", Style("#E69F00", "v")),
}
OWN = "own"  # the scaling of states of another kind that the figures show
_INTRODUCTION = (
    "If a sound and the name of its kind are held in one place, what reads the kind off names also "
    "reads it off sounds."
)
_PROBES = (
    "How often a linear probe on the states of a layer is right, in percent with 95% intervals: "
    "what it learned from → what it is asked about. Names stand in captions, those asked about in "
    "a wording that no probe learned from; sounds asked about are of other base signals. States "
    "are scaled by their own mean and deviation, so a mere shift between sounds and names does not "
    "count. Layer 0 is what enters the decoder. The dashed line is the commonest label."
)
_ALIGNMENT = (
    "Linear CKA of the mean states of leaves in sounds and in names (unbiased; 1: equal but for "
    "rotation and scale). The dashed line is what 95% of random pairings stay below."
)
_PLANE = (
    "Leaves on the two principal components of their mean states, at the sound or its name: open "
    "marks are names, filled ones sounds, a line joins the two of a leaf, colours are the highest "
    "kinds. The mean of each is taken away."
)
_MISSING = (
    "States were not measured for {}: evaluate the run again with --config.evaluation."
    "representation above 0."
)


def found_of(one: Subject) -> list[Found]:
    """Return what was measured of the states of a row, by seed, where it was."""
    kept = (read_inspection(run.records_path.parent, NAME, run.manifest) for run in one.runs)
    return [found for found in kept if found is not None and found["probes"]]


def layer_section(study: Study) -> Section | None:
    """Return the representation figures; None where no model was run."""
    if not study.models:
        return None
    measured = {one.key: found_of(one) for one in study.models}
    shown = [one for one in study.models if measured[one.key]]
    blocks: list[Block] = []
    if shown:
        by_model = [(one, measured[one.key]) for one in shown]
        leaf, *further = dict.fromkeys(row["level"] for row in by_model[0][1][0]["probes"])
        blocks = [
            Paragraph(_INTRODUCTION),
            _probes(by_model, leaf, PLACES, _PROBES),
            Details(
                f"Probes of what a leaf is a kind of: {join_words(further)}",
                tuple(_probes(by_model, level, PLACES[:1], "") for level in further),
            ),
            _alignment(by_model),
            _planes(by_model),
        ]
        blocks += [word_details(one.label, found[0]) for one, found in by_model]
    if missing := [one.label for one in study.models if one not in shown]:
        blocks.append(Paragraph(_MISSING.format(join_words(missing)), note=True))
    return Section("layers", "Where reasoning is lost", tuple(blocks), "Layers")


def _probes(
    by_model: Sequence[Measured], level: str, places: Sequence[str], caption: str
) -> Drawing:
    panels, saved = [], {}
    for one, found in by_model:
        for place in places:
            panel = Panel(
                partial(probe_figure, one, found, level, place),
                f"{one.label}: probes of the {level} {PLACE_NAMES[place]}",
            )
            panels.append(panel)
            saved.setdefault(f"probes_{one.method}_{level}", panel.draw)
    return Drawing(tuple(panels), caption, 2, saved, png=False)


def _alignment(by_model: Sequence[Measured]) -> Drawing:
    panels = [
        Panel(partial(alignment_figure, one, found), f"{one.label}: alignment by layer")
        for one, found in by_model
    ]
    saved = {
        f"alignment_{one.method}": p.draw for (one, _), p in zip(by_model, panels, strict=True)
    }
    return Drawing(tuple(panels), _ALIGNMENT, 2, saved, png=False)


def _planes(by_model: Sequence[Measured]) -> Drawing:
    panels, saved = [], {}
    for one, found in by_model:
        rows = found[0]["plane"]
        saved[f"plane_{one.method}"] = partial(plane_figure, one.label, rows, PLACES[0])
        for layer in sorted({row["layer"] for row in rows}):
            mine = [row for row in rows if row["layer"] == layer]
            panel = Panel(
                partial(plane_figure, one.label, mine, PLACES[0]),
                f"{one.label}: leaves in sounds and in names on a plane, layer {layer}",
            )
            panels.append(panel)
    return Drawing(tuple(panels), _PLANE, 3, saved, png=False)


def probe_figure(
    one: Subject, found: Sequence[Found], level: str, place: str, theme: Theme = LIGHT
):
    """Draw the accuracy of probes by layer, a line for each pair of kinds; the mean over seeds."""
    layers, lines, chances = found[0]["layers"], [], []
    for (learned, asked), (words, style) in PROBES.items():
        spans, across = [], (learned == "sounds") != (asked == "sounds")
        for layer in layers:
            wanted = {
                "level": level,
                "place": place,
                "layer": layer,
                "learned": learned,
                "asked": asked,
                "scaling": OWN if across else "shared",
            }
            rows = [row for one in found for row in one["probes"] if wanted.items() <= row.items()]
            spans.append(_span(rows, "accuracy", "low", "high"))
            chances += [row["chance"] for row in rows]
        if any(span is not None for span in spans):
            lines.append(Line(words, tuple(spans), style))
    level_of_chance = tuple((100 * np.mean(chances), math.nan, math.nan) for _ in layers)
    lines.append(Line("commonest", level_of_chance, Style("#7F7F7F", "."), reference=True))
    title = f"{one.label}, {level}, {PLACE_NAMES[place]}"
    panel = Lines(title, tuple(lines))
    return lines_figure(list(map(str, layers)), [panel], "layer", "right in %", theme)


def alignment_figure(one: Subject, found: Sequence[Found], theme: Theme = LIGHT):
    """Draw the alignment of sounds and names by layer, at both places; the mean over seeds."""
    layers, lines = found[0]["layers"], []
    for place, colour in zip(PLACES, ("#D55E00", "#0072B2"), strict=True):
        for key, words in (("cka", PLACE_NAMES[place]), ("shuffled_high", "random pairs")):
            spans = []
            for layer in layers:
                wanted = {"place": place, "layer": layer}
                rows = [r for one in found for r in one["alignment"] if wanted.items() <= r.items()]
                spans.append(_span(rows, key))
            style = Style(colour, "o")
            lines.append(Line(words, tuple(spans), style, reference=key != "cka"))
    panel = Lines(one.label, tuple(lines))
    names = list(map(str, layers))
    return lines_figure(names, [panel], "layer", "CKA × 100", theme, limits=(-20.0, 100.0))


def _span(rows: Sequence[Found], *keys: str) -> Span | None:
    """Return the mean over rows of a value and the ends of its interval, in percent."""
    if not rows or any(row[keys[0]] is None for row in rows):
        return None
    ends = [
        math.nan if any(row[key] is None for row in rows) else np.mean([row[key] for row in rows])
        for key in keys
    ]
    value, low, high = (*ends, math.nan, math.nan)[:3]
    return 100 * value, 100 * low, 100 * high
