"""Names, order and roles of tasks, shots, prompts, modes and methods in the report."""

import dataclasses
from collections.abc import Sequence

from mllm.benchmarks.cobsat.assemble import PROMPT_TYPES
from mllm.benchmarks.cobsat.report.published import TASK_NAMES
from mllm.benchmarks.cobsat.scores import ALL, AXES, DETAILS, OBJECTS
from mllm.reporting import Axis, Layout, Style
from mllm.reporting.axes import axes_of
from mllm.reporting.runs import Run
from mllm.reporting.text import clean_text

DRAWER = "drawer"
BRACKETS = {
    "oracle": "Oracle",
    "view": "Unseen view",
    "reconstructed": "Reconstruction",
    "random": "Random pair",
    "copy_last": "Copy of the last picture",
    "query_only": "Query word only",
    "blind": "Drawer, no pictures",
    "other_theta": "Drawer, other θ shown",
}
METHODS = {
    **BRACKETS,
    DRAWER: "Drawer",
    "ft_all": "Fine-tuned, all themes",
    "ft_leave_one_out": "Fine-tuned, one theme left out",
}
LABELS = {
    "task": {
        **{name: name for name in TASK_NAMES},
        OBJECTS: "All -I",
        DETAILS: "All -II",
        ALL: "All tasks",
    },
    "shots": {**{str(count): f"{count} shots" for count in range(2, 9)}, "1": "1 shot", ALL: "All"},
    "prompt": {**{name: name.capitalize() for name in PROMPT_TYPES}, "cot": "CoT", ALL: "All"},
    "mode": {"image": "Image mode", "text": "Text mode"},
}
_SHORT = {
    "task": {name: name.replace("Background", "Backgr.") for name in TASK_NAMES} | {ALL: "All"}
}
ORDER = {
    "task": (*TASK_NAMES, OBJECTS, DETAILS, ALL),
    "shots": (*map(str, range(1, 9)), ALL),
    "prompt": (*PROMPT_TYPES, ALL),
    "mode": ("image", "text"),
}
METRICS = {
    "overall": "overall accuracy",
    "detail": "detail right",
    "object": "object right",
    "textual": "textual accuracy",
    "visual": "visual accuracy",
    "overall_taught": "overall accuracy by the taught judge's likeliest word",
    "overall_numbers": "overall accuracy by the judge's likeliest number",
    "overall_published": "overall accuracy by the judge's reply, published rule",
    "overall_strict": "overall accuracy by the judge's reply, strict rule",
    "overall_clip": "overall accuracy by the phrase closest to the picture (CLIP)",
    "overall_clip_words": "overall accuracy by the bare word closest to the picture (CLIP)",
    "overall_words": "overall accuracy by exact words",
}
# Colours of Okabe and Ito (2008), which readers with any colour vision tell apart.
STYLES = {
    **dict.fromkeys(BRACKETS, Style("muted", "*")),
    "blind": Style("#E69F00", "s"),
    "other_theta": Style("#CC79A7", "^"),
    DRAWER: Style("#0072B2", "o"),
    "ft_all": Style("#009E73", "D"),
    "ft_leave_one_out": Style("#D55E00", "P"),
}
CHANCE = {"overall": 0.01, "detail": 0.1, "object": 0.1, "textual": 0.1, "visual": 0.1}


def _headline(values: tuple[str, ...], protocol: str) -> str:
    """Return the metric of the tables that a terminal shows: default prompts over all tasks."""
    task, prompt, _ = values
    return "overall" if task == ALL and prompt == PROMPT_TYPES[0] else ""


# Which values there are follows from the runs: see ``layout_of``.
LAYOUT = Layout(
    title="Learning from pictures in the prompt",
    axes=tuple(Axis(name, short=_SHORT.get(name, {})) for name in AXES),
    tables=("task", "prompt", "mode"),
    columns=("shots",),
    methods=METHODS,
    brackets=tuple(BRACKETS),
    unevaluated=("tokeniser", "judge"),
    metrics=METRICS,
    headline=_headline,
    clusters="samples",
    styles=STYLES,
)


def label(axis: str, value: str) -> str:
    """Return what a reader sees for a value of an axis."""
    return LABELS[axis].get(value) or clean_text(value, 40)


def layout_of(layout: Layout, runs: Sequence[Run]) -> Layout:
    """Return the layout for some runs: the values that they have on each axis, in order."""
    return dataclasses.replace(layout, axes=axes_of(layout, runs, ORDER, label))
