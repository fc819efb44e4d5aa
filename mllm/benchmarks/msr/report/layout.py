"""Names, order and roles of targets, lengths of histories, metrics and methods in the report."""

import dataclasses
from collections.abc import Sequence

from mllm.benchmarks.msr.scores import ALL, AXES, HISTORIES, METRICS, TARGETS, question_values
from mllm.evaluation.places import OWN_KEYS
from mllm.reporting import Axis, Layout, Style
from mllm.reporting.axes import axes_of
from mllm.reporting.runs import Run
from mllm.reporting.text import clean_text

RECOMMENDER = "recommender"
HEADLINE = "auc_pooled"
BRACKETS = {
    "oracle": "Oracle",
    "bayes": "Bayes ceiling",
    "random": "Random",
    "constant": "Constant",
}
METHODS = {
    **BRACKETS,
    "popularity": "Popularity",
    "bpr": "BPR-MF",
    "gru4rec": "GRU4Rec",
    "sasrec": "SASRec",
    "gru4rec_f": "GRU4Rec + features",
    "sasrec_f": "SASRec + features",
    "zero_shot": "Zero-shot model",
    "tallrec": "TALLRec-like",
    "blind": "MLLM-MSR, no pictures",
    RECOMMENDER: "MLLM-MSR",
}
LABELS = {
    "target": {"warm": "Warm targets", "cold": "Cold targets", ALL: "All targets"},
    "history": {
        **{name: f"{name} items".replace("-", "–") for name in HISTORIES},
        ALL: "All histories",
    },
}
NAMES = {"auc_pooled": "AUC", "auc_user": "AUC per user"} | {
    metric: metric.upper() for metric in METRICS if "@" in metric
}
WORDS = {"auc_pooled": "pooled AUC", "auc_user": "AUC per user"}
# Colours of Okabe and Ito (2008), which readers with any colour vision tell apart.
STYLES = {
    **dict.fromkeys(BRACKETS, Style("muted", "*")),
    "popularity": Style("muted", "v"),
    "bpr": Style("#E69F00", "s"),
    "gru4rec": Style("#56B4E9", "^"),
    "gru4rec_f": Style("#56B4E9", "D"),
    "sasrec": Style("#009E73", "^"),
    "sasrec_f": Style("#009E73", "D"),
    "zero_shot": Style("#CC79A7", "X"),
    "tallrec": Style("#D55E00", "P"),
    "blind": Style("#0072B2", "h"),
    RECOMMENDER: Style("#0072B2", "o"),
}


def _headline(values: tuple[str, ...], protocol: str) -> str:
    """Return the metric of the table that a terminal shows: warm, cold and all targets."""
    return HEADLINE if values == (ALL,) else ""


# Which values there are follows from the runs: see ``layout_of``. What is read of items and users
# may differ between runs of one table, and with it the first questions: that is what ablations are.
LAYOUT = Layout(
    title="Recommendation by a model that sees",
    axes=tuple(Axis(name) for name in AXES),
    tables=("history",),
    columns=("target",),
    methods=METHODS,
    brackets=tuple(BRACKETS),
    unevaluated=("captioner", "summariser", "writer"),
    metrics={name: WORDS.get(name, NAMES[name]) for name in METRICS},
    headline=_headline,
    question_values=question_values,
    clusters="users",
    own_keys=(*OWN_KEYS, "reading", "asked", "questions"),
    styles=STYLES,
)


ORDER = {"target": TARGETS, "history": HISTORIES}


def label(axis: str, value: str) -> str:
    """Return what a reader sees for a value of an axis."""
    return LABELS[axis].get(value) or clean_text(value, 40)


def layout_of(layout: Layout, runs: Sequence[Run]) -> Layout:
    """Return the layout for some runs: the values that they have on each axis, in order."""
    return dataclasses.replace(layout, axes=axes_of(layout, runs, ORDER, label))
