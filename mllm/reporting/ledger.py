"""The section about tuning: what was tried before the runs of the tables, and what was chosen."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from mllm.evaluation.ledger import Ledger, Tuned, read_ledger
from mllm.reporting.collect import Sweep
from mllm.reporting.numbers import points
from mllm.reporting.section import Block, Details, Grid, Paragraph, Section
from mllm.reporting.text import clean_text, join_words

_TITLE = "How the methods were tuned"


def ledger_sections(sweep: Sweep) -> list[Section]:
    """Return the section about tuning; none where nothing was tuned.

    A ledger that was changed after it was written is not shown, and the section says so.
    """
    notes: list[Block] = []
    if sweep.tuned:
        said = (
            "run was made while tuning, and stands"
            if sweep.tuned == 1
            else ("runs were made while tuning, and stand")
        )
        notes.append(Paragraph(f"{sweep.tuned} {said} in no table.", note=True))
    try:
        ledger = read_ledger(sweep.workdir)
    except ValueError as error:
        reason = str(error).replace(f"{sweep.workdir}/", "")
        ledger, notes = None, [Paragraph(clean_text(reason, 400)), *notes]
    blocks = [*_blocks(ledger, sweep), *notes] if ledger else notes
    return [Section("tuning", _TITLE, tuple(blocks), "Tuning")] if blocks else []


def _blocks(ledger: Ledger, sweep: Sweep) -> list[Block]:
    label = sweep.layout.label
    counts = sorted({len(one.trials) for one in ledger.methods.values()})
    equal = f"{counts[0]} trials" if len(counts) == 1 else "Unequal numbers of trials"
    read = ", ".join(f"{count} of {clean_text(name, 40)}" for name, count in ledger.read.items())
    count = len(ledger.methods)
    return [
        Paragraph(
            f"{equal} of each of {count} method{'s' if count > 1 else ''}, with seed "
            f"{ledger.seed}, under the protocol {clean_text(ledger.protocol, 60)}. The values that "
            f"they chose hold for every seed of the tables. Answers read of each trial: {read}. No "
            "answer of a run of the tables was read. Accuracies are percentages, differences "
            "points."
        ),
        Grid(
            "What was chosen",
            ("Method", "Values", *map(_head, _names(ledger))),
            tuple(
                (label(name), *_row(one.values, one.trials[one.chosen].measured, _names(ledger)))
                for name, one in ledger.methods.items()
            ),
            words=(1,),
        ),
        *_edges(ledger, label),
        Details("All trials", (_all_trials(ledger, label),)),
        Paragraph(clean_text(ledger.rule, 1000), note=True),
    ]


def _edges(ledger: Ledger, label: Callable[[str], str]) -> list[Block]:
    """Return a sentence about the methods whose choice is the smallest or largest value tried."""
    found = [name for name, one in ledger.methods.items() if _at_an_edge(one)]
    if not found:
        return []
    names = join_words([label(name) for name in found])
    return [
        Paragraph(
            f"The choice is the smallest or the largest value that was tried for {names}; beyond "
            "it may be a better one."
        )
    ]


def _at_an_edge(one: Tuned) -> bool:
    """Return whether the trials differ in one number, and the chosen one is its least or most."""
    keys = {key for trial in one.trials for key in trial.values}
    if len(keys) != 1 or len(one.trials) < 3:
        return False
    values = [trial.values.get(*keys) for trial in one.trials]
    if not all(isinstance(value, int | float) for value in values):
        return False
    return values[one.chosen] in (min(values), max(values))


def _all_trials(ledger: Ledger, label: Callable[[str], str]) -> Grid:
    names = _names(ledger)
    rows = []
    for name, one in ledger.methods.items():
        for place, trial in enumerate(one.trials):
            mark = _mark(one, place)
            rows.append(
                (label(name), str(place + 1), *_row(trial.values, trial.measured, names), mark)
            )
    heads = ("Method", "Trial", "Values", *map(_head, names), "Chosen")
    return Grid("Trials", heads, tuple(rows), words=(2, len(heads) - 1))


def _mark(one: Tuned, place: int) -> str:
    if one.trials[place].diverged:
        return "diverged"
    return "chosen" if place == one.chosen else ""


def _names(ledger: Ledger) -> list[str]:
    """Return the names of what was measured, those that decide first."""
    found = dict.fromkeys(ledger.decides)
    for one in ledger.methods.values():
        for trial in one.trials:
            found.update(dict.fromkeys(trial.measured))
    return list(found)


def _head(name: str) -> str:
    name = clean_text(name, 60)
    return name[:1].upper() + name[1:]


def _row(
    values: Mapping[str, Any], measured: Mapping[str, float], names: list[str]
) -> tuple[str, ...]:
    """Return the cells of a trial; a value is named by the end of its key."""
    chosen = ", ".join(
        f"{key.rpartition('.')[2]} {json.dumps(value)}" for key, value in values.items()
    )
    return clean_text(chosen, 200), *(points(measured.get(name)) for name in names)
