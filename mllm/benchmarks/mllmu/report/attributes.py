"""Which facts are still known: the score by attribute and modality."""

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from mllm.benchmarks.mllmu.metrics import HEADLINE, HEADLINES
from mllm.benchmarks.mllmu.report.layout import MODALITIES, SETS
from mllm.files import read_jsonl
from mllm.reporting.comparison import Comparison
from mllm.reporting.layout import Key
from mllm.reporting.section import Block, Details, Heat, Paragraph
from mllm.reporting.text import clean_text

TASKS = ("classification", "cloze")  # those with a right answer
MOST = 16  # attributes of a table
_KIND = ("set", "task", "modality")
_PLACE = ("profile", "index", "question")  # as in scores.Place
# Set -> the row that others are compared with there.
REFERENCES = {"forget": "retain_only", "retain": "vanilla"}
_NOTE = (
    "Share of right answers to multiple choice and blanks by attribute, in points above (blue) or "
    "below (orange) {}. Farthest: the attribute that is farthest from 0, since a small mean may "
    "hide one that stayed or was lost. Means over seeds; each attribute stands on the number of "
    "questions in its head, so single cells are uncertain."
)


def attribute_blocks(comparison: Comparison) -> tuple[Block, ...]:
    """Return a table for each set and modality, that of what was kept folded away; nothing where
    questions name no attribute.
    """
    named = _named(comparison)
    blocks: list[Block] = []
    for name, method in REFERENCES.items():
        reference = comparison.key(method)
        if reference is None:
            continue
        tables = [_table(comparison, named, reference, name, one) for one in MODALITIES.labels]
        shown = [table for table in tables if table is not None]
        if not shown:
            continue
        note = Paragraph(_NOTE.format(comparison.label(reference)), note=True)
        if name == "forget":
            blocks += [*shown, note]
        else:
            blocks.append(Details(f"{SETS.label(name)} set by attribute", (*shown, note)))
    return tuple(blocks)


def _named(comparison: Comparison) -> dict[tuple, str]:
    """Return the attribute of each question, by set, task, modality and place, from the first run
    with replies on disk.
    """
    for runs in comparison.runs.values():
        for run in runs:
            found = {
                tuple(row.get(name) for name in (*_KIND, *_PLACE)): str(row["attribute"])
                for row in read_jsonl(run.records_path)
                if row.get("attribute")
            }
            if found:
                return found
    return {}


def by_attribute(
    comparison: Comparison, named: Mapping[tuple, str], key: Key, name: str, modality: str
) -> dict[str, list[float]]:
    """Return the score of each question of a row about a set in a modality, by attribute; nothing
    where its replies are unknown.

    Args:
      named: the attribute of each question, by set, task, modality and place.
    """
    headline = HEADLINES.get(comparison.protocol, HEADLINE)
    found: dict[str, list[float]] = defaultdict(list)
    for task in TASKS:
        answers = comparison.answers(key, (name, task, modality, headline[task]))
        for place, value in (answers or {}).items():
            if attribute := named.get((name, task, modality, *place)):
                found[attribute].append(value)
    return dict(found)


def _table(
    comparison: Comparison, named: Mapping[tuple, str], reference: Key, name: str, modality: str
) -> Heat | None:
    """Return the differences from the reference on one set in one modality."""
    found = {key: by_attribute(comparison, named, key, name, modality) for key in comparison.keys}
    base = found.pop(reference)
    attributes = sorted(sorted(base, key=lambda one: (-len(base[one]), one))[:MOST])
    rows = []
    for key, ours in found.items():
        values = [
            float(np.mean(ours[one]) - np.mean(base[one])) if one in ours else None
            for one in attributes
        ]
        if known := [value for value in values if value is not None]:
            summary = (float(np.mean(known)), max(known, key=abs))
            rows.append((comparison.label(key), (*summary, *values)))
    if not rows:
        return None
    heads = [f"{clean_text(one.replace('_', ' '), 24)} ({len(base[one])})" for one in attributes]
    title = f"{SETS.label(name)} set, {MODALITIES.label(modality)}: points from "
    title += comparison.label(reference).lower()
    return Heat(title, ("Method", "Mean", "Farthest", *heads), tuple(rows))
