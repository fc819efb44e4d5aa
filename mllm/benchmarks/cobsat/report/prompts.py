"""What the types of prompts change, paired sample by sample with default prompts."""

from collections.abc import Sequence

from mllm.benchmarks.cobsat.report.layout import label
from mllm.benchmarks.cobsat.report.study import (
    DEFAULT,
    Compared,
    Study,
    Subject,
    compare,
    values_of,
)
from mllm.benchmarks.cobsat.report.text import excludes_zero, interval_of
from mllm.reporting.charts import Bar, Intervals, intervals_figure
from mllm.reporting.figures import LIGHT, Theme
from mllm.reporting.layout import Style
from mllm.reporting.numbers import points, signed
from mllm.reporting.section import Block, Details, Drawing, Grid, Heading, Panel, Paragraph, Section

_COLOURS = ("#56B4E9", "#0072B2", "#009E73", "#D55E00", "#CC79A7", "#8C6BB1", "#E69F00", "#66625b")
ASKS = {
    "instruct": "says in words what the pictures share",
    "misleading": "writes a wrong θ next to each word",
    "exact": "writes the right θ next to each word",
    "caption": "has captions in place of the pictures",
    "cot": "asks for an analysis first",
}
_RULE = (
    "Each type of prompt against the default one on the samples that were asked in both, with the "
    "same shots and the same mode; differences in points, intervals resample samples. Filled "
    "marks: the interval excludes 0. “Exact” shows what drawing costs once θ is given, “caption” "
    "what reading the pictures costs, “misleading” how far words overrule pictures."
)

Changes = dict[tuple[str, str, str], Compared]  # (mode, prompt, shots) -> prompt against default


def prompt_section(study: Study) -> Section | None:
    """Return the differences of each model; None where one type was asked alone."""
    blocks: list[Block] = []
    others: list[Block] = []
    for one in study.models:
        found = changes(study, one)
        if not found:
            continue
        blocks_of = _blocks(study, one, found)
        if one is study.drawer:
            blocks += blocks_of
        else:
            others += [Heading(one.label), *blocks_of]
    if not blocks and not others:
        return None
    blocks.append(Paragraph(_RULE, note=True))
    said = "; ".join(f"{label('prompt', p)} {t}" for p, t in ASKS.items() if p in study.prompts)
    blocks.insert(0, Paragraph(f"{said}."))
    if others:
        blocks.append(Details("The other models", tuple(others)))
    return Section("prompts", "What the type of prompt changes", tuple(blocks), "Prompts")


def changes(study: Study, subject: Subject) -> Changes:
    """Return the differences of a row's types of prompts from the default one."""
    found: Changes = {}
    for mode in study.modes:
        values = {
            (prompt, shots): values_of(
                subject.asked(mode=mode, prompt=prompt, shots=shots), also=lambda record: ()
            )
            for prompt in study.prompts
            for shots in study.shots
        }
        for prompt in study.prompts:
            for shots in study.shots:
                if prompt == DEFAULT or (DEFAULT, shots) not in values:
                    continue
                compared = compare(values[prompt, shots], values[DEFAULT, shots])
                if compared.n:
                    found[mode, prompt, shots] = compared
    return found


def _blocks(study: Study, one: Subject, found: Changes) -> list[Block]:
    modes = [mode for mode in study.modes if any(key[0] == mode for key in found)]
    panels = tuple(
        Panel(
            lambda theme, only=mode: _figure(study, found, (only,), theme),
            f"Differences of types of prompts from default prompts, {one.label}, {mode} mode",
        )
        for mode in modes
    )
    saved = {f"prompts_{one.key[0]}": lambda theme: _figure(study, found, modes, theme)}
    rows = tuple(
        (f"{label('prompt', prompt)}, {label('mode', mode).lower()}, {label('shots', shots)}",
         str(c.n), points(c.first), points(c.second), signed(c.difference), interval_of(c))
        for (mode, prompt, shots), c in found.items()
    )  # fmt: skip
    heads = ("Prompt", "Samples", "Accuracy", "Default", "Difference", "95% interval")
    legend = ", ".join(
        f"{_name(place)} for {label('shots', shots)}" for place, shots in enumerate(study.shots)
    )
    return [
        Drawing(panels, f"{one.label}. From top to bottom of a row: {legend}.", saved=saved),
        Grid("Differences from default prompts", heads, rows),
    ]


def _name(place: int) -> str:
    names = ("light blue", "blue", "green", "orange", "pink", "purple", "yellow", "grey")
    return names[place % len(names)]


def _figure(study: Study, found: Changes, modes: Sequence[str], theme: Theme = LIGHT):
    prompts = [p for p in study.prompts if any(key[1] == p for key in found)]
    panels = []
    for mode in modes:
        bars = []
        for row, prompt in enumerate(prompts):
            for place, shots in enumerate(study.shots):
                if (one := found.get((mode, prompt, shots))) is not None:
                    shift = 0.5 * ((place + 0.5) / len(study.shots) - 0.5)
                    span = tuple(100 * end for end in (one.difference, one.low, one.high))
                    style = Style(_COLOURS[place % len(_COLOURS)])
                    bars.append(Bar(row, span, style, shift, excludes_zero(one)))
        panels.append(Intervals(label("mode", mode), tuple(bars)))
    names = [label("prompt", prompt) for prompt in prompts]
    return intervals_figure(names, panels, "change from default prompts (points)", theme)
