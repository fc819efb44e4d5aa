"""Names, order and roles of sets, tasks, modalities and methods in the report."""

from mllm.benchmarks.mllmu.metrics import HEADLINES
from mllm.benchmarks.mllmu.report.marks import LEGEND, MARKING_RULE, SIGNS, marks
from mllm.benchmarks.mllmu.scores import question_values
from mllm.reporting import Axis, Group, Layout, Marking, Style

SETS = Axis(
    "set",
    {"forget": "Forget", "test": "Test", "retain": "Retain", "celebrity": "Celebrity"},
    short={"celebrity": "Celeb."},
    arrows={"forget": "↓", "test": "↓", "retain": "↑", "celebrity": "↑"},
)
TASKS = Axis(
    "task",
    {
        "classification": "Multiple choice",
        "cloze": "Fill in the blank",
        "generation": "Free generation",
    },
)
MODALITIES = Axis(
    "modality",
    {"image_text": "image + text", "text": "text only"},
    short={"image_text": "img+txt", "text": "txt"},
)
METRICS = {
    "accuracy_text": "accuracy by option text",
    "accuracy_letter": "accuracy by option letter",
    "accuracy_parsed": "accuracy of the parsed reply",
    "exact": "exact match",
    "substring": "substring match",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    "bleu": "BLEU",
}
METHODS = {
    "pretrained": "Pretrained",
    "base": "Base",
    "vanilla": "Vanilla",
    "retain_only": "Retain-only",
    "ga": "GA",
    "grad_diff": "GradDiff",
    "kl_min": "KL-Min",
    "npo": "NPO",
    "prompting": "Prompting",
    "simnpo": "SimNPO",
    "wga": "WGA",
    "satimp": "SatImp",
    "undial": "UNDIAL",
    "ce_u": "CE-U",
    "kl_uniform": "KL to uniform",
    "rmu": "RMU",
    "scrub": "SCRUB",
    "idk": "IDK",
    "dpo": "DPO",
    "pdu": "PDU",
    "task_vector": "Task vector",
    "mmunlearner": "MMUnlearner",
    "manu": "MANU",
    "pava": "PAVA",
}
# Colours of Okabe and Ito (2008), distinguishable with any colour vision.
STYLES = {
    "pretrained": Style("muted", "*"),
    "base": Style("muted", "*"),
    "vanilla": Style("ink", "*"),
    "retain_only": Style("#009E73", "*"),
    "ga": Style("#D55E00", "o"),
    "grad_diff": Style("#E69F00", "s"),
    "kl_min": Style("#56B4E9", "^"),
    "npo": Style("#0072B2", "D"),
    "prompting": Style("#CC79A7", "P"),
    # The same colours with other markers.
    "simnpo": Style("#0072B2", "v"),
    "dpo": Style("#0072B2", "X"),
    "wga": Style("#D55E00", "v"),
    "satimp": Style("#D55E00", "^"),
    "undial": Style("#56B4E9", "o"),
    "ce_u": Style("#56B4E9", "s"),
    "kl_uniform": Style("#56B4E9", "D"),
    "rmu": Style("#E69F00", "D"),
    "scrub": Style("#E69F00", "v"),
    "idk": Style("#CC79A7", "s"),
    "pdu": Style("#E69F00", "^"),
    "task_vector": Style("#D55E00", "D"),
    "mmunlearner": Style("#CC79A7", "o"),
    "manu": Style("#CC79A7", "^"),
    "pava": Style("#0072B2", "o"),
}
CHANCE = 0.25  # four options


def _headline(values: tuple[str, ...], protocol: str) -> str:
    return HEADLINES.get(protocol, HEADLINES["strict"])[values[0]]


def _chance(cell: tuple[str, ...]) -> float | None:
    return CHANCE if cell[1] == "classification" else None


LAYOUT = Layout(
    title="Unlearning report",
    axes=(SETS, TASKS, MODALITIES),
    tables=("task",),
    columns=("set", "modality"),
    methods=METHODS,
    anchors=("pretrained", "base", "vanilla", "retain_only"),
    unevaluated=("pretrained",),
    group=Group("forget", "Forget", "Forgetting {}%", "{}%"),
    metrics=METRICS,
    headline=_headline,
    chance=_chance,
    marking=Marking(marks, MARKING_RULE, LEGEND, SIGNS),
    question_values=lambda records, protocol: question_values(records, protocol=protocol),
    clusters="people",
    styles=STYLES,
)
