"""Names, order and roles of tasks, relations, conditions, metrics and methods in the report."""

from collections.abc import Mapping

from mllm.benchmarks.hear.probed import ALL
from mllm.benchmarks.hear.probed import TASKS as RELATION_TASKS
from mllm.benchmarks.hear.relations import RELATIONS
from mllm.benchmarks.hear.report.values import question_values
from mllm.benchmarks.hear.scores import AXES, TASKS
from mllm.evaluation.places import OWN_KEYS
from mllm.reporting import Axis, Layout, Mark, Marking, Style
from mllm.reporting.comparison import Comparison
from mllm.reporting.layout import Key
from mllm.reporting.text import clean_text

CAPTIONS, FACTS, BEFORE = "captions", "facts", "before"
RELATION_TASK, HEADLINE = RELATION_TASKS[0], "accuracy"
CHANCE = 0.5  # of a relation question
BRACKETS = {
    "oracle": "Oracle",
    "always_yes": "Always yes",
    "random": "Random",
    "prior": "Commonest label",
}
CONTROLS = {"blind": "Without sound", BEFORE: "Before sounds"}
METHODS = {**BRACKETS, **CONTROLS, CAPTIONS: "Captions", FACTS: "Captions and facts"}
LEGEND = {
    CAPTIONS: "taught sounds by captions that name leaf classes alone",
    FACTS: "the same, and taught in text what is a kind of what",
    "blind": "the model of captions without the sound",
    BEFORE: "the language model before it was taught sounds, without the sound",
    "oracle": "answers by the ontology from the tags, the label or the caption that it is shown",
    "always_yes": "says yes to every question",
    "random": "draws an answer",
    "prior": "takes every clip for the commonest label of training",
}
TASK_NAMES = {
    "relations": "Relation questions",
    "relations_generated": "Relation questions, generated replies",
    "direct": "Log-probability of the class",
    "caption_embedding": "Caption, by embedding",
    "caption_lexical": "Caption, by its words",
    "two_step": "Caption, then log-probability",
}
CONDITION_NAMES = {"T": "Label", "A": "Sound", "AT": "Sound and label", "C": "Own caption",
                   "R": "Other sound"}  # fmt: skip
CONDITIONS = tuple(CONDITION_NAMES)
# Condition -> what the model is given, for sentences.
GIVEN = {
    "T": "the label as text",
    "A": "the sound",
    "AT": "the sound and its label",
    "C": "its own caption of the sound",
    "R": "the sound of another clip",
}
RELATION_NAMES = {ALL: "All relations", "label": "Label", "synonym": "Synonym", "parent": "Parent",
                  "grandparent": "Grandparent", "sibling": "Sibling",
                  "unrelated": "Unrelated"}  # fmt: skip
METRIC_NAMES = {
    "accuracy": "accuracy",
    "accuracy_parent": "same parent",
    "accuracy_grandparent": "same grandparent",
    "balanced_accuracy": "balanced accuracy",
    "yes_rate": "share of yes",
    "d_prime": "d′",
    "auc": "AUC",
    "map": "mAP",
    "f1": "F1",
    "recall": "recall",
    "consistency": "consistency",
    "accuracy_recognised": "accuracy of recognised clips",
    "unchanged": "answers that do not change",
    "gap": "difference in accuracy",
    "gap_recognised": "difference in accuracy of recognised clips",
}
# Colours of Okabe and Ito (2008), which readers with any colour vision tell apart.
STYLES = {
    **dict.fromkeys((*BRACKETS, *CONTROLS), Style("muted", "*")),
    CAPTIONS: Style("#0072B2", "o"),
    FACTS: Style("#D55E00", "s"),
}
CONDITION_STYLES = {
    "T": Style("#0072B2", "o"),
    "AT": Style("#56B4E9", "D"),
    "C": Style("#009E73", "^"),
    "A": Style("#D55E00", "s"),
    "R": Style("#7F7F7F", "X"),
}


def label(axis: str, value: str) -> str:
    """Return what a reader sees for a value of an axis."""
    names = {"task": TASK_NAMES, "relation": RELATION_NAMES, "condition": CONDITION_NAMES}[axis]
    if axis == "condition" and "-" in value:
        first, second = (label(axis, part) for part in value.split("-"))
        return f"{first} less {second.lower()}"
    return names.get(value) or clean_text(value, 40)


def _headline(values: tuple[str, ...], protocol: str) -> str:
    """Return the metric of the tables that a terminal shows."""
    task, relation = values
    return HEADLINE if task in RELATION_TASKS or relation == ALL else ""


def _chance(cell: tuple[str, ...]) -> float | None:
    """Return the score of guessing, None where it is not known."""
    guessed = cell[-1] in (HEADLINE, "balanced_accuracy", "auc", "accuracy_recognised")
    return CHANCE if cell[0] in RELATION_TASKS and guessed else None


def _leader(comparison: Comparison, cell: tuple[str, ...]) -> Mapping[Key, Mark]:
    """Return the mark of the model that is better than every other, if there is one."""
    if cell[-1] != HEADLINE:
        return {}
    leader = comparison.leader(comparison.methods, cell)
    return {} if leader is None else {leader: Mark(strong=True)}


LAYOUT = Layout(
    title="What do MLLMs hear?",
    axes=tuple(Axis(name) for name in AXES),
    tables=("task", "relation"),
    columns=("condition",),
    methods=METHODS,
    brackets=(*BRACKETS, *CONTROLS),
    unevaluated=("pretrained", "language", "project", "listen", "classify"),
    metrics=METRIC_NAMES,
    headline=_headline,
    chance=_chance,
    marking=Marking(
        _leader,
        "Bold: better than every other model; the interval of each paired difference excludes 0.",
        "* better than every other model",
    ),
    question_values=question_values,
    clusters="base signals",
    own_keys=OWN_KEYS,
    styles=STYLES,
)
ORDERS = {"task": TASKS, "relation": (ALL, *RELATIONS), "condition": CONDITIONS}
