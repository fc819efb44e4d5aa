"""What became of the free replies: valid, refusals, invalid ones and errors."""

from collections.abc import Mapping

import numpy as np

from mllm.benchmarks.mllmu.report.layout import SETS
from mllm.reporting.comparison import Comparison
from mllm.reporting.layout import Key
from mllm.reporting.section import Block, Paragraph, Shares

KINDS = ("valid", "refusal", "invalid", "error")
# Blanks and sentences: one metric of each, since all of a task say the same of its replies.
FREE = {"cloze": "exact", "generation": "rougeL"}
_NOTE = (
    "Replies to fill in the blank and free generation in both modalities, means over seeds. A "
    "refusal says that the model cannot or will not answer; an invalid reply is empty, repeats "
    "itself or is no language; an error has no reply. A method that forgets by breaking its "
    "replies shows here."
)


def state_blocks(comparison: Comparison) -> tuple[Block, ...]:
    """Return a divided bar for each row and set, nothing where no free reply was asked for."""
    blocks: list[Block] = []
    for name in SETS.labels:
        found = {key: shares(comparison, key, name) for key in comparison.keys}
        rows = tuple((comparison.label(key), parts) for key, parts in found.items() if parts)
        if rows:
            blocks.append(Shares(f"{SETS.label(name)} set", KINDS, rows))
    return (*blocks, Paragraph(_NOTE, note=True)) if blocks else ()


def shares(comparison: Comparison, key: Key, name: str) -> tuple[float, ...]:
    """Return the share of each kind among the free replies about a set, () without any."""
    found = [
        parts(score)
        for run in comparison.runs[key]
        for score in run.scores
        if score["set"] == name and FREE.get(score["task"]) == score["metric"]
    ]
    return tuple(map(float, np.mean(found, axis=0))) if found else ()


def parts(score: Mapping[str, float]) -> tuple[float, ...]:
    """Return the shares of a score of results.json, whose errors are what the others leave."""
    known = tuple(score[kind] for kind in KINDS[:-1])
    return (*known, max(0.0, 1 - sum(known)))
