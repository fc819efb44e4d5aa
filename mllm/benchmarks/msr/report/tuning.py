"""How the baselines were tuned: every trial with its options, and which was chosen."""

from collections.abc import Mapping
from typing import Any

from mllm.benchmarks.msr.baselines.tuning import RECORD
from mllm.benchmarks.msr.report.layout import NAMES
from mllm.benchmarks.msr.report.study import Study, Subject
from mllm.files import read_sealed
from mllm.reporting.numbers import points
from mllm.reporting.section import Block, Details, Grid, Paragraph, Section
from mllm.reporting.text import clean_text

METRICS = ("auc_pooled", "hr@5", "mrr@5")
_RULE = (
    "Each baseline that is trained was tried with as many combinations of options as every other, "
    "and the one that ranks the candidates of validation users best was asked about test users. "
    "Scores are of validation users. The recommender was taught once, with the options of its "
    "configuration; how these were chosen does not stand in its records."
)


def tuning_section(study: Study) -> Section | None:
    """Return the ledger; None where no baseline was tuned."""
    found = {one.label: record for one in study.models if (record := trials_of(one))}
    if not found:
        return None
    counts = {len(record["trials"]) for record in found.values()}
    equal = f"{counts.pop()} trials of each" if len(counts) == 1 else "Unequal numbers of trials"
    rows = tuple(row for name, record in found.items() for row in _rows(name, record))
    heads = ("Baseline", "Trial", "Options", *(NAMES[name] for name in METRICS), "Chosen")
    blocks: tuple[Block, ...] = (
        Paragraph(f"{equal}: {', '.join(found)}."),
        Details("All trials", (Grid("Trials on validation users", heads, rows, words=(2, 6)),)),
        Paragraph(_RULE, note=True),
    )
    return Section("tuning", "How the baselines were tuned", blocks, "Tuning")


def trials_of(one: Subject) -> Mapping[str, Any]:
    """Return what the tuning of a baseline wrote, of its first seed; empty for another method."""
    for path in sorted(one.run.folder.rglob(RECORD)):
        return read_sealed(path)
    return {}


def _rows(name: str, record: Mapping[str, Any]) -> list[tuple[str, ...]]:
    rows = []
    for number, trial in enumerate(record["trials"]):
        options = ", ".join(f"{key} {value:g}" for key, value in trial["options"].items())
        scores = (points(trial["validation"].get(metric)) for metric in METRICS)
        chosen = "chosen" if number == record["chosen"] else ""
        rows.append((name, str(number + 1), clean_text(options, 120), *scores, chosen))
    return rows
