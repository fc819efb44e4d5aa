"""Names, order and roles of topics, readings, metrics and methods in the report."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from mllm.benchmarks.photo.scores import ALL, AXES, METRICS, READINGS, question_values
from mllm.benchmarks.photo.taxonomy import TOPICS
from mllm.evaluation.places import OWN_KEYS
from mllm.reporting import Axis, Layout, Mark, Marking, Style
from mllm.reporting.axes import axes_of
from mllm.reporting.comparison import Comparison
from mllm.reporting.layout import Key
from mllm.reporting.runs import Run
from mllm.reporting.text import clean_text

FUSED = "fused"
HEADLINE, READING = "accuracy", "text"
CHANCE = 0.25
BRACKETS = {"oracle": "Oracle", "random": "Random"}
CONTROLS = {"blind": "Blind", "blank": "Blank photo", "wrong_photo": "Wrong photo"}
METHODS = {
    **BRACKETS,
    **CONTROLS,
    FUSED: "Fused",
    "mova": "MoVA",
    "joint": "Concatenation",
    "unguided": "No language",
    "colour": "Colour alone",
    "edges": "Edges alone",
    "semantics": "Semantics alone",
}
# What a reader must know of a method to read the tables.
LEGEND = {
    FUSED: "each encoder is read apart, and a gate weighs them by question and picture",
    "mova": "the encoders are added to a base encoder, coarse to fine",
    "joint": "one attention over the tokens of all encoders, no gate",
    "unguided": "queries and gate do not see the question",
    "blind": "the fused model without a photograph",
    "blank": "the fused model with a grey picture of the same size",
    "wrong_photo": "the fused model with a photograph of another source",
    "oracle": "knows the key",
    "random": "draws an option",
}
LEGEND_OF_SINGLE = "the gate gives all weight to this encoder"
READING_NAMES = {
    "text": "Option text",
    "letter": "Letter",
    "rotation": "Letter, all four orders",
    "generated": "Generated letter",
    "critique": "Critique",
}
METRIC_NAMES = {
    "accuracy": "accuracy",
    "accuracy_summed": "accuracy, log-probabilities summed",
    "coverage": "topics covered",
    "rouge_l": "ROUGE-L",
    "embedding": "embedding similarity",
}
_WRONG = "_wrong"
_FIXED = "fixed:"  # how a gate names the one encoder that it keeps
# Colours of Okabe and Ito (2008), which readers with any colour vision tell apart.
STYLES = {
    **dict.fromkeys((*BRACKETS, *CONTROLS), Style("muted", "*")),
    FUSED: Style("#0072B2", "o"),
    "mova": Style("#56B4E9", "D"),
    "joint": Style("#009E73", "s"),
    "unguided": Style("#CC79A7", "X"),
    "colour": Style("#D55E00", "^"),
    "edges": Style("#E69F00", "v"),
    "semantics": Style("#8C6BB1", "P"),
}


def metric_name(metric: str) -> str:
    """Return what a reader sees for a metric."""
    plain = metric.removesuffix(_WRONG)
    name = METRIC_NAMES.get(plain) or clean_text(plain, 40)
    return f"{name}, record of a wrong photo" if metric.endswith(_WRONG) else name


def _headline(values: tuple[str, ...], protocol: str) -> str:
    """Return the metric of the tables that a terminal shows: topics, one table for each reading."""
    subtopic, reading = values
    if subtopic != ALL:
        return ""
    return "coverage" if reading == "critique" else HEADLINE


def _chance(cell: tuple[str, ...]) -> float | None:
    """Return the score of guessing, None where it is not known."""
    if cell[-1] not in (HEADLINE, "accuracy_summed") or cell[2] == "rotation":
        return None
    return CHANCE


def _leader(comparison: Comparison, cell: tuple[str, ...]) -> Mapping[Key, Mark]:
    """Return the mark of the model that is better than every other, if there is one."""
    if cell[-1].endswith(_WRONG):
        return {}
    keys = [key for key in comparison.methods if not variant_of(comparison.runs[key][0])]
    leader = comparison.leader(keys, cell)
    return {} if leader is None else {leader: Mark(strong=True)}


# Which values there are follows from the runs: see ``layout_of``.
LAYOUT = Layout(
    title="Photographs seen through several encoders",
    axes=tuple(Axis(name) for name in AXES),
    tables=("subtopic", "reading"),
    columns=("topic",),
    methods=METHODS,
    brackets=(*BRACKETS, *CONTROLS),
    unevaluated=("encoders", "align"),
    metrics={name: metric_name(name) for name in METRICS},
    headline=_headline,
    chance=_chance,
    marking=Marking(
        _leader,
        "Bold: better than every other model; the interval of each paired difference excludes 0.",
        "* better than every other model",
    ),
    question_values=question_values,
    clusters="sources",
    own_keys=OWN_KEYS,
    styles=STYLES,
)


def variant_of(run: Run) -> str:
    """Return what a run is called besides its method where it changes something, or ""."""
    return (run.config.get("objective") or {}).get("variant") or ""


def fusion_of(run: Run) -> Mapping[str, Any]:
    """Return how the method of a run joins the encoders."""
    methods = run.config.get("methods")
    found = methods.get(run.method) if isinstance(methods, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def encoder_of(run: Run) -> str:
    """Return the one encoder that a run keeps, or ""."""
    gate = str(fusion_of(run).get("gate") or "")
    return gate.removeprefix(_FIXED) if gate.startswith(_FIXED) else ""


def label(axis: str, value: str) -> str:
    """Return what a reader sees for a value of an axis."""
    if axis == "reading":
        return READING_NAMES.get(value) or clean_text(value, 40)
    if value == ALL:
        return {"topic": "All topics", "subtopic": "All sub-topics"}[axis]
    return clean_text(value, 40)


ORDER = {
    "topic": (ALL, *TOPICS),
    "subtopic": (ALL, *dict.fromkeys(name for names in TOPICS.values() for name in names)),
    "reading": READINGS,
}


def layout_of(layout: Layout, runs: Sequence[Run]) -> Layout:
    """Return the layout for some runs: the values that they have on each axis, in order, and names
    for methods that keep one encoder.
    """
    singles = {
        run.method: f"{clean_text(encoder, 30)} alone"
        for run in runs
        if run.method not in layout.methods and (encoder := encoder_of(run))
    }
    return dataclasses.replace(
        layout, axes=axes_of(layout, runs, ORDER, label), methods={**layout.methods, **singles}
    )
